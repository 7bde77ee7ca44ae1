"""Back-tests: what they count is what rings live, on real stores, whatever is kept of the prices; and they give way."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.backtest import Backtests
from hub.backtest.needs import needs_of
from hub.config import Config, HistorySection
from hub.frame import Frame
from hub.history import History, Position, open_history
from hub.history.adjusted import Adjusted
from hub.instruments import build_catalogue
from hub.ledger import Ledger, keeping, open_ledger, people
from hub.ledger import tables as t
from hub.model import SECOND_US, Backtest, Kind, Lot, Split, Who
from hub.rules.language import parse
from hub.rules.spec import AlertSpec, canonical
from hub.splits import Splits, in_effect
from tests import reference_days as days
from tests.past_market import Came, Ingested, live, quoted, stored
from tests.reference_board import frames_of
from tests.reference_wanted import alerts
from tests.reference_worlds import INSTRUMENTS

MINUTE_US, HOUR_US, DAY_US = 60 * SECOND_US, 3_600 * SECOND_US, 86_400 * SECOND_US
EVENING_US = 1_700_006_400 * SECOND_US + 20 * HOUR_US  # a Wednesday, 20:00 UTC; gold pauses from 22:00 to 23:00
CATALOGUE = build_catalogue({}, list(INSTRUMENTS))
LAGS: dict[str, int | None] = {"XAU-USD": 0, "XAG-USD": 100_000, "BTC-USD": None, "EUR-USD": 30_000}
AT = {"XAU-USD": 1_300.0, "XAG-USD": 20.0, "BTC-USD": 60_000.0, "EUR-USD": 1.25}
slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

LINES = (
    "gold > 1300", "gold crosses 1300 band 0 every time", "gold enters 1299..1301", "gold -0.2% in 5m",
    "silver moves 0.3% in 10m", "rsi(gold, 5, 1m) < 40", "rsi(btc-usd, 5, 1m, live) > 60", "gold/silver > 65",
    "gold every 0.1%", "btc-usd trails 0.3%", "gold > 1300 and silver > 20", "gold > 1301 or silver < 19.95",
    "gold > 1300 for 30s", "gold > 1301 then silver > 20 within 5m", "gold in eur > 1040", "gold bid < 1300",
    "gold spread > 0.2", "volume(btc-usd, 1m) > 3", "change(btc-usd, 5m) > 0.1%", "gold within 0.1% of day high",
    "gold > 1300 at most every 10m", "gold > 1300 confirm 2 sources", "sma(gold, 3, 1m) crosses sma(gold, 8, 1m)",
)  # fmt: skip


def walk(seed: int, count: int = 3_000, most_us: int = 7_000_000) -> list[Came]:
    """Four prices that wander, with silences, trades beside quotes, and a second and third source now and then."""
    chance, at, prices = random.Random(seed), EVENING_US, dict(AT)
    ticks = []
    for _ in range(count):
        silent = chance.random() < 0.01
        at += 200 * SECOND_US if silent else chance.choice((1, 1_000, 100_000, 900_000, 1_000_001, most_us))
        name = chance.choice(tuple(AT))
        prices[name] *= 1 + chance.gauss(0, 0.0005) + 0.05 * (AT[name] / prices[name] - 1)
        basis = Kind.QUOTE if INSTRUMENTS[name].basis == "mid" else Kind.TRADE
        kind = basis if chance.random() < 0.9 else Kind(1 - basis)
        price, source = round(prices[name], 6), chance.choice("aaab")
        ticks.append(Came(name, at, price, kind, price * 1e-4, chance.choice((None, 1.0, 0.25)), LAGS[name], source))
    return ticks


@cache
def market(seed: int) -> tuple[list[Frame], int]:
    """As frames, and their end."""
    ticks = walk(seed)
    end = ticks[-1].at - ticks[-1].at % SECOND_US + SECOND_US
    return Ingested(INSTRUMENTS).take(ticks, end), end


class Shop:
    """A history, a ledger and the back-tests on them."""

    def __init__(self, history: History, ledger: Ledger) -> None:
        self.history, self.ledger = history, ledger
        self.backtests = Backtests(history, ledger, CATALOGUE, band_percent=0.05)

    async def run(self, line: str | AlertSpec, start: int, end: int, **more: Any) -> Backtest | None:
        spec = parse(line, CATALOGUE.find) if isinstance(line, str) else line
        asked: dict[str, Any] = {"most": 10_000_000, "within_s": 60.0, "cut": True, **more}
        return await self.backtests.run(spec, int(asked.pop("owner", 1)), start, end, **asked)

    async def test(self, line: str | AlertSpec, start: int, end: int, **more: Any) -> Backtest:
        found = await self.run(line, start, end, **more)
        assert found is not None
        return found


@asynccontextmanager
async def shop(folder: Path, url: str = "") -> AsyncIterator[Shop]:
    config = Config(folder=folder, history=HistorySection(url=url))
    async with open_history(config) as history, open_ledger(Config(folder=folder)) as ledger:
        yield Shop(history, ledger)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(tmp_path) as opened:
        yield opened


def hold(spec: AlertSpec, found: Backtest, frames: Sequence[Frame], start: int, end: int) -> None:
    """As often, at the same times, with the same values, as a board that the frames came to live. A back-test begins
    where prices of all its instruments are known, and so is armed against those."""
    assert found.start == start or (found.cut and found.start > start)
    wanted = live(spec, frames, found.start, end)
    assert (canonical(spec), found.count) == (canonical(spec), wanted.count)
    for ring, other in zip(found.rings, reversed(wanted.newest), strict=True):
        assert (ring.at, ring.part, ring.direction) == (other.at, other.part, other.direction)
        assert isclose(ring.value, other.value, rel_tol=1e-9, abs_tol=1e-9)


# --------------------------------------------------------------------------------------------- equal to live


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_back_test_counts_what_rings_live(seed: int, here: Shop) -> None:
    """Every kind of alert, from before the first price and from the middle, where windows and indicators are warm."""
    frames, end = market(seed)
    await stored(here.history, frames)
    middle = EVENING_US + (end - EVENING_US) // 2 // SECOND_US * SECOND_US
    rang = 0
    for line in LINES:
        spec = parse(line, CATALOGUE.find)
        for start in (EVENING_US - 10 * SECOND_US, middle):
            found = await here.test(spec, start, end)
            hold(spec, found, frames, start, end)
            assert found.exact
            rang += found.count
    assert rang > 100


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Histories of three markets."""
    folders = {seed: tmp_path_factory.mktemp(f"market{seed}") for seed in (11, 12, 13)}

    async def write() -> None:
        for seed, folder in folders.items():
            async with shop(folder) as opened:
                await stored(opened.history, market(seed)[0])

    asyncio.run(write())
    return folders


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=slow)
@given(spec=alerts(), seed=st.sampled_from((11, 12, 13)))
def test_any_alert_rings_as_often_as_live(spec: AlertSpec, seed: int, kept: dict[int, Path]) -> None:
    """Whatever the language can say of these instruments."""
    frames, end = market(seed)

    async def run() -> Backtest:
        async with shop(kept[seed]) as opened:
            return await opened.test(spec, EVENING_US - SECOND_US, end)

    hold(spec, asyncio.run(run()), frames, EVENING_US - SECOND_US, end)


