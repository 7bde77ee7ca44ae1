"""`tocsin chat` on a terminal: a prompt with completion and history, the line of prices above it, alerts as they ring.

What is shown and completed is decided by pure functions; the conversation itself is hub.chat's. Depends on
prompt_toolkit and rich.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style
from rich.text import Text

from hub import bus as subjects
from hub import wording
from hub.chat import REFRESH_S, Chat, Shown, Vocabulary, chat_of, kept
from hub.config import Config
from hub.model import Nature
from hub.render import GAP, ansi, rich_lines, safe
from hub.talk import kept_in_chat

WELCOME = """\
Tocsin
A name shows its price: gold.  A condition sets an alert: gold > 2400.  help shows the rest; Ctrl-D ends the chat."""

Fragments = list[tuple[str, str]]
OF_NUMBERS = ("snooze", "delete", "why")
OF_INSTRUMENTS = ("price", "alert", "chart", "compare", "ratio")
LEAVE = frozenset({"exit", "quit", "bye"})


def price_line(shown: Iterable[Shown], now: int, width: int) -> Fragments:
    """All prices, coloured by the day's direction, with the day's change where that fits; where not even the prices
    fit, as many as do. What all share that is not live is said once, in front; else each says its own."""
    shown = list(shown)
    if not shown:
        return [("class:quiet", "no prices yet")]
    natures = {each.nature for each in shown}
    common = natures.pop() if len(natures) == 1 else None
    front: Fragments = [("class:remark", f"{common.value}: ")] if common and common != Nature.LIVE else []
    for with_day in (True, False):
        parts = [_one_price(each, now, with_nature=common is None, with_day=with_day) for each in shown]
        line = [*front, *_joined(parts)]
        if _length(line) <= width:
            return line
    for count in range(len(parts) - 1, 0, -1):
        line = [*front, *_joined([*parts[:count], [("", "…")]])]
        if _length(line) <= width:
            return line
    return [*front, *parts[0]]


def _joined(parts: Sequence[Fragments]) -> Fragments:
    return [each for index, part in enumerate(parts) for each in ([("", GAP), *part] if index else part)]


def _one_price(each: Shown, now: int, *, with_nature: bool, with_day: bool) -> Fragments:
    day = round(each.day * 100, 2)
    style, arrow = ("class:up", "▲") if day > 0 else ("class:down", "▼") if day < 0 else ("class:quiet", "=")
    marks = [each.nature.value] if with_nature and each.nature != Nature.LIVE else []
    marks += [remark] if (remark := each.remark(now)) else []
    part: Fragments = [
        ("class:name", f"{safe(each.name)} "),
        (style, wording.price(each.price, each.decimals) + (f" {arrow}{abs(day):.2f} %" if with_day else arrow)),
    ]
    if marks:
        part.append(("class:remark", f" {' '.join(marks)}"))
    return part


def _length(fragments: Fragments) -> int:
    return sum(len(text) for _, text in fragments)


def choices(text: str, words: Vocabulary) -> list[tuple[str, str]]:
    """What the last word of `text` may become: (word, what it is)."""
    parts = text.lstrip().lstrip("/").split(" ")
    last, before = parts[-1].lower(), parts[:-1]
    if not before:
        known = words.commands | words.instruments
    elif before[0].lower() in OF_NUMBERS:
        known = words.alerts if len(before) == 1 else {}
    elif before[0].lower() in OF_INSTRUMENTS:
        known = words.instruments
    elif before[0].lower() == "help":
        known = words.commands
    else:
        known = {}
    return [(word, meta) for word, meta in known.items() if word.lower().startswith(last)]


# ---------------------------------------------------------------------------------------------- terminal


async def talk_on_terminal(config: Config, name: str, on_start: str, stop: asyncio.Event) -> int:
    """With a prompt, completion, history and the line of prices."""

    def show(lines: Sequence[Text], ring: bool) -> None:
        print_formatted_text(ANSI(ansi(lines, session.output.get_size().columns)), output=session.output)
        if ring:
            session.output.bell()
            session.output.flush()

    chat = chat_of(config, name, show)
    session = _session(chat, config.folder / "chat" / f"{subjects.token(name)}.history")
    first, *rest = (on_start or WELCOME).splitlines()
    with patch_stdout(raw=True):
        show([Text(first, style="bold"), *(Text(line) for line in rest)], False)
        async with kept(chat), _ended_by(stop, session):
            while not stop.is_set():
                try:
                    text = (await session.prompt_async(refresh_interval=REFRESH_S)).strip()
                except (EOFError, KeyboardInterrupt):
                    break
                if text.lower() in LEAVE:
                    break
                reply = await chat.say(text) if text else None
                if reply:
                    where = [Text(safe(line), style="green") for line in kept_in_chat(reply, config).splitlines()]
                    show([*rich_lines(reply, session.output.get_size().columns), *where], False)
    return 0


def _session(chat: Chat, history: Path) -> PromptSession[str]:
    class FromHub(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            text = document.text_before_cursor
            behind = len(text.lstrip("/").split(" ")[-1])
            for word, meta in choices(text, chat.words):
                yield Completion(word, start_position=-behind, display_meta=safe(meta))

    def message() -> StyleAndTextTuples:
        away: Fragments = [] if chat.connected.is_set() else [("class:remark", "no hub: ")]
        width = session.output.get_size().columns - _length(away)
        prices = price_line(chat.shown(), chat.now(), width)
        return [*away, *prices, ("", "\n"), ("class:prompt", "tocsin> ")]

    class WithoutAddresses(FileHistory):
        """An address may hold a token (`push add tgram://…`): its line is remembered until the chat ends, and no
        file keeps it."""

        def store_string(self, string: str) -> None:
            if "://" not in string:
                super().store_string(string)

    lines: History = InMemoryHistory()
    with suppress(OSError):
        history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = WithoutAddresses(str(history))
    style = Style.from_dict(
        {
            "name": "bold",
            "up": "ansigreen",
            "down": "ansired",
            "remark": "ansiyellow",
            "quiet": "ansibrightblack",
            "prompt": "bold",
        }
    )
    session: PromptSession[str] = PromptSession(
        message, completer=FromHub(), complete_while_typing=True, history=lines, style=style
    )
    return session


@asynccontextmanager
async def _ended_by(stop: asyncio.Event, session: PromptSession[str]) -> AsyncIterator[None]:
    """The prompt ends when `stop` is set, also while somebody types."""

    async def watch() -> None:
        await stop.wait()
        if session.app.is_running:
            session.app.exit(exception=EOFError)

    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watch())
        try:
            yield
        finally:
            watcher.cancel()
