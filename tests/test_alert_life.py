"""The life of an alert: what each change of it leaves in its row, in its history, and in what it hears afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from hub import reader
from hub.bus import Bus, connect
from hub.config import Config
from hub.engine import Engine
from hub.ledger import Ledger, open_ledger, people
from hub.ledger import tables as t
from hub.model import SECOND_US, AlertAnswer, AlertChange, State, Who
from tests.board_stage import Stage
from tests.streams import START, Stream
from tests.test_engine import ask, history, refused, rung, running, through

if TYPE_CHECKING:
    from tests.conftest import NatsServer

FAR_US = START + 90_000 * SECOND_US


class Life:
    """One alert on gold, its engine and its ledger. A frame is a thousand seconds."""

    def __init__(self, bus: Bus, ledger: Ledger, owner: int) -> None:
        self.bus, self.ledger, self.owner = bus, ledger, owner
        self.stream = Stream(bus)
        self.id = 0
        self.engine: Engine

    async def begin(self, line: str = "gold > 2400 every time", price: float = 2390) -> None:
        await self.tell(price)
        self.id = (await ask(self.engine, self.owner, line=line)).alert.id

    async def tell(self, *prices: float) -> None:
        await through(self.engine, await self.stream.tell(*prices))

    async def do(self, action: Any, **more: Any) -> State:
        if action in ("mute", "unmute"):
            change = AlertChange(
                action=action, owner_id=self.owner, user_id=1, user_name="anna", instrument="XAU-USD", **more
            )
            payload = await self.engine.answer(msgspec.json.encode(change))
            assert msgspec.json.decode(payload, type=AlertAnswer).alerts
            return await self.state()
        return (await ask(self.engine, self.owner, action, alert_id=self.id, **more)).alert.state

    async def row(self) -> Any:
        (row,) = await self.ledger.read(lambda c: c.execute(sa.select(t.alerts).where(t.alerts.c.id == self.id)).all())
        return row

    async def state(self) -> State:
        return State((await self.row()).state)

    async def lines(self) -> list[str]:
        return await history(self.ledger, self.id)

    async def rang(self) -> list[float]:
        return [price for _, _, price in await rung(self.ledger)]


@pytest.fixture
async def life(nats_server: "NatsServer", tmp_path: Path) -> AsyncIterator[Life]:
    async with (
        open_ledger(Config(folder=tmp_path / "data")) as ledger,
        connect(nats_server.url, nats_server.token, "test") as bus,
    ):
        await reader.ensure_streams(bus, lambda: "first", 100_000_000)
        user = await ledger.write(lambda c: people.user_of(c, Who(platform="console", id="operator"), 1))
        life = Life(bus, ledger, user.owner_id)
        async with running(bus, ledger) as life.engine:
            yield life


# ----------------------------------------------------------------------------------------- silence and its end

SILENCES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], State, tuple[str, ...]]] = {
    "paused": ("pause", {}, "wake", {}, State.PAUSED, ("paused by anna", "woken by anna")),
    "snoozed": (
        "snooze", {"until": FAR_US}, "wake", {}, State.SNOOZED,
        ("snoozed until 2023-11-15 23:13 UTC by anna", "woken by anna"),
    ),
    "muted": ("mute", {}, "unmute", {}, State.MUTED, ("muted by anna", "unmuted by anna")),
    "deleted": ("delete", {}, "restore", {}, State.DELETED, ("deleted by anna", "restored by anna")),
}  # fmt: skip


@pytest.mark.parametrize("which", SILENCES)
async def test_after_a_silence_the_first_value_sets_the_side_and_fires_nothing(which: str, life: Life) -> None:
    """Whatever was crossed meanwhile; each change is one line of its history."""
    begin, how, end, why, silent, lines = SILENCES[which]
    await life.begin()
    assert await life.do(begin, **how) is silent
    assert (await life.state(), (await life.row()).up_armed) == (silent, None if which != "deleted" else True)
    await life.tell(2410, 2390, 2405)
    assert await life.do(end, **why) is State.ARMED
    await life.tell(2411, 2420)
    assert (await life.rang(), await life.state()) == ([], State.FIRED)
    await life.tell(2390, 2402)
    assert await life.rang() == [2402]
    assert (await life.lines())[1:] == [
        *lines, "takes its side from 2,411.00 USD", "armed at 2,390.00 USD",
        "rang: Gold rose to 2,402.00 USD (level 2,400.00)",
    ]  # fmt: skip


@pytest.mark.parametrize("which", ["snooze", "mute"])
async def test_a_silence_ends_by_the_streams_clock_with_a_line_of_its_own(which: str, life: Life) -> None:
    """The value at its end sets the side."""
    await life.begin()
    await life.do(which, until=START + 2_500 * SECOND_US)
    await life.tell(2410)
    await life.tell(2420, 2390, 2401)
    assert await life.rang() == [2401]
    assert (await life.lines())[2:] == [
        "its silence is over: the next value sets its side", "takes its side from 2,420.00 USD",
        "armed at 2,390.00 USD", "rang: Gold rose to 2,401.00 USD (level 2,400.00)",
    ]  # fmt: skip


async def test_a_snooze_beneath_a_mute_is_told_when_the_mute_ends(life: Life) -> None:
    """And goes on."""
    await life.begin()
    await life.do("snooze", until=START + 3_500 * SECOND_US)
    await life.do("mute", until=START + 5_500 * SECOND_US)
    await life.do("snooze", until=START + 6_500 * SECOND_US)
    life.stream.number = 5
    await life.tell(2410)
    assert (await life.state(), (await life.lines())[-1]) == (State.SNOOZED, "its mute is over; its snooze goes on")
    await life.tell(2411)
    assert (await life.state(), (await life.lines())[-2:]) == (
        State.FIRED, ["its silence is over: the next value sets its side", "takes its side from 2,411.00 USD"],
    )  # fmt: skip


@pytest.mark.parametrize("which", SILENCES)
async def test_a_silence_survives_a_death(which: str, life: Life) -> None:
    """With all that its row says."""
    begin, how, end, why, silent, _ = SILENCES[which]
    await life.begin()
    await life.do(begin, **how)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2410, 2390, 2405)
        assert (await life.state(), await life.rang()) == (silent, [])
        await life.do(end, **why)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2411, 2390, 2402)
    assert await life.rang() == [2402]


# ------------------------------------------------------------------------------------------ deletion and undo


@pytest.mark.parametrize(
    ("which", "how", "state"),
    [
        ("pause", {}, State.PAUSED),
        ("snooze", {"until": FAR_US}, State.SNOOZED),
        ("mute", {"until": FAR_US}, State.MUTED),
        ("mute", {}, State.MUTED),
    ],
)
async def test_a_deletion_that_is_undone_leaves_what_was_silent_silent(
    which: str, how: dict[str, Any], state: State, life: Life
) -> None:
    """For the rest of its time, also through a death."""
    await life.begin()
    await life.do(which, **how)
    before = await life.row()
    await life.do("delete")
    assert await life.do("restore") is state
    after = await life.row()
    assert (after.snoozed_until, after.muted_until) == (before.snoozed_until, before.muted_until)
    await life.tell(2410, 2390, 2405)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2390, 2405)
        assert await life.rang() == []
        await life.do("unmute" if which == "mute" else "wake")
        await life.tell(2390, 2405)
    assert await life.rang() == [2405]


async def test_a_snooze_that_ended_while_it_was_deleted_is_over(life: Life) -> None:
    """It is live again."""
    await life.begin()
    await life.do("snooze", until=START + SECOND_US)
    await life.do("delete")
    life.engine.now_us = lambda: START + 2 * SECOND_US
    assert await life.do("restore") is State.ARMED


async def test_what_was_done_or_expired_is_that_again(life: Life) -> None:
    """Nothing is armed that was over."""
    await life.begin("gold > 2400 until 2023-11-15T00:00Z")
    await life.tell(2400)
    assert await life.state() is State.DONE
    await life.do("delete")
    assert await life.do("restore") is State.DONE
    await life.do("again")
    life.stream.number = 10
    await life.tell(2390)
    assert await life.state() is State.EXPIRED
    await life.do("delete")
    assert await life.do("restore") is State.EXPIRED


# ----------------------------------------------------------------------------------------------- expiry


async def test_an_alert_whose_time_is_over_says_so(life: Life) -> None:
    """Once, to its owner: what does not ring any more does not just fall silent."""
    await life.begin("gold > 2400 every time until 2023-11-15T00:00Z")
    life.stream.number = 6
    await life.tell(2390)
    assert await life.state() is State.EXPIRED
    assert (await life.lines())[-1] == "its time is over"
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2410)
    assert await life.rang() == []
    told = await life.ledger.read(lambda c: c.execute(sa.select(t.notifications.c.title, t.notifications.c.text)).all())
    assert [tuple(row) for row in told] == [
        (
            f"Alert {life.id} is over: it was to watch until 2023-11-15 00:00:00 UTC",
            f"XAU-USD > 2400 every time until 2023-11-15T00:00Z\nIt did not ring.\nedit {life.id} gives it more time.",
        )
    ]


@pytest.mark.parametrize("which", ["snooze", "mute"])
async def test_time_is_over_for_the_silent_too(which: str, life: Life) -> None:
    """A silence makes nobody live longer."""
    await life.begin("gold > 2400 until 2023-11-15T00:00Z")
    await life.do(which, until=FAR_US)
    life.stream.number = 6
    await life.tell(2390)
    assert await life.state() is State.EXPIRED
    life.stream.number = 95
    await life.tell(2390, 2410)
    assert (await life.rang(), await life.state()) == ([], State.EXPIRED)


async def test_a_paused_alert_whose_time_is_over_is_over_when_it_goes_on(life: Life) -> None:
    """Before anything else that comes."""
    await life.begin("gold > 2400 until 2023-11-15T00:00Z")
    await life.do("pause")
    life.stream.number = 6
    await life.tell(2390)
    await life.do("wake")
    await life.tell(2410)
    assert (await life.rang(), await life.state()) == ([], State.EXPIRED)


async def test_what_is_over_is_not_armed_again_without_more_time(life: Life) -> None:
    """It would be over at once; an edit gives it more."""
    await life.begin("gold > 2400 until 2023-11-15T00:00Z")
    life.stream.number = 6
    await life.tell(2390)
    for action, more in (("again", {}), ("snooze", {"until": FAR_US})):
        said = await refused(life.engine, life.owner, action, alert_id=life.id, **more)
        assert said == f"the time of alert {life.id} is over (2023-11-15T00:00Z): edit it to give it more"
    assert await life.do("edit", line="gold > 2400 until 2023-12-01T00:00Z") is State.ARMED
    await life.tell(2390, 2400)
    assert await life.rang() == [2400]


# ---------------------------------------------------------------------------------------------- cooldown


async def test_the_end_of_a_cooldown_is_a_line_of_its_history_once(life: Life) -> None:
    """Also where the engine died before, and after."""
    await life.begin("gold > 2400 at most every 15m")
    await life.tell(2400, 2390, 2401)
    assert (await life.rang(), await life.state()) == ([2400], State.COOLING)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2390)
        assert (await life.state(), (await life.row()).cooling_until) == (State.ARMED, None)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2400)
    cooled = "it has been silent long enough after it rang: it may ring again"
    lines = await life.lines()
    assert (lines.count(cooled), lines.index(cooled)) == (1, len(lines) - 3)
    assert await life.rang() == [2400, 2400]


@pytest.mark.parametrize("which", SILENCES)
async def test_a_silence_does_not_shorten_a_cooldown(which: str, life: Life) -> None:
    """At most once in that time is a promise; death or not."""
    begin, how, end, why, _, _ = SILENCES[which]
    await life.begin("gold > 2400 at most every 1h")
    await life.tell(2400)
    await life.do(begin, **how)
    async with running(life.bus, life.ledger) as life.engine:
        await life.do(end, **why)
        assert await life.state() is State.COOLING
        await life.tell(2390, 2401)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2390, 2402)
        assert await life.rang() == [2400]
        life.stream.number = 7
        await life.tell(2390, 2403)
    assert await life.rang() == [2400, 2403]


async def test_arming_again_by_hand_ends_a_cooldown(life: Life) -> None:
    """Who writes `again` wants to hear."""
    await life.begin("gold > 2400 at most every 1h")
    await life.tell(2400, 2390)
    await life.do("again")
    await life.tell(2401)
    assert await life.rang() == [2400, 2401]


# ------------------------------------------------------------------------------------ snoozing what is over


async def test_snoozing_what_was_done_takes_its_room_again(life: Life) -> None:
    """So nobody has more alerts than there is room for."""
    await life.begin("gold > 2400")
    await life.tell(2400)
    for level in range(2500, 3000, 100):
        await ask(life.engine, life.owner, line=f"gold > {level}")
    said = await refused(life.engine, life.owner, "snooze", alert_id=life.id, until=FAR_US)
    assert said.startswith("5 alerts are the limit")
    await ask(life.engine, life.owner, "delete", alert_id=life.id + 1)
    assert await life.do("snooze", until=FAR_US) is State.SNOOZED
    assert "limit" in await refused(life.engine, life.owner, "restore", alert_id=life.id + 1)


async def test_there_are_never_two_alerts_of_the_same_words(life: Life) -> None:
    """Neither by a snooze of what was done nor by an undo."""
    await life.begin("gold > 2400")
    await life.tell(2400)
    second = (await ask(life.engine, life.owner, line="gold > 2400")).alert.id
    assert str(second) in await refused(life.engine, life.owner, "snooze", alert_id=life.id, until=FAR_US)
    await ask(life.engine, life.owner, "pause", alert_id=second)
    await ask(life.engine, life.owner, "delete", alert_id=second)
    await life.do("again")
    assert str(life.id) in await refused(life.engine, life.owner, "restore", alert_id=second)


async def test_what_looks_back_is_warm_after_a_snooze_of_what_was_done(life: Life) -> None:
    """Its window is given its past again, as for a new alert."""
    await life.begin("gold -1% in 3h", 2400)
    await life.tell(2370)
    assert await life.rang() == [1.25]
    await life.do("snooze", until=START + 2_500 * SECOND_US)
    node = next(node for key, node in life.engine.board.graph.nodes.items() if key.startswith("window"))
    assert not node.cold  # type: ignore[attr-defined]
    await life.tell(2399)
    await life.tell(2375)
    assert await life.rang() == [1.25, pytest.approx(100 * 25 / 2400)]  # from the price before it rang first


# ----------------------------------------------------------------------------------------------- other words


@pytest.mark.parametrize(
    ("which", "how", "state", "rings"),
    [
        ("", {}, State.ARMED, True),
        ("pause", {}, State.ARMED, True),
        ("snooze", {"until": FAR_US}, State.SNOOZED, False),
        ("mute", {}, State.MUTED, False),
    ],
)
async def test_other_words_leave_what_is_silent_silent_and_let_go_on_what_was_paused(
    which: str, how: dict[str, Any], state: State, rings: bool, life: Life
) -> None:
    """In the row, in memory, and behind a death. The new words begin without a cooldown."""
    await life.begin("gold > 2400 at most every 2h")
    await life.tell(2400, 2390)
    if which:
        await life.do(which, **how)
    assert await life.do("edit", line="gold > 2450 at most every 2h") is state
    row = await life.row()
    assert (row.text, row.cooling_until) == ("XAU-USD > 2450 at most every 2h", None)
    await life.tell(2390, 2449)
    async with running(life.bus, life.ledger) as life.engine:
        await life.tell(2390, 2451)
        assert await life.rang() == [2400, *([2451] if rings else [])]
        if not rings:
            await life.do("unmute" if which == "mute" else "wake")
            await life.tell(2390, 2452)
    assert (await life.rang())[1:] == ([2451] if rings else [2452])
    said = "moved from 2400 to 2450 by anna"
    assert (await life.lines()).count(said) == 1


async def test_what_is_deleted_is_given_no_other_words(life: Life) -> None:
    """It is brought back first."""
    await life.begin()
    await life.do("delete")
    said = await refused(life.engine, life.owner, "edit", alert_id=life.id, line="gold > 2450")
    assert said == f"alert {life.id} is deleted; that cannot be done to it now: `delete {life.id} undo` brings it back"


# ---------------------------------------------------------------------------------------------------- room


async def test_the_room_counts_what_an_alert_costs_also_when_it_is_edited(life: Life) -> None:
    """A level is one, what looks back five, a trail ten; a paused one has its room already."""
    await life.begin()
    said = await refused(life.engine, life.owner, "edit", alert_id=life.id, line="gold trails 3%")
    assert said == "5 alerts are the limit for one person; yours count 0, this one 10: `delete` some, then try again"
    for level in range(2500, 2900, 100):
        await ask(life.engine, life.owner, line=f"gold > {level}")
    assert "yours count 4, this one 5" in await refused(
        life.engine, life.owner, "edit", alert_id=life.id, line="gold -5% in 1h"
    )
    await life.do("pause")
    assert await life.do("edit", line="gold > 2450 every time") is State.ARMED


# ------------------------------------------------------------------------------------------ the lines of sides


def test_a_first_value_is_told_as_such_and_arming_as_such() -> None:
    """One that rang before and slept is not armed again by a value beyond its level."""
    stage = Stage("gold > 1300 every time")
    assert stage.prices(0, 1310, 1290, 1305) == [1305]
    assert stage.life() == [
        "takes its side from 1,310.00 USD", "armed at 1,290.00 USD",
        "rang: Gold rose to 1,305.00 USD (level 1,300.00)",
    ]  # fmt: skip
    stage.board.stand_unsettled(1, stage.board.standing[1], None)
    stage.prices(10, 1304, 1299)
    assert stage.life()[3:] == ["takes its side from 1,304.00 USD", "armed again at 1,299.00 USD"]


def test_an_alert_that_sleeps_says_nothing_of_its_cooldown() -> None:
    """It may not ring then anyway."""
    stage = Stage("gold > 1300 at most every 1m")
    stage.prices(0, 1290, 1300)
    stage.board.sleep(1, None, None)
    stage.beat(120)
    assert len(stage.life()) == 2


def test_a_price_that_wobbles_does_not_write_the_life_of_an_alert_full() -> None:
    """What comes true in a cooldown is told once, and counted."""
    stage = Stage("gold > 1300 at most every 10m band 0")
    stage.prices(0, 1299, *[1300.0, 1299.0] * 200)
    stage.beat(601)
    assert stage.life()[1:] == [
        "rang: Gold rose to 1,300.00 USD (level 1,300.00)",
        "its condition came true again, not told: silent until 00:10:01.000 UTC",
        "its condition came true 199 times meanwhile",
        "it has been silent long enough after it rang: it may ring again",
    ]
    assert stage.prices(602, 1300) == [1300]
