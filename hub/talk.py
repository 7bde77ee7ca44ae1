"""Talking to a running hub from this machine: `tocsin ask`, `tocsin status`, `tocsin chat`.

A hub is found by `<folder>/run/hub.json`, which its supervisor writes. Where none runs but the folder holds data,
`ask` and `chat` start one without feeds for as long as they need it. Exit codes: 0 answered, 1 the request was
refused, 2 no hub. Promises: answers go to stdout, everything else to stderr or a file. Depends on NATS; never opens
a database.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import msgspec

from hub import bus as subjects
from hub.bus import Bus, connect
from hub.config import Config
from hub.model import Line, Reply, Who
from hub.plugin import TryLater

OPERATOR = "operator"
CONSOLE = "console"
OWN_ROLES = ("record", "alert", "commands")  # of a hub for one person: no feeds, and nothing is sent
DATA = ("ledger.db", "history.db")
ANSWER_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
LONGEST_NAME = 60

ANSWERED, REFUSED, NO_HUB = 0, 1, 2


class HubAddress(msgspec.Struct, frozen=True):
    """Where a running hub is reached. `pid` 0: it is not of this machine."""

    pid: int
    bus_url: str
    bus_token: str = ""


class NoHub(Exception):
    """There is nobody to talk to; the sentence says what to do."""


def find_hub(folder: Path) -> HubAddress | None:
    """The hub that runs on this data folder; None if there is none, or only what a dead one left behind."""
    try:
        found = msgspec.json.decode((folder / "run" / "hub.json").read_bytes(), type=HubAddress)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if _alive(found.pid) else None


def address_of(config: Config) -> HubAddress | None:
    """The hub of this configuration: the one on its folder, else the one on its bus."""
    found = find_hub(config.folder)
    if found or not config.bus.url:
        return found
    return HubAddress(pid=0, bus_url=config.bus.url, bus_token=config.bus.token)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives, under another account
    return True


async def say(bus: Bus, text: str, name: str) -> Reply:
    """One line as that person of this machine; TryLater when no hub answers."""
    who = Who(platform=CONSOLE, id=name, name=name)
    return await bus.request(subjects.LINE, Line(text=text, who=who), Reply, ANSWER_TIMEOUT_S)


async def ask(
    words: str, *, config: Config, name: str | None = None, as_json: bool = False, save: Path | None = None
) -> int:
    """Asks one line and prints the answer; the exit code. A picture or a file in it goes to `save`, a file or a folder;
    by default into the current folder."""
    try:
        async with _reach(config) as bus:
            reply = await say(bus, words, name or OPERATOR)
    except NoHub as error:
        print(error, file=sys.stderr)
        return NO_HUB
    except TryLater as error:
        print(f"the hub on {config.folder} does not answer: {error.reason}", file=sys.stderr)
        return NO_HUB
    try:
        paths, trouble = saved(reply, Path(), save), ""
    except OSError as error:
        paths, trouble = [], unsaved(error)
    put(as_document(reply, paths) if as_json else as_text(reply, terminal_width()))
    if paths and not as_json:
        put(told_saved(paths))
    if save and not trouble and not paths:
        trouble = f"the answer holds no picture and no file: nothing was saved to {save}" if reply.ok else ""
    if trouble:
        print(trouble, file=sys.stderr)
    return ANSWERED if reply.ok and not trouble else REFUSED


async def status(config: Config) -> int:
    return await ask("status", config=config)


async def chat(
    config: Config, name: str | None = None, *, on_start: str = "", stop: asyncio.Event | None = None
) -> int:
    """Talks until the person ends it (Ctrl-D, Ctrl-C) or `stop` is set; sets `stop` when it ends, so that whoever
    embeds it ends too. Without a terminal it answers the lines of stdin in plain text."""
    alone = stop is None
    stop = stop or asyncio.Event()
    try:
        async with AsyncExitStack() as stack:
            if address_of(config) is None:
                if not _holds_data(config.folder):
                    raise NoHub(_nobody(config.folder))
                print("no hub runs here: one without feeds is started for this chat …", file=sys.stderr, flush=True)
                await stack.enter_async_context(_own_hub(config))
            elif alone:
                stack.enter_context(_log_to_file(config))
            if sys.stdin.isatty() and sys.stdout.isatty():
                from hub.terminal import talk_on_terminal as talk
            else:
                from hub.chat import talk_in_lines as talk
            return await talk(config, name or OPERATOR, on_start, stop)
    except NoHub as error:
        print(error, file=sys.stderr)
        return NO_HUB
    finally:
        stop.set()


@contextmanager
def _log_to_file(config: Config) -> Iterator[None]:
    """A log line between the lines of a conversation would tear it apart."""
    from hub import logs

    try:
        folder = config.folder / "chat"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = (folder / "chat.log").open("a")
    except OSError:  # a folder that cannot be written costs the log, not the chat
        yield
        return
    with log:
        logs.setup("json", config.hub.log_level, process="chat", stream=log)
        try:
            yield
        finally:
            logs.setup(config.hub.log, config.hub.log_level, process="chat")


@asynccontextmanager
async def _reach(config: Config) -> AsyncIterator[Bus]:
    """The bus of the running hub, or of one that is started for this and stopped behind it; NoHub."""
    address = address_of(config)
    if address:
        async with connect(address.bus_url, address.bus_token or None, "ask", patience_s=CONNECT_TIMEOUT_S) as bus:
            yield bus
        return
    if not _holds_data(config.folder):
        raise NoHub(_nobody(config.folder))
    async with _own_hub(config) as address, connect(address.bus_url, address.bus_token or None, "ask") as bus:
        yield bus


def _holds_data(folder: Path) -> bool:
    return any((folder / name).exists() for name in DATA)


def _nobody(folder: Path) -> str:
    return f"no hub runs on {folder} and it holds no data: start one with `tocsin run` or `make demo`"


@asynccontextmanager
async def _own_hub(config: Config) -> AsyncIterator[HubAddress]:
    from hub import logs
    from hub.broker import BrokerProblem
    from hub.supervise import HubProblem, Supervisor

    with (config.folder / "ask.log").open("a") as log:
        logs.setup("json", config.hub.log_level, process="ask", stream=log)
        hub = Supervisor(config, roles=OWN_ROLES, log_to=config.folder / "ask.log")
        try:
            await hub.start()
        except (HubProblem, BrokerProblem) as error:
            raise NoHub(str(error)) from error
        try:
            yield HubAddress(pid=os.getpid(), bus_url=hub.bus_url, bus_token=hub.bus_token)
        finally:
            await hub.stop()
            logs.setup(config.hub.log, config.hub.log_level, process="ask")


def as_text(reply: Reply, width: int | None = None) -> str:
    from hub.render import plain

    return plain(reply, width)


def terminal_width() -> int | None:
    """Of the terminal that reads the answer; None where a program does, which wants a row on a line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def as_document(reply: Reply, paths: Sequence[Path] = ()) -> str:
    """The reply for programs: always the same keys. `paths` are where its picture and its file were saved."""
    document = {
        "ok": reply.ok,
        "title": reply.title,
        "lines": reply.lines,
        "table": reply.table,
        "buttons": reply.buttons,
        "facts": reply.facts,
        "saved": [str(path) for path in paths],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


# ------------------------------------------------------------------------------------ pictures and files


def saved(reply: Reply, folder: Path, asked: Path | None = None) -> list[Path]:
    """Where the reply's picture and file were written to: `asked`, or a name of its own in `folder`. What is there is
    never written over: OSError where `asked` is there, another number behind a name of our own. What is private to a
    person is readable to this account alone."""
    contents = [(f"{_name(reply.title) or 'chart'}.png", reply.image)] if reply.image else []
    if reply.file:
        stem, dot, ending = reply.file.name.rpartition(".")
        name = f"{_name(stem) or 'file'}.{_name(ending)}" if dot else _name(ending) or "file"
        contents.append((name, reply.file.content))
    paths = []
    for name, content in contents:
        if asked and not asked.is_dir():
            path, asked = asked, None  # a file beside the picture goes by its own name
            _write(path, content, reply.private)
        else:
            path = _write_new(asked or folder, name, content, reply.private)
        paths.append(path)
    return paths


def _write_new(folder: Path, name: str, content: bytes, private: bool) -> Path:
    stem, dot, ending = name.rpartition(".")
    for number in count(1):
        path = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}" if dot else f"{name}-{number}")
        try:
            _write(path, content, private)
        except FileExistsError:
            continue
        return path
    raise AssertionError("numbers do not end")


def _write(path: Path, content: bytes, private: bool) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600 if private else 0o666)) as file:
        file.write(content)


def _name(text: str) -> str:
    """As a part of a file's name: letters and digits of any language, "-" for the rest."""
    return "-".join("".join(one if one.isalnum() else " " for one in text.lower()).split())[:LONGEST_NAME]


def told_saved(paths: Sequence[Path]) -> str:
    return "\n".join(f"Saved: {path}" for path in paths)


def unsaved(error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return f"{error.filename} is there already and was left as it is: name another file with --save"
    return f"{error.filename} cannot be written: {error.strerror}"


def kept_in_chat(reply: Reply, config: Config) -> str:
    """What a chat says of the reply's picture and file, which it keeps in the data folder; nothing if it has none."""
    if not (reply.image or reply.file):
        return ""
    folder = config.folder / "chat"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return told_saved(saved(reply, folder))
    except OSError as error:
        return unsaved(error)


def put(text: str) -> None:
    """To stdout, also where it cannot show every character."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
