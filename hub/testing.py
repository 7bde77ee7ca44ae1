"""Contract checks for whatever is interchangeable, for our own tests and for authors of plugins.

Each `check_*` is a plain function that runs over every implementation and every fake of a contract, and fails
with a sentence that says which promise was broken. Nothing in the hub itself imports this module.
"""

import asyncio
from collections.abc import Awaitable, Callable

from hub.cache import Cache
from hub.model import Line, Reply
from hub.plugin import BotModule, Command, GiveUp, TryLater

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

    async def publish(self, subject: str, payload: bytes) -> None:
        return


# ------------------------------------------------------------------------------------------------ cache


async def check_cache(cache: Cache, pass_time: Callable[[float], Awaitable[None]]) -> None:
    """`cache` is empty; `pass_time` lets so many seconds go by for it."""
    await _check_values(cache, pass_time)
    await _check_counters(cache, pass_time)
    await _check_boards(cache)


async def _check_values(cache: Cache, pass_time: Callable[[float], Awaitable[None]]) -> None:
    assert await cache.get("value") is None, "an absent key is None"
    await cache.set("value", b"\x00one", 10)
    assert await cache.get("value") == b"\x00one", "what was set is read"
    await pass_time(6)
    await cache.set("value", b"two", 10)
    await pass_time(6)
    assert await cache.get("value") == b"two", "setting again replaces the value and its time to live"
    await pass_time(6)
    assert await cache.get("value") is None, "a value ends with its time to live"
    await cache.set("kept", b"")
    await pass_time(1000)
    assert await cache.get("kept") == b"", "without a time to live a value stays, also an empty one"
    await cache.delete("kept")
    await cache.delete("kept")
    assert await cache.get("kept") is None, "what was deleted is gone; deleting it again is nothing"


async def _check_counters(cache: Cache, pass_time: Callable[[float], Awaitable[None]]) -> None:
    totals = await asyncio.gather(*(cache.add("count", 2, 10) for _ in range(20)))
    assert sorted(totals) == list(range(2, 41, 2)), "counting is atomic: each sees a total of its own"
    await pass_time(6)
    assert await cache.add("count", -1, 10) == 39, "a counter goes down as well"
    await pass_time(6)
    assert await cache.add("count", 5, 10) == 5, "a counter's window is not prolonged by counting"


async def _check_boards(cache: Cache) -> None:
    assert await cache.top("board", 3) == [], "an absent board is empty"
    for member, score in (("b", 1.5), ("a", 1.5), ("c", -2.0), ("d", 9.0)):
        await cache.rank("board", member, score)
    await cache.rank("board", "d", 0.0)
    assert await cache.top("board", 3) == [("a", 1.5), ("b", 1.5), ("d", 0.0)], "highest first, equals by name"
    assert len(await cache.top("board", 10)) == 4, "asking for more than there is gets what there is"
    assert await cache.top("other", 3) == [], "boards are separate"