@pytest.mark.skipif(not days.PAYROLLS.exists(), reason="the recorded days are not here (TOCSIN_DATA)")
async def test_a_real_day_rings_the_same(here: Shop) -> None:
    """An hour around the payrolls: gold, and the euro as two sources tell it."""
    happenings = days.payrolls()
    since, until = days.HALF_PAST_TWELVE_US - HOUR_US // 2, days.HALF_PAST_TWELVE_US + HOUR_US // 2
    frames = [frame for frame in frames_of(happenings, set()) if since < frame.clock <= until and len(frame)]
    since = frames[0].received_at[0]
    await stored(here.history, frames)
    catalogue = build_catalogue({}, list(days.INSTRUMENTS))
    here.backtests = Backtests(here.history, here.ledger, catalogue, band_percent=0.05)
    rang = 0
    for spec in days.payroll_alerts():
        found = await here.test(spec, since, until)
        wanted = live(spec, frames, since, until)
        assert (canonical(spec), found.count) == (canonical(spec), wanted.count)
        rang += found.count
    assert rang > 100


async def test_a_history_in_postgres_says_the_same(postgres_url: str, tmp_path: Path) -> None:
    """One contract, two stores."""
    frames, end = market(1)
    async with shop(tmp_path, postgres_url) as opened:
        await stored(opened.history, frames)
        for line in ("gold > 1300", "gold -0.2% in 5m", "gold/silver > 65", "rsi(gold, 5, 1m) < 40"):
            spec = parse(line, CATALOGUE.find)
            hold(spec, await opened.test(spec, EVENING_US, end), frames, EVENING_US, end)


# ------------------------------------------------------------------------------------------------ the span


