"""Contract checks for whatever is interchangeable, for our own tests and for authors of plugins.

Each `check_*` is a plain function that runs over every implementation and every fake of a contract, and fails
with a sentence that says which promise was broken. The checks of histories and of caches have rooms of their
own. Nothing in the hub itself imports this module.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from hub.model import Line, Menu, Nature, Refused, Reply, Tick
from hub.normalize import price_of
from hub.plugin import BotModule, Command, Feed, GiveUp, TryLater
from hub.testing.cache import check_cache
from hub.testing.frames import DAY_US, EVER, MINUTE_US, NOON_US, frame_of, same_candles
from hub.testing.history import OpenHistory, check_history

__all__ = [
    "DAY_US",
    "EVER",
    "LONGEST_BUTTON_BYTES",
    "LONGEST_REPLY",
    "LONGEST_SUMMARY",
    "MINUTE_US",
    "NOON_US",
    "OpenHistory",
    "check_bot",
    "check_cache",
    "check_command",
    "check_feed",
    "check_history",
    "check_reply",
    "frame_of",
    "same_candles",
]

# ---------------------------------------------------------------------------------------------- commands

LONGEST_SUMMARY = 100
LONGEST_BUTTON_BYTES = 64
LONGEST_REPLY = 8_000
"""Characters of a reply's title, lines and table together: what every platform can still cut sensibly."""


async def check_command(command: Command, ask: Callable[[str], Awaitable[Reply]]) -> None:
    """A command names itself in its usage and examples, and each example gets a reply that can be shown: an
    answer, or a refusal in words. `ask` runs a line as a person would."""
    assert isinstance(command.SUMMARY, str), "SUMMARY is a text"
    assert 0 < len(command.SUMMARY) <= LONGEST_SUMMARY, f"SUMMARY has 1 to {LONGEST_SUMMARY} characters"
    assert "\n" not in command.SUMMARY, "SUMMARY is one line"
    assert command.USAGE.split()[0] == command.NAME, f'USAGE begins with the name "{command.NAME}"'
    assert command.EXAMPLES, "there is at least one example"
    for example in command.EXAMPLES:
        assert example.split()[0] == command.NAME, f'the example "{example}" begins with the command\'s name'
        check_reply(await ask(example), f'the reply to "{example}"')


def check_reply(reply: Reply, what: str = "the reply") -> None:
    """A reply that every platform can show."""
    said = [reply.title, *reply.lines, *(cell for row in reply.table for cell in row)]
    assert any(said) or reply.image, f"{what} says something"
    assert sum(map(len, said)) <= LONGEST_REPLY, f"{what} has at most {LONGEST_REPLY} characters"
    assert reply.ok or reply.lines, f"{what} refuses without a word why"
    assert len({len(row) for row in reply.table}) <= 1, f"{what} has a table whose rows are equally long"
    for button in reply.buttons:
        size = len(button.line.encode())
        assert size <= LONGEST_BUTTON_BYTES, f"{what} has the button {button.line!r} of {size} bytes, 64 is the most"
    assert "failed: it was logged" not in " ".join(reply.lines), f"{what} is that the command failed"


# ------------------------------------------------------------------------------------------------ feeds


async def check_feed(
    feed: Feed, symbols: Mapping[str, str], settings: Any = None, *, updates: int = 3, within_s: float = 10.0
) -> list[Tick | Refused]:
    """A feed emits what its contract allows, holds still while `emit` waits, and lets itself be cancelled there.
    `settings` are its defaults if absent, and name a source that gives more than `updates` within `within_s`. Returns
    what was taken."""
    assert isinstance(feed.NATURE, Nature), "NATURE is one of hub.model.Nature"
    taken: list[Tick | Refused] = []
    waiting = 0
    full = asyncio.Event()

    async def emit(item: Tick | Refused) -> None:
        nonlocal waiting
        if len(taken) == updates:
            waiting += 1
            full.set()
            await asyncio.Event().wait()
        taken.append(item)

    running = asyncio.ensure_future(feed.run(feed.Settings() if settings is None else settings, symbols, emit, {}))
    filling = asyncio.ensure_future(full.wait())
    await asyncio.wait({running, filling}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    filling.cancel()
    if running.done():
        error = None if running.cancelled() else running.exception()
        raise AssertionError(f"run() ended after {len(taken)} updates{f': {error!r}' if error else ''}") from error
    await asyncio.wait({running}, timeout=0.05)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=5)
    assert done, "run() lets itself be cancelled within 5 s, also while emit waits"
    assert running.cancelled(), "run() that is cancelled ends with the cancellation and no other error"
    assert waiting, f"{len(taken)} updates came within {within_s:g} s, more than {updates} were expected"
    assert waiting <= max(len(symbols), 1), f"{waiting} calls of emit wait at once: a full hub has to hold the source"
    _check_updates(taken, symbols)
    return taken


def _check_updates(updates: Iterable[Tick | Refused], symbols: Mapping[str, str]) -> None:
    newest: dict[tuple[str, str, int], int] = {}
    for item in updates:
        if isinstance(item, Refused):
            assert item.reason.strip(), "a refusal has a reason"
            continue
        assert not symbols or item.instrument in symbols, f"{item.instrument} was not asked for"
        problem = price_of(item, time.time_ns() // 1000)
        assert not isinstance(problem, str), f"{item} is no tick but a refusal: {problem}"
        if item.number is not None:
            lane = (item.source, item.instrument, item.kind)
            assert item.number > newest.get(lane, -1), f"the number {item.number} of {item.instrument} does not grow"
            newest[lane] = item.number


# ------------------------------------------------------------------------------------------------- bots


async def check_bot(module: BotModule) -> None:
    """A bot's module opens with its defaults, names its platforms as words, and its listening side waits until it
    is cancelled, then ends at once."""
    assert module.PLATFORMS, "PLATFORMS names at least one platform"
    for platform in module.PLATFORMS:
        assert platform.isidentifier() and platform.islower(), f"the platform {platform!r} is a word in lower case"
    bot = module.open_bot(module.Settings())
    listening = asyncio.ensure_future(bot.run(_NoHub()))
    done, _ = await asyncio.wait({listening}, timeout=0.05)
    if done:
        error = listening.exception()
        assert isinstance(error, TryLater | GiveUp), (
            f"run() ends only when it is cancelled, or with a reason: {error!r}"
        )
        return
    listening.cancel()
    done, _ = await asyncio.wait({listening}, timeout=5)
    assert done and listening.cancelled(), "run() lets itself be cancelled, within 5 s and without another error"


class _NoHub:
    """A hub that answers nothing, so that a bot is looked at by itself."""

    async def ask(self, line: Line) -> Reply:
        raise TryLater("no hub answers in a contract check")

    async def menu(self) -> Menu:
        raise TryLater("no hub answers in a contract check")

    async def publish(self, subject: str, payload: bytes) -> None:
        return
