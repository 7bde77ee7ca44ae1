"""The twelve semantics of alerts (docs/architecture.md, "Alerts"), one test each, or a few, that bear their numbers.

Through the real board, and through the engine with a real ledger and stream where a row or a restart belongs to it.
"""

from collections.abc import AsyncIterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import reader
from hub.app.nature import settled_nature
from hub.bus import Bus, connect
from hub.config import Config, FeedSection
from hub.frame import Event, EventKind
from hub.history import open_history
from hub.ledger import Ledger, open_ledger, people
from hub.ledger import tables as t
from hub.model import SECOND_US, Verdict, Who
from hub.plugin import GiveUp
from hub.rules.language import Clock, parse
from tests.board_stage import EURO, GOLD, SILVER, Stage, tick
from tests.people_room import ANNA, BEN, Room, room
from tests.reference_board import frames_of
from tests.streams import START, Stream, frame
from tests.test_engine import HOUR_US, ask, rung, running, through
from tests.test_storms import delivered

if TYPE_CHECKING:
    from tests.conftest import NatsServer


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        await reader.ensure_streams(opened, lambda: "first", 100_000_000)
        yield opened


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(Config(folder=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def owner(ledger: Ledger) -> int:
    user = await ledger.write(lambda c: people.user_of(c, Who(platform="console", id="operator"), 1))
    return user.owner_id


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


# ------------------------------------------------------------------------------------------------- 1: levels


@pytest.mark.parametrize("words", ["gold > 1300", "gold above 1300", "gold crosses above 1300", "gold >= 1300"])
@pytest.mark.parametrize(
    ("band", "armed_at", "not_yet"), [("", 1299.35, 1299.36), ("band 1%", 1287.0, 1287.01), ("band 0", 1299.99, 1300.0)]
)
def test_01_above_is_one_condition_in_all_its_words(words: str, band: str, armed_at: float, not_yet: float) -> None:
    """A touch counts; it is armed again at its level less its band, and not before."""
    stage = Stage(f"{words} every time {band}")
    assert stage.prices(0, 1299.99, 1300, not_yet, 1301, 1300) == [1300]
    assert stage.prices(10, armed_at, 1300) == [1300]


@pytest.mark.parametrize("words", ["gold < 1300", "gold below 1300", "gold drops below 1300", "gold <= 1300"])
@pytest.mark.parametrize(
    ("band", "armed_at", "not_yet"), [("", 1300.65, 1300.64), ("band 1%", 1313.0, 1312.99), ("band 0", 1300.01, 1300.0)]
)
def test_01_below_mirrors_it(words: str, band: str, armed_at: float, not_yet: float) -> None:
    """In every word too."""
    stage = Stage(f"{words} every time {band}")
    assert stage.prices(0, 1300.01, 1300, not_yet, 1299, 1300) == [1300]
    assert stage.prices(10, armed_at, 1300) == [1300]


def test_01_crosses_is_both_each_armed_by_itself() -> None:
    """A half that fired waits behind its own band, the other one may fire meanwhile."""
    stage = Stage("gold crosses 1300 every time band 1%")
    assert stage.prices(0, 1290, 1300, 1299, 1301) == [1300]  # the falling half was not above its band yet
    assert stage.prices(10, 1313, 1300) == [1300]
    assert stage.prices(20, 1299, 1301, 1287, 1300) == [1300]


# ------------------------------------------------------------------------------------------- 2: true already


async def test_02_what_holds_already_says_so_and_waits_for_the_next_cross(here: Room) -> None:
    """Equality included; "now" at its end rings at once; the line alone means the next cross."""
    await here.tell(2400)
    reply = await here.done("alert gold > 2400", ANNA)
    assert "That holds already: it rings on the next cross, once the price has been on the other side." in reply.lines
    assert [button.line for button in reply.buttons if button.label == "Fire now"] == ["alert XAU-USD > 2400 now"]
    await here.tell(2405, 2400)
    assert await rung(here.ledger) == []
    now = await here.done("alert XAU-USD > 2400 now", ANNA)
    assert (now.facts["id"], now.facts["state"]) == (reply.facts["id"], "done")
    assert "That holds already: it rings now." in now.lines
    under = await here.done("alert gold < 2400", BEN)
    assert under.facts["already_true"] is True
    await here.tell(2410, 2400)
    assert [alert for alert, _, _ in await rung(here.ledger)] == [now.facts["id"], under.facts["id"]]


def test_02_a_first_value_sets_the_side_and_fires_nothing() -> None:
    """Of every kind of alert; what follows a silence is held in tests/test_alert_life.py."""
    lines = (
        "gold > 1300",
        "gold crosses 1300",
        "gold leaves 1200..1300",
        "gold enters 1305..1400",
        "gold > 1300 for 0s",
    )
    stage = Stage(*lines[:4], "gold > 1300 and gold < 1400", "gold trails 1%", "gold every 100")
    assert stage.prices(0, 1310, 1310) == []


# --------------------------------------------------------------------------------------------- 3: restarts


async def test_03_the_committed_side_counts_and_what_was_crossed_meanwhile_rings_once_late_with_its_own_time(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """It consumes a `once`. What was crossed and came back rings too, and so does only what was not rung before."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        once = (await ask(engine, owner, line="gold > 2400")).alert.id
        rang = (await ask(engine, owner, line="gold > 2395")).alert.id
        again = (await ask(engine, owner, line="gold > 2401 every time")).alert.id
        await through(engine, await stream.tell(2396))
    sequence = await stream.tell(2398, 2402, 2390, 2403, opened_at=START)
    for _ in range(2):
        async with running(bus, ledger, now=START + HOUR_US) as engine:
            await through(engine, sequence)
    rows = await ledger.read(lambda c: c.execute(sa.select(t.triggers).order_by(t.triggers.c.id)).all())
    assert [(row.alert_id, row.price, row.late) for row in rows] == [
        (rang, 2396, False), (once, 2402, True), (again, 2402, True), (again, 2403, True),
    ]  # fmt: skip
    assert rows[1].venue_time == START + 3_001 * SECOND_US
    n = t.notifications.c
    texts = await ledger.read(lambda c: c.scalars(sa.select(n.text).where(n.trigger_id == rows[1].id)).all())
    assert all("told late: it crossed while I was offline or behind" in text for text in texts)


async def test_03_what_is_filled_into_history_never_rings(bus: Bus, ledger: Ledger, owner: int, tmp_path: Path) -> None:
    """An import or a backfill, also where the engine starts behind it and series look back on it."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine, open_history(Config(folder=tmp_path / "data")) as past:
        engine.per_person = 100
        engine.warmth._past._history = past
        await through(engine, await stream.tell(2390))
        await ask(engine, owner, line="gold > 2400")
        last = (await reader.stream_state(bus)).last
        assert await past.fill([frame(0, [2390.0 + at for at in range(300)], epoch=9)]) == 300
        assert (await reader.stream_state(bus)).last == last
        fallen = await ask(engine, owner, line="gold -5% in 3h")
        assert fallen.already_true  # by the high that was filled in, so it waits for the next cross
        await through(engine, await stream.tell(2390))
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2391))
    assert await rung(ledger) == []


async def test_03_a_recording_rings_only_in_its_own_folder_and_says_that_it_is_one(tmp_path: Path) -> None:
    """A folder of live prices takes none."""
    stage = Stage("gold > 1300")
    frames = frames_of([tick(0, GOLD, 1290.0), tick(1, GOLD, 1301.0)], set())
    for each in frames:
        each.natures = ["recording"]
        stage.board.take(each, each.number)
    (rang,) = stage.board.batch.fired
    assert rang.nature == "recording" and "recording" in rang.title.lower() + rang.text.lower()
    live = Config(folder=tmp_path / "live", feeds=(FeedSection(name="binance", module="binance", settings={}),))
    played = Config(
        folder=tmp_path / "live", feeds=(FeedSection(name="replay", module="replay", settings={"file": "x.csv"}),)
    )
    async with open_ledger(live) as ledger:
        assert await settled_nature(live, ledger) == "live"
        with pytest.raises(GiveUp, match="holds live prices"):
            await settled_nature(played, ledger)


# ------------------------------------------------------------------------------------------- 4: no values


def test_04_what_is_no_value_crosses_nothing() -> None:
    """Refused, late, an outlier, of a source that stands by, of the other kind; and it arms nothing again."""
    stage = Stage("gold > 1300 every time", "gold < 1200 every time")
    stage.prices(0, 1290)
    for verdict in Verdict:
        if verdict not in (Verdict.PRICE, Verdict.CONFIRMED):
            assert stage.prices(10 + verdict, 1310, 1150, verdict=verdict) == []
    assert stage.prices(100, 1310) == [1310]
    for verdict in (Verdict.LATE, Verdict.OUTLIER, Verdict.CLOSED, Verdict.STANDBY, Verdict.ASIDE):
        stage.prices(200 + verdict, 1290, verdict=verdict)
    assert stage.prices(300, 1310) == []


@pytest.mark.parametrize("kind", [EventKind.STALE, EventKind.CLOSED])
def test_04_stale_and_closed_end_a_dwell_and_leave_sides_as_they_are(kind: EventKind) -> None:
    """What was armed rings at the first price behind it: the opening gap."""
    stage = Stage("gold > 1300", "gold > 1280 for 60s", "gold/silver > 64.5", "gold < 1250 every time")
    stage.play(tick(0, SILVER, 20.0))
    assert stage.prices(1, 1270, 1240, 1285) == [1240]
    stage.event(10, kind)
    assert stage.beat(100) == []
    assert stage.play(tick(3600, SILVER, 20.0)) == []
    assert sorted(stage.play(tick(3601, GOLD, 1350.0))) == [(1, 1350.0), (3, 67.5)]
    assert stage.beat(3660) == []
    assert stage.beat(3661) == [(2, 1350.0)]


async def test_04_an_alert_that_is_made_while_a_market_is_closed_is_rung_by_the_opening_gap(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """It is armed against the last known price."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        closing = frame(2, [])
        closing.events = [Event(0, EventKind.CLOSED, closing.clock, GOLD)]
        await through(engine, await stream.send(closing))
        armed = await ask(engine, owner, line="gold > 2400")
        assert armed.price == 2390
    async with running(bus, ledger) as engine:
        stream.number = 100
        await through(engine, await stream.tell(2450))
    assert await rung(ledger) == [(armed.alert.id, 1, 2450)]


# ------------------------------------------------------------------------------------------- 5: several levels


async def test_05_one_tick_over_several_levels_fires_each_once_in_one_message_for_each_destination(here: Room) -> None:
    """Nearest level first; of two people each has their own message."""
    await here.tell(2390)
    numbers = [(await here.done(f"alert gold > {level}", ANNA)).facts["id"] for level in (2404, 2401, 2400, 2402.5)]
    bens = (await here.done("alert gold > 2403", BEN)).facts["id"]
    await here.tell(2500)
    got = await delivered(here, 5)
    assert sorted((m.address, [n.alert_id for n in m.notifications]) for m in got) == [
        ("11", [numbers[2], numbers[1], numbers[3], numbers[0]]), ("22", [bens]),
    ]  # fmt: skip
    await here.tell(2390, 2500)
    assert len(await rung(here.ledger)) == 5


# --------------------------------------------------------------------------------------- 6: wobbles, cooldowns


def test_06_a_wobble_within_the_band_fires_once() -> None:
    """However long it lasts."""
    stage = Stage("gold > 1300 every time", "gold crosses 1300 every time band 0.1%")
    assert stage.prices(0, 1298, *[1300.0, 1299.5] * 30) == [1300, 1300]


def test_06_a_cooldown_begins_at_a_ring_and_state_moves_on_beneath_it() -> None:
    """What came true meanwhile is in its life, not told; what holds when it ends rings at its next cross."""
    stage = Stage("gold > 1300 at most every 1m")
    assert stage.prices(0, 1290, 1300) == [1300]
    assert stage.prices(30, 1290, 1305, 1290) == []
    assert [line for line in stage.life() if "not told" in line] == [
        "its condition came true again, not told: silent until 00:01:01.000 UTC"
    ]
    assert stage.prices(60.5, 1301) == []  # not a ring: it does not begin another minute
    stage.beat(62)
    assert stage.prices(70, 1302, 1290, 1303) == [1303]
    assert stage.prices(130, 1290, 1304, 1290) == []
    assert stage.prices(140, 1304) == [1304]


# ------------------------------------------------------------------------------------------- 7: the same series


def test_07_trigger_and_rearming_look_at_the_same_series() -> None:
    """Of a bid, a conversion and a ratio: the price that others look at arms nothing."""

    def quote(at_s: float, bid: float, ask: float) -> Any:
        return tick(at_s, GOLD, (bid + ask) / 2)._replace(bid=bid, ask=ask)

    stage = Stage("gold bid > 1300 every time", "gold ask < 1290 every time", "gold in eur > 1000 every time")
    stage.play(tick(0, EURO, 1.25), quote(1, 1295, 1305))
    assert stage.play(quote(2, 1300, 1301)) == [(1, 1300)]
    assert stage.play(quote(3, 1300, 1250), quote(4, 1300, 1310)) == [(2, 1250)]  # the mid has been at 1,275
    assert stage.play(quote(5, 1290, 1400), quote(6, 1301, 1302)) == [(1, 1301)]
    assert stage.play(tick(7, EURO, 1.5), quote(8, 1301, 1302), tick(9, EURO, 1.25)) == [(3, 1041.2)]


# ---------------------------------------------------------------------------------------------- 8: errors


def test_08_an_error_in_one_alert_stops_nothing_else_and_is_told() -> None:
    """The whole of it is in tests/test_isolation.py."""
    stage = Stage("gold in eur > 1000", "gold > 1300", owners=(1, 2))
    stage.prices(0, 1290)
    assert stage.play(tick(1, EURO, 0.0), tick(2, GOLD, 1310.0)) == [(2, 1310.0)]
    assert stage.notices() == [(1, "Alert 1 is paused: its rule failed")]


# --------------------------------------------------------------------------------------------- 9: windows

steps = st.lists(st.tuples(st.integers(-8, 8), st.sampled_from((0, 1, 7, 60, 299, 300, 301))), min_size=2, max_size=80)


@settings(max_examples=150, deadline=None)
@given(walk=steps, way=st.sampled_from(("-", "+")))
def test_09_a_move_is_measured_from_the_extreme_of_its_window_tick_by_tick(
    walk: Sequence[tuple[int, int]], way: str
) -> None:
    """What rings is what a loop over all ticks of the last five minutes finds."""
    stage = Stage(f"gold {way}1% in 5m every time band 0.1%")
    at_s, price, seen, armed, wanted = 0, 1300.0, [], True, []
    for step, gap in walk:
        at_s, price = at_s + gap, price + step
        seen.append((at_s, price))
        within = [value for when, value in seen if when >= at_s - 300]
        extreme = max(within) if way == "-" else min(within)
        move = (extreme - price if way == "-" else price - extreme) / extreme * 100
        if len(seen) == 1:
            armed = move < 1
        elif armed and move >= 1:
            wanted.append((at_s, price))
            armed = False
        elif not armed and move <= 0.9:
            armed = True
    got = []
    for when, value in seen:
        got += [(when, value) for _ in stage.prices(when, value)]
    assert got == wanted


# ----------------------------------------------------------------------------------------------- 10: units


@pytest.mark.parametrize(
    ("what", "factor"),
    [
        ("gold per gram", 1 / Fraction("31.1034768")),
        ("gold per kg", 1000 / Fraction("31.1034768")),
        ("gold per tola", Fraction("11.6638038") / Fraction("31.1034768")),
        ("gold 22k per gram", Fraction(22, 24) / Fraction("31.1034768")),
        ("gold 18k", Fraction(18, 24)),
    ],
)
def test_10_weights_and_karats_are_exact(what: str, factor: Fraction) -> None:
    """The level is touched by the price that the fraction says, and not by the next one below."""
    level = round(float(1300 * factor), 6)
    touch = float(Fraction(repr(level)) / factor)
    stage = Stage(f"{what} > {level!r}")
    assert stage.prices(0, touch * (1 - 1e-9)) == []
    (rang,) = stage.prices(1, touch * (1 + 1e-12))
    assert rang == pytest.approx(level, rel=1e-11)


# ---------------------------------------------------------------------------------------- 11: clocks of people

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = 1_711_846_800 * SECOND_US, 1_729_990_800 * SECOND_US  # 01:00 UTC: the clock jumps there


@pytest.mark.parametrize(
    ("jump", "words", "ends_s"),
    [
        (SPRING, "until 01:59", -60),
        (SPRING, "until 02:30", 0),  # which is skipped: over when it would have been
        (SPRING, "until 03:30", 1800),
        (SPRING, "until 07:00", 4 * 3600),
        (AUTUMN, "until 01:30", -5400),
        (AUTUMN, "until 02:30", -1800),  # the first time
        (AUTUMN, "until 03:30", 5400),
        (AUTUMN, "until 07:00", 5 * 3600),
    ],
)
def test_11_until_is_by_the_clock_of_its_owner_over_daylight_saving(jump: int, words: str, ends_s: int) -> None:
    """Written at one in the night of Berlin; what comes at its end rings no more."""
    now = jump - (1 if jump == SPRING else 2) * HOUR_US
    stage = Stage()
    spec = parse(f"gold > 1300 every time {words}", stage.board.catalogue.find, Clock(now, BERLIN))
    assert spec.until_us is not None
    assert (spec.until_us - jump) / SECOND_US == (
        ends_s if words != "until 07:00" else (4 if jump == SPRING else 5) * 3600
    )


async def _held_until(bus: Bus, ledger: Ledger, owner: int, number: int, hours: str) -> list[int]:
    """When what rings in that frame is told, by the wall clock."""
    await ledger.write(
        lambda c: c.execute(t.users.update().where(t.users.c.owner_id == owner).values(time_zone=BERLIN, quiet=hours))
    )
    stream = Stream(bus)
    stream.number = number - 1
    async with running(bus, ledger, now=START + number * 1000 * SECOND_US) as engine:
        await through(engine, await stream.tell(2390))
        await ask(engine, owner, line="gold > 2400")
        await through(engine, await stream.tell(2400))
    rows = await ledger.read(lambda c: c.execute(sa.select(t.notifications.c.state, t.notifications.c.due_at)).all())
    assert {row.state for row in rows} == {"held"}
    return [row.due_at for row in rows]


@pytest.mark.parametrize(
    ("jump", "hours", "ends_s"),
    [
        (SPRING, "22:00-07:00", 4 * 3600),
        (SPRING, "22:00-02:30", 0),
        (AUTUMN, "22:00-07:00", 5 * 3600),
        (AUTUMN, "22:00-02:30", 1800),
    ],
)
async def test_11_quiet_hours_end_by_the_clock_of_their_owner_over_daylight_saving(
    jump: int, hours: str, ends_s: int, bus: Bus, ledger: Ledger, owner: int
) -> None:
    """An end that is skipped is at the jump, one that comes twice at its second time."""
    number = (jump - START) // (1000 * SECOND_US) - 1
    assert set(await _held_until(bus, ledger, owner, number, hours)) == {jump + ends_s * SECOND_US}


# ------------------------------------------------------------------------------------------ 12: near and far


async def test_12_alerts_that_are_nearly_the_same_are_pointed_out_and_far_levels_questioned(here: Room) -> None:
    """Each is set nevertheless; another person's are nobody's business."""
    await here.tell(2400)
    first = (await here.done("alert gold > 2500", ANNA)).facts["id"]

    async def said(line: str, who: Who = ANNA) -> str:
        return "\n".join((await here.done(f"alert {line}", who)).lines)

    near = f"Alert {first} is nearly the same: XAU-USD > 2500"
    assert near in await said("gold > 2502.4")
    assert near not in await said("gold > 2502.6")
    assert "nearly" not in await said("gold < 2501")
    assert "nearly" not in await said("gold > 2501", BEN)
    assert "Is 12,000" in await said("gold > 12000", BEN)
    assert "what you meant" in await said("gold < 480", BEN)
    assert "what you meant" not in await said("gold > 11999", BEN)