def gold(*prices: float, step_us: int = SECOND_US, start: int = EVENING_US) -> list[Frame]:
    ticks = [Came("XAU-USD", start + place * step_us, price, Kind.QUOTE, 0.1) for place, price in enumerate(prices)]
    return Ingested(INSTRUMENTS).take(ticks, start + len(prices) * step_us)


async def test_the_span_holds_its_start_and_not_its_end(here: Shop) -> None:
    """It is armed against the price before; what rings in its first microsecond counts, in its last no more."""
    await stored(here.history, gold(1299, 1301, 1299, 1301, 1301))
    second = [EVENING_US + place * SECOND_US for place in range(6)]
    assert (await here.test("gold > 1300", second[0], second[5])).count == 2
    assert (await here.test("gold > 1300", second[1], second[5])).count == 2
    assert (await here.test("gold > 1300", second[1] + 1, second[5])).count == 1
    assert (await here.test("gold > 1300", second[1], second[3])).count == 1
    assert (await here.test("gold > 1300", second[1], second[3] + 1)).count == 2
    assert (await here.test("gold > 1300 for 2s", second[0], second[5])).count == 0
    assert (await here.test("gold > 1300 for 1s", second[0], second[5])).count == 2


async def test_a_gap_that_opens_beyond_the_level_counts(here: Shop) -> None:
    """An alert of Saturday stands against Friday's price."""
    friday = 1_700_254_800 * SECOND_US  # 21:00 UTC
    monday = friday + 50 * HOUR_US
    ticks = [Came("XAU-USD", friday, 1_299, Kind.QUOTE), Came("XAU-USD", monday, 1_310, Kind.QUOTE)]
    await stored(here.history, Ingested(INSTRUMENTS).take(ticks, monday + SECOND_US))
    found = await here.test("gold > 1300", friday + 24 * HOUR_US, monday + SECOND_US)
    assert (found.count, found.rings[0].at, found.cut) == (1, monday, "")


async def test_a_span_from_before_history_says_where_that_begins(here: Shop) -> None:
    """And of what nothing is stored, nothing is said."""
    frames, end = market(1)
    await stored(here.history, frames)
    found = await here.test("gold > 1300", EVENING_US - 30 * DAY_US, end)
    assert (found.asked, found.cut) == (EVENING_US - 30 * DAY_US, "history")
    assert EVENING_US <= found.start < EVENING_US + MINUTE_US
    assert found.count > 0
    of_none = await here.test("platinum > 900", EVENING_US, end)
    assert (of_none.count, of_none.start) == (0, end)
    assert (await here.test("gold/platinum > 1", EVENING_US, end)).start == end


async def test_the_end_of_an_alert_and_its_being_for_once_do_not_count(here: Shop) -> None:
    """It is asked what would have been."""
    await stored(here.history, gold(1299, 1301, 1299, 1301))
    end = EVENING_US + 5 * SECOND_US
    for line in ("gold > 1300", "gold > 1300 every time", "gold > 1300 until 2023-11-01T00:00Z"):
        assert (await here.test(line, EVENING_US, end)).count == 2, line
    assert (await here.test("gold > 1300 at most every 1m", EVENING_US, end)).count == 1


# ------------------------------------------------------------------------------------------- what is kept


