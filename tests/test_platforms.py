"""Telegram, Discord and Slack at once, on real processes: alerts, outages, deaths, wrong tokens, and one person on all.

The hub is `tocsin run` with a process for each bot; the platforms are the strict fakes, served here. One hub goes
through all but the wrong tokens, each test at prices of its own above those before, so a test may stand alone; after
the last one Anna is one person. TOCSIN_TRIALS says how many rounds of deaths there are; with two or more every
platform's token is wrong once.
"""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bots import discord
from hub.model import Who
from hub.plugin import GiveUp
from tests.platforms import LEVEL, PLATFORMS, House, World, buttons, house, levels, words, world
from tests.waiting import until_true

ROUNDS = int(os.environ.get("TOCSIN_TRIALS") or 1)
WHO = {
    "telegram": Who(platform="telegram", id="7", name="Anna", address="7"),
    "discord": Who(platform="discord", id="5", name="User 5", address="user:5"),
    "slack": Who(platform="slack", id="UANNA", name="Anna", address="UANNA"),
}
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}")
BACK_S = 15.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with world() as made, house(tmp_path_factory.mktemp("hub"), made) as opened:
        yield opened


async def test_a_person_on_each_platform_sets_an_alert_and_hears_it(here: House) -> None:
    """A plain line or a slash command, the bell with level, both prices and source, and a button that does its work."""
    platforms = here.world
    await here.price(60_000)
    for name in PLATFORMS:
        await platforms.say(name, "btc > 61000")
        await platforms.heard(name, "is set")
    await here.price(61_500)
    for name in PLATFORMS:
        rung = await platforms.heard(name, "rose to 61,500.00 USD (level 61,000.00)")
        assert all(part in words(name, rung) for part in ("60,000.00 at", "61,500.00 at", "source desk"))
        assert {"15 min", "1 h", "Tomorrow", "Again", "+1 %", "Chart", "Mute", "Delete"} <= set(buttons(name, rung))
        await platforms.press(name, rung, "Delete")
    await until_true(lambda: deleted(here, 3), 15)
    assert here.rows("SELECT DISTINCT state FROM notifications") == [("sent",)]
    platforms.unbroken()


async def deleted(here: House, count: int) -> bool:
    return here.rows("SELECT count(*) FROM alerts WHERE state = 'deleted'") == [(count,)]


# ------------------------------------------------------------------------------------------------ outages


async def twenty(here: House, first: int) -> None:
    """Ten alerts above that thousand and ten above the next, of the person on each platform."""
    for name in PLATFORMS:
        for level in (*range(first + 1, first + 11), *range(first + 1001, first + 1011)):
            reply = await here.ask(f"btc > {level}", WHO[name])
            assert reply.ok, reply.lines


async def rung(platforms: World, name: str, level: int) -> bool:
    return level in platforms.rung(name)


async def another_second(moment: datetime) -> bool:
    return datetime.now(UTC).second != moment.second


async def test_platforms_that_were_cut_off_get_everything_once_in_order_and_grouped(here: House) -> None:
    """Sixty alerts ring over two prices while nobody listens, then while those who listen are ill."""
    platforms = here.world
    await here.price(62_900)
    await twenty(here, 63_000)
    mark = here.rows("SELECT coalesce(max(id), 0) FROM notifications")[0][0]
    before = {name: len(platforms.shown(name)) for name in PLATFORMS}
    for served in platforms.served.values():
        await served.shut()
    ticked = {63: await here.price(63_500)}
    await until_true(lambda: waiting(here, mark, 30), 10)
    for name in ("telegram", "discord"):
        platforms.served[name].ill = True
        await platforms.served[name].open()
    await until_true(lambda: another_second(ticked[63]), 2)
    ticked[64] = await here.price(64_500)
    await until_true(lambda: waiting(here, mark, 60), 10)
    await until_true(lambda: tried(here, mark, 2), 15)
    assert before == {name: len(platforms.shown(name)) for name in PLATFORMS}
    for name, served in platforms.served.items():
        served.ill = False
        if name == "slack":
            await served.open()
    begun = time.monotonic()
    expected = [*range(63_001, 63_011), *range(64_001, 64_011)]
    for name in PLATFORMS:
        await until_true(lambda name=name: rung(platforms, name, expected[-1]), 30)  # type: ignore[misc]
        rang = [message for message in platforms.shown(name)[before[name] :] if levels(name, message)]
        assert [level for message in rang for level in levels(name, message)] == expected
        assert len(rang) <= 2, f"{name} was flooded with {len(rang)} messages"
        told = [(level, near) for message in rang for level, near in with_evidence(name, message)]
        assert [level for level, near in told if f"{ticked[level // 1000]:%H:%M:%S}" in near] == expected, told
    print(f"told within {time.monotonic() - begun:.1f} s")
    await until_true(lambda: all_sent(here), 10)