async def test_where_ticks_are_gone_the_candles_tell(here: Shop) -> None:
    """A level and a move as often as on ticks, or nearly; what takes ticks begins where they are kept."""
    frames, end = market(2)
    await stored(here.history, frames)
    exact = {line: await here.test(line, EVENING_US, end) for line in LINES}
    half = EVENING_US + (end - EVENING_US) // 2
    await here.history.prune(half)
    for line in ("gold > 1300", "gold -0.2% in 5m", "gold > 1300 and silver > 20", "gold/silver > 65"):
        found = await here.test(line, EVENING_US, end)
        assert not found.exact and set(found.candles) == {"1m"} and found.ticks, line
        assert abs(found.count - exact[line].count) <= max(2, exact[line].count // 2), line
        assert not found.coarse and found.cut in ("", "history"), line
    for line in ("gold spread > 0.2", "gold > 1300 confirm 2 sources", "gold > 1300 for 30s"):
        found = await here.test(line, EVENING_US, end)
        assert (found.exact, found.ticks > 0) == (True, True), line
        assert half - MINUTE_US <= found.start < half + 10 * MINUTE_US, line


async def test_a_level_is_told_exactly_from_minutes_that_do_not_hide_anything(here: Shop) -> None:
    """One price a minute: the candle's path is the price."""
    prices = [1_299 + place % 3 for place in range(300)]
    await stored(here.history, gold(*prices, step_us=MINUTE_US))
    end = EVENING_US + 300 * MINUTE_US
    ticks = await here.test("gold > 1300 band 0", EVENING_US, end)
    await here.history.prune(end)
    candles = await here.test("gold > 1300 band 0", EVENING_US, end)
    assert ticks.exact and not candles.exact
    assert abs(ticks.count - candles.count) <= 1
    assert ticks.count > 50


# ------------------------------------------------------------------------------------------------ budgets


async def busy(here: Shop, count: int = 60_000) -> int:
    """Some hours of gold and silver, ten prices a second; their end."""
    chance, at, price = random.Random(5), EVENING_US - 20 * HOUR_US, 1_300.0
    ticks = []
    for _ in range(count):
        at += chance.randrange(200_000)
        price *= 1 + chance.gauss(0, 0.00005) + 0.001 * (1_300 / price - 1)
        ticks.append(Came("XAU-USD", at, price, Kind.QUOTE, 0.1))
        ticks.append(Came("XAG-USD", at + 1, price / 65, Kind.QUOTE, 0.01))
    end = at - at % SECOND_US + SECOND_US
    await stored(here.history, Ingested(INSTRUMENTS).take(ticks, end))
    return end


async def test_what_has_no_room_is_told_by_candles_or_begins_later(here: Shop) -> None:
    """It says which; without leave to cut there is no answer then."""
    end = await busy(here, 20_000)
    start = end - 40 * MINUTE_US
    whole = await here.test("gold -0.1% in 30m", start, end)
    coarse = await here.test("gold -0.1% in 30m", start, end, most=2_000)
    assert (whole.exact, whole.coarse, coarse.exact, coarse.coarse) == (True, False, False, True)
    assert (coarse.cut, coarse.ticks) == (whole.cut, 0)
    later = await here.test("gold > 1300 for 10s", start, end, most=10_000)
    assert (later.exact, later.cut) == (True, "room")
    assert start < later.start < end
    assert later.ticks < 20_000
    assert await here.run("gold > 1300 for 10s", start, end, most=10_000, cut=False) is None
    assert await here.run("gold > 1300 for 10s", start, end, most=1_000) is None, "not even its beginning"


async def test_a_price_alone_is_passed_over_where_nothing_can_happen(here: Shop) -> None:
    """Of a level far away no tick is looked at; the same rings, on a fraction of the ticks."""
    end = await busy(here, 20_000)
    far = await here.test("gold > 5000", end - 30 * MINUTE_US, end)
    assert (far.count, far.ticks, far.exact) == (0, 0, True)
    near = await here.test("gold every 0.1%", end - 30 * MINUTE_US, end)
    assert near.count and near.ticks < 20_000
    by_all = await here.test("gold every 0.1% urgent", end - 30 * MINUTE_US, end, most=10, cut=False)
    assert by_all.count == near.count


async def test_one_that_takes_too_long_ends(here: Shop) -> None:
    """In time, and the next one is answered."""
    end = await busy(here, 20_000)
    begun = time.monotonic()
    assert await here.run("gold/silver > 65", end - 30 * MINUTE_US, end, within_s=0.02) is None
    assert time.monotonic() - begun < 2
    assert not here.backtests.busy
    assert await here.run("gold > 1300", end - 30 * MINUTE_US, end) is not None


async def test_it_gives_way(here: Shop) -> None:
    """What the loop's thread works between two turns of others is far below what one would notice; one at a time."""
    end = await busy(here)
    turns: list[float] = []

    async def others() -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - begun)

    task = asyncio.create_task(others())
    await asyncio.sleep(0)
    lines = ("gold/silver > 65", "gold -0.1% in 30m", "rsi(gold, 14, 1m, live) > 60", "gold within 0.1% of 52w high")
    tests = [asyncio.create_task(here.test(line, end - 40 * MINUTE_US, end)) for line in lines]
    await asyncio.sleep(0.001)
    assert here.backtests.busy
    await asyncio.gather(*tests)
    task.cancel()
    assert max(turns) < 0.05


# ---------------------------------------------------------------------------------------- nothing is real


async def test_it_writes_nothing_and_rings_nothing(here: Shop) -> None:
    """Every table and the recorder's position are as they were."""
    frames, end = market(1)
    place: Position = await stored(here.history, frames)

    def counts(c: sa.Connection) -> dict[str, int]:
        return {name: c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for name, table in t.metadata.tables.items()}  # fmt: skip

    before, ticks = await here.ledger.read(counts), await here.history.tick_count()
    for line in LINES:
        await here.test(line, EVENING_US, end)
    assert await here.ledger.read(counts) == before
    assert (await here.history.position(), await here.history.tick_count()) == (place, ticks)


async def test_a_portfolio_is_tested_as_it_is_now(here: Shop) -> None:
    """Which is said; one that holds nothing cannot be."""
    frames, end = market(1)
    await stored(here.history, frames)
    user = await here.ledger.write(lambda c: people.user_of(c, Who(platform="console", id="anna"), 1))
    nothing = await here.test("portfolio > 13000", EVENING_US, end, owner=user.owner_id)
    assert (nothing.start, nothing.lots) == (end, True)
    lot = Lot(
        id=0, portfolio="", instrument="XAU-USD", quantity=10.0, wrote="10 gold", currency="USD", bought_on="2023-11-01"
    )
    await here.ledger.write(lambda c: keeping.add_lot(c, user.owner_id, lot, 1))
    found = await here.test("portfolio > 13000", EVENING_US, end, owner=user.owner_id)
    assert found.lots and found.count
    spec = parse("gold > 1300", CATALOGUE.find)
    assert abs(found.count - live(spec, frames, EVENING_US, end).count) <= 1


@pytest.mark.parametrize(
    ("line", "rungs", "choices"),
    [
        ("gold > 2400", ("1m", "5m", "15m", "1h", "1d"), 2),
        ("gold -5% in 1h", ("1m", "5m"), 2),
        ("gold -5% in 24h", ("1m", "5m", "15m", "1h"), 3),
        ("gold > 2400 for 30s", (), 0),
        ("gold > 2400 for 5m", ("1m",), 1),
        ("gold bid > 2400", (), 0),
        ("gold mid > 2400", ("1m", "5m", "15m", "1h", "1d"), 2),
        ("gold spread > 1", (), 0),
        ("volume(gold, 1h) > 5", (), 0),
        ("volume(btc-usd, 1h) > 5", ("1m", "5m"), 2),
        ("rsi(gold, 14, 1h) > 70", ("1m", "5m", "15m", "1h"), 4),
        ("rsi(gold, 14, 1h, live) > 70", ("1m", "5m"), 2),
        ("gold > 2400 confirm 2 sources", (), 0),
    ],
)
def test_candles_stand_in_where_they_are_short_enough(line: str, rungs: tuple[str, ...], choices: int) -> None:
    """What they do not hold, and what is shorter than they, takes ticks."""
    needs = needs_of(parse(line, CATALOGUE.find), CATALOGUE)
    assert (needs.rungs, needs.choices) == (rungs, choices)


async def test_an_indicator_on_closes_is_told_by_candles_exactly(here: Shop) -> None:
    """As often as on ticks, on a fraction of them."""
    end = await busy(here)
    start = end - 90 * MINUTE_US
    by_closes = await here.test("rsi(gold, 3, 5m) < 50", start, end)
    assert (by_closes.closes, by_closes.exact, by_closes.ticks, set(by_closes.candles)) == (True, True, 0, {"5m"})
    by_ticks = await here.test("rsi(gold, 3, 5m) < 50 or gold > 9999", start, end)
    assert by_ticks.ticks and not by_ticks.closes
    assert by_closes.count == by_ticks.count > 0


async def test_prices_from_before_a_split_are_in_the_shares_of_today(here: Shop) -> None:
    """So the level of now means the same all the time, and the split rings nothing."""
    catalogue = build_catalogue({}, ["AAPL"])
    stock = catalogue.find("AAPL")
    at = in_effect("2014-06-09", stock)
    split = Split(id=1, instrument="AAPL", day="2014-06-09", numerator=7, denominator=1, at=at, told_by="test")
    friday, monday = at - 56 * HOUR_US, at + 14 * HOUR_US
    prices = [(friday, 630.0), (friday + MINUTE_US, 644.0), (friday + 2 * MINUTE_US, 630.0), (monday, 90.2)]
    await stored(here.history, [quoted("AAPL", prices)])
    adjusted = Adjusted(here.history, Splits([split]), lambda _: monday + HOUR_US)
    here.backtests = Backtests(adjusted, here.ledger, catalogue, band_percent=0.05)
    for line, count in (("AAPL > 91", 1), ("AAPL < 80", 0), ("AAPL > 91 or AAPL -50% in 7d", 1)):
        found = await here.backtests.run(
            parse(line, catalogue.find), 1, friday - HOUR_US, monday + HOUR_US, most=1_000, within_s=30, cut=True
        )
        assert found is not None
        assert (line, found.count) == (line, count)