def with_evidence(name: str, message: dict[str, Any]) -> list[tuple[int, str]]:
    """The level of each alert with its line, and the next one, where its evidence stands if there is room for any."""
    lines = [*words(name, message).split("\n"), ""]
    if name == "discord":
        del lines[0]
    found = []
    for line, after in pairwise(lines):
        level = LEVEL.search(line)
        if level:
            found.append((int(level[1].replace(",", "")), line if LEVEL.search(after) else f"{line}\n{after}"))
    return found


async def waiting(here: House, mark: int, count: int) -> bool:
    return here.rows(f"SELECT count(*) FROM notifications WHERE id > {mark}") == [(count,)]


async def tried(here: House, mark: int, times: int) -> bool:
    query = f"SELECT count(DISTINCT destination_id) FROM notifications WHERE id > {mark} AND attempts >= {times}"
    return here.rows(query) == [(3,)]


async def all_sent(here: House) -> bool:
    return here.rows("SELECT DISTINCT state FROM notifications") == [("sent",)]


# ------------------------------------------------------------------------------------------------- deaths


@pytest.mark.timeout(120 + 120 * ROUNDS)
async def test_bots_that_are_killed_are_back_in_seconds_and_tell_once_what_rang(here: House) -> None:
    """kill -9 of all three, before something rings and in the moment when a platform has taken it: only there may it
    come again, once, and not where the platform itself tells a repeat."""
    repeated: Counter[str] = Counter()
    platforms = here.world
    await here.price(65_900)
    core = here.children()["core"]["pid"]
    for low in range(66_000, 66_000 + 2_000 * ROUNDS, 2_000):
        for name in PLATFORMS:
            for level in (low, low + 1_000):
                assert (await here.ask(f"btc > {level}", WHO[name])).ok
        killed = {name: here.kill(f"bot.{name}") for name in PLATFORMS}
        await until_true(lambda killed=killed: dead(here, killed), 5)  # type: ignore[misc]
        await here.price(low + 500)
        await all_back(here, killed)
        for name in PLATFORMS:
            await until_true(lambda name=name, low=low: rung(platforms, name, low), 30)  # type: ignore[misc]
        killed = {}
        for name, served in platforms.served.items():
            served.taken = killing(here, name, killed)
        await here.price(low + 1_500)
        await until_true(lambda killed=killed: has(killed, PLATFORMS), 15)  # type: ignore[misc]
        await all_back(here, killed)
        await until_true(lambda: all_sent(here), 40)
        for name in PLATFORMS:
            assert Counter(platforms.rung(name))[low] == 1
            times = Counter(platforms.rung(name))[low + 1_000]
            assert times in ((1,) if name == "discord" else (1, 2)), f"{name} told it {times} times"
            repeated[name] += times - 1
    assert here.children()["core"]["pid"] == core, "the core is another one"
    assert f"{low + 1_500:,}" in str((await here.ask("price btc")).table)
    print(f"repeated where a platform had it already: {dict(repeated)}")


def killing(here: House, name: str, killed: dict[str, int]) -> Callable[[], Awaitable[None]]:
    async def kill() -> None:
        killed[name] = here.kill(f"bot.{name}")

    return kill


async def dead(here: House, killed: dict[str, int]) -> bool:
    children = here.children()
    return all(children[f"bot.{name}"]["pid"] != pid for name, pid in killed.items())


async def has(killed: dict[str, int], names: tuple[str, ...]) -> bool:
    return set(killed) == set(names)


async def all_back(here: House, killed: dict[str, int]) -> None:
    """The supervisor waits longer from death to death."""
    took = await asyncio.gather(*(here.back(f"bot.{name}", pid, 45) for name, pid in killed.items()))
    print("back after", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in zip(killed, took, strict=True)))
    assert ROUNDS > 1 or max(took) < BACK_S, took


# ------------------------------------------------------------------------------------------- wrong tokens

WRONG = {
    "telegram": ("TOCSIN_BOTS__TELEGRAM__TOKEN", "42:" + "B" * 35, "Telegram refuses the token"),
    "discord": ("TOCSIN_BOTS__DISCORD__TOKEN", "MTAwMDAwMDAw.Wrong0.entirely-wrong-token", "Discord refuses the token"),
    "slack": ("TOCSIN_BOTS__SLACK__TOKEN", "xoxb-9999-wrongAndUnknown", "the token is not one of Slack's"),
}


@pytest.mark.parametrize("wrong", PLATFORMS if ROUNDS > 1 else PLATFORMS[:1])
async def test_a_wrong_token_stops_its_own_bot_only_and_says_what_to_change(tmp_path: Path, wrong: str) -> None:
    """One line in the log and one in `status`, with the variable to set; no token in any log."""
    variable, token, cure = WRONG[wrong]
    others = [name for name in PLATFORMS if name != wrong]
    async with world() as platforms, house(tmp_path, platforms, without=wrong, **{variable: token}) as here:
        await here.price(60_000)
        for name in others:
            await platforms.say(name, "btc > 61000")
            await platforms.heard(name, "is set")
        await here.price(61_500)
        for name in others:
            await platforms.heard(name, "rose to 61,500.00 USD (level 61,000.00)")
        ended = f"bot.{wrong}"
        await until_true(lambda: restarted(here, ended, 2), 20)
        said = [line for line in here.events("a child ended") if line["child"] == ended]
        assert len(said) == 1 and cure in said[0]["how"] and cured(said[0]["how"]), said
        status = await here.ask("status")
        (shown,) = [line for line in status.lines if cure in line]
        assert ended in shown and cured(shown)
        assert not any(line["child"] != ended for line in here.events("a child ended"))
        logs = "\n".join(path.read_text() for path in [here.log, *tmp_path.rglob("*.log")])
    assert not [secret for secret in {**platforms.tokens, variable: token}.values() if secret in logs]


def cured(sentence: str) -> bool:
    """Nothing of what to do was taken for a secret."""
    return "***" not in sentence


async def restarted(here: House, child: str, times: int) -> bool:
    state = here.children()[child]
    return int(state["restarts"]) >= times and bool(state["reason"])


# the library imports a module that Python 3.13 no longer has
@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
@pytest.mark.parametrize("wrong", [{"api": "ftp://proxy"}, {"gateway": "https://proxy"}])
async def test_discord_by_way_of_what_is_no_such_address_is_refused(wrong: dict[str, str]) -> None:
    """With the setting and how it has to begin; the library keeps its own addresses."""
    with pytest.raises(GiveUp, match=f"{next(iter(wrong))} of the Discord bot .* it begins with"):
        discord.open_bot(discord.Settings(token="not.a.token", **wrong))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ linking


async def test_a_person_on_three_platforms_has_one_book_and_says_where_it_rings(here: House) -> None:
    """A code made on one joins on the others; one list; `via telegram` rings only there."""
    platforms = here.world
    low = 67_000 + 2_000 * ROUNDS
    await here.price(low - 100)
    await here.serving()
    rang = {name: len(platforms.rung(name)) for name in PLATFORMS}
    for name in PLATFORMS:
        await platforms.say(name, f"btc > {low}" if name != "slack" else f"btc > {low + 1_000} via slack")
        await platforms.heard(name, f"{low:,}" if name != "slack" else f"{low + 1_000:,}")
    for name in ("discord", "slack"):
        before = len(platforms.shown("telegram"))
        await platforms.say("telegram", "/link")
        offered = await platforms.heard("telegram", "link ", after=before)
        code = CODE.search(words("telegram", offered))
        assert code, words("telegram", offered)
        before = len(platforms.shown(name))
        await platforms.say(name, f"link {code[0]}")
        await platforms.heard(name, "Become one person with Anna?", after=before)
        await platforms.say(name, f"link {code[0]} yes")
        await platforms.heard(name, "You are Anna here too", after=before)
    assert here.rows("SELECT count(DISTINCT owner_id) FROM alerts") == [(1,)]
    for name in PLATFORMS:
        before = len(platforms.shown(name))
        await platforms.say(name, "alerts")
        listed = words(name, await platforms.heard(name, "Your alerts", after=before))
        assert f"{low:,}.00" in listed and f"{low + 1_000:,}.00" in listed, listed
    await platforms.say("discord", f"btc > {low + 2_000} via telegram")
    await platforms.heard("discord", f"{low + 2_000:,}")
    for price in (low + 500, low + 1_500, low + 2_500):
        await here.price(price)
    mine = {"telegram": [low, low + 2_000], "discord": [low], "slack": [low, low + 1_000]}
    for name, expected in mine.items():
        await until_true(lambda name=name, last=expected[-1]: rung(platforms, name, last), 15)  # type: ignore[misc]
    await until_true(lambda: all_sent(here), 15)
    assert {name: platforms.rung(name)[rang[name] :] for name in PLATFORMS} == mine
