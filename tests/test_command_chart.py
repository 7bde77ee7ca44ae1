"""`chart`, `compare` and `ratio`: what words mean, what is fetched, what is said; over a real history."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charts import open_renderer, words
from charts.chart import Average, Chart
from hub.cache.memory import MemoryCache
from hub.history.sqlite import open_sqlite
from hub.instruments import build_catalogue
from hub.market import Market
from hub.model import SECOND_US, Alert, Candle, Nature, Quote, Reply, Request, Role, State, Trigger, User, Who
from hub.plugin import AlertView, BadRequest
from hub.testing import check_command
from plugins.commands import chart, compare, ratio

SERVED = ("XAU-USD", "XAG-USD", "BTC-USD", "EUR-USD", "USD-INR")
CATALOGUE = build_catalogue({}, SERVED)
M15 = 900 * SECOND_US
DAY = 86_400 * SECOND_US
NOW = 1_800_000_000 * SECOND_US  # 2027-01-15 08:00:00 UTC, a Friday
BARS = 96 * 40


def bars(price: float, until: int, count: int = BARS, *, step: float = 0.001) -> list[Candle]:
    """Quarters of an hour up to a time, each a little up or down by its place, as a rule that a test can follow."""
    made = []
    for place in range(count):
        before = price
        price = before * (1 + step * ((place * 7919) % 13 - 6) / 6)
        high, low = max(before, price) * 1.0002, min(before, price) * 0.9998
        start = until - (count - place) * M15
        made.append(
            Candle(
                start=start, open=before, high=high, low=low, close=price, volume=float(place % 5), count=4,
                sum=price - before, sum_squares=(price - before) ** 2,
            )
        )  # fmt: skip
    return made


class Newest:
    """The newest quotes, given."""

    def __init__(self, *quotes: Quote) -> None:
        self.quotes = {quote.instrument: quote for quote in quotes}

    def get(self, instrument_id: str) -> Quote | None:
        return self.quotes.get(instrument_id)

    def all(self) -> Sequence[Quote]:
        return list(self.quotes.values())


class Easel:
    """Keeps what it was asked to draw."""

    def __init__(self) -> None:
        self.charts: list[Chart] = []

    async def draw(self, asked: Chart) -> bytes:
        self.charts.append(asked)
        return b"\x89PNG"


class Desk:
    """What these commands use of a context."""

    catalogue = CATALOGUE
    theme = "dark"

    def __init__(self, market: Market, newest: Newest, easel: Easel) -> None:
        self.market, self._newest, self.easel = market, newest, easel
        self.views: list[AlertView] = []
        self.user = User(id=1, name="anna", role=Role.MEMBER, owner_id=1)
        self.who = Who(platform="telegram", id="anna")

    async def quote(self, instrument_id: str) -> Quote | None:
        return self._newest.get(instrument_id)

    async def alerts(self, request: Request, *, finished: bool = False) -> Sequence[AlertView]:
        return [view for view in self.views if finished or view.alert.state is not State.DONE]

    async def ask(self, line: str) -> Reply:
        name, _, arguments = line.partition(" ")
        module: ModuleType = {"chart": chart, "compare": compare, "ratio": ratio}[name]
        request = Request(name=name, arguments=arguments, user=self.user, who=self.who)
        try:
            reply: Reply = await module.run(self, request)
            return reply
        except BadRequest as error:
            return Reply(ok=False, lines=(error.text,))

    @property
    def last(self) -> Chart:
        return self.easel.charts[-1]


def quote(instrument: str, price: float, **more: Any) -> Quote:
    values: dict[str, Any] = dict.fromkeys(("open", "high", "low"), price)
    values |= {"time": NOW, "received_at": NOW, "source": "desk"} | more
    return Quote(instrument=instrument, price=price, **values)


@asynccontextmanager
async def desk_of(
    folder: Path, *, drawing: Any = None, until: int = NOW, quotes: Sequence[Quote] = ()
) -> AsyncIterator[Desk]:
    newest, easel = Newest(*quotes), Easel()
    async with open_sqlite(folder / "history.db") as history:
        for instrument, price, count in (
            ("XAU-USD", 2400.0, BARS),
            ("XAG-USD", 30.0, BARS),
            ("BTC-USD", 60_000.0, BARS // 2),
            ("EUR-USD", 1.25, BARS),
        ):
            made = bars(price, until, count, step=0.0 if instrument == "EUR-USD" else 0.001)
            await history.fill_candles(
                instrument, "15m", made, source="test", nature=Nature.RECORDING, number=len(made)
            )
        market = Market(history, newest, CATALOGUE, MemoryCache(), drawing or easel, clock=lambda: NOW)
        yield Desk(market, newest, easel)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(tmp_path) as made:
        yield made


# ------------------------------------------------------------------------------------------------ words


def read(line: str) -> words.Wanted:
    return words.read(line, CATALOGUE.find)


def test_words_come_in_any_order() -> None:
    """Every option is understood wherever it stands."""
    wanted = read("dark 24h rsi gold candles ma20 in eur ema50 volume vs silver bollinger levels")
    assert [one.id for one in wanted.instruments] == ["XAU-USD", "XAG-USD"]
    assert wanted.span == "24h" and wanted.kind == "candles" and wanted.ground == "dark"
    assert wanted.averages == (Average(length=20), Average(kind="ema", length=50))
    assert (wanted.bollinger, wanted.rsi, wanted.volume, wanted.levels, wanted.currency) == (20, 14, True, True, "EUR")


@pytest.mark.parametrize("moved", range(5))
def test_the_place_of_a_word_does_not_matter(moved: int) -> None:
    """The same words in another order are the same chart."""
    parts = ["gold", "7d", "area", "light", "rsi9"]
    assert read(" ".join(parts[moved:] + parts[:moved])) == read(" ".join(parts))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "an instrument is missing"),
        ("24h dark", "an instrument is missing"),
        ("gold candels", "did you mean candles?"),
        ("gold bolinger", "did you mean bollinger?"),
        ("gold darc", "did you mean dark?"),
        ("gold ma1", "from 2 to 400"),
        ("gold ma9999", "from 2 to 400"),
        ("gold in", "names no currency"),
        ("gold in 7", "names no currency"),
        ("gold dark light", "contradict"),
        ("gold line candles", "contradict"),
        ("gold ma2 ma3 ma4 ma5 ma6", "4 at most"),
        ("gold 24h dark 7d", "two spans"),
        ("goldd 24h", "not an instrument"),
        ("x" * 4000, "not an instrument"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_nearest(line: str, said: str) -> None:
    """Each refusal names the word and what to write."""
    with pytest.raises(BadRequest) as refusal:
        read(line)
    assert said in refusal.value.text
    assert len(refusal.value.text) < 300


@given(
    st.lists(st.sampled_from([*words.OPTIONS, "gold", "btc", "24h", "$", "x", "1", "-5", "..", "in eur"]), max_size=8)
)
def test_any_words_are_a_wish_or_a_refusal(parts: list[str]) -> None:
    """Nothing else is raised."""
    with suppress(BadRequest):
        assert read(" ".join(parts)).instruments


@pytest.mark.parametrize(
    "line",
    ["gold", "gold 7d area dark in eur", "gold vs silver vs btc vs eur-usd vs usd-inr", "gold ma20 ema50 bb rsi"],
)
def test_a_button_asks_for_the_same_over_another_span(line: str) -> None:
    """Its line is read as what was wanted, and fits a button."""
    wanted = read(line)
    again = read(words.line_of("chart", wanted, "30d").removeprefix("chart "))
    assert again == msgspec.structs.replace(wanted, span="30d", here=True)


def test_a_button_that_would_be_too_long_loses_what_matters_least() -> None:
    """Instruments and span stay."""
    wanted = read(
        "gold silver btc eur-usd in eur ma20 ma50 ema100 ema200 bollinger50 rsi21 volume dark blue-up desktop"
    )
    line = words.line_of("chart", wanted, "1y")
    assert len(line.encode()) <= 64
    assert line.startswith("chart XAU-USD XAG-USD BTC-USD EUR-USD 1y in eur") and line.endswith(" here")


# --------------------------------------------------------------------------------------------- replies


@pytest.mark.parametrize("module", [chart, compare, ratio], ids=lambda module: module.__name__.rpartition(".")[2])
async def test_each_command_keeps_the_contract(desk: Desk, module: Any) -> None:
    """Its examples get replies that can be shown."""
    module.NAME = module.__name__.rpartition(".")[2]
    await check_command(module, desk.ask)
    for example in module.EXAMPLES:
        assert (await desk.ask(example)).image, example


async def test_a_chart_says_in_words_what_it_shows(desk: Desk) -> None:
    """Open, high, low, close and change are those of the bars in the span."""
    reply = await desk.ask("chart gold 24h")
    day = bars(2400.0, NOW)[-96:]
    low, high = min(bar.low for bar in day), max(bar.high for bar in day)
    change = day[-1].close / day[0].open - 1
    assert reply.title == "Gold, 24 hours"
    assert reply.lines[0] == (
        f"Open {day[0].open:,.2f}, high {high:,.2f}, low {low:,.2f}, close {day[-1].close:,.2f} USD / troy ounce: "
        f"{change * 100:+.2f} %."
    )
    assert reply.facts["close"] == day[-1].close and reply.facts["candles"] == 96
    assert [button.label for button in reply.buttons] == ["1h", "24h", "7d", "30d", "1y"]
    assert not reply.replace


async def test_a_button_s_reply_takes_the_picture_s_place(desk: Desk) -> None:
    """And has the same buttons."""
    first = await desk.ask("chart gold 24h area")
    second = await desk.ask(first.buttons[2].line)
    assert second.replace and second.ok
    assert second.buttons == first.buttons
    assert desk.last.kind == "area" and desk.last.end - desk.last.start == 7 * DAY


async def test_candles_are_merged_until_one_can_see_them(desk: Desk) -> None:
    """However long the span, there are at most a hundred on a phone, and they hold all prices."""
    for span, most in (("24h", 100), ("7d", 100), ("30d", 100), ("39d", 100)):
        await desk.ask(f"chart gold {span}")
        shown = desk.last.series[0].candles
        assert 30 <= len(shown) <= most, span
    every = bars(2400.0, NOW)
    inside = [bar for bar in every if bar.start >= shown[0].start]
    assert max(bar.high for bar in inside) == max(candle.high for candle in shown)
    assert shown[-1].close == every[-1].close


async def test_averages_are_settled_from_the_first_candle_on(desk: Desk) -> None:
    """Candles before the span are fetched for them."""
    from charts.subject import subject_of

    await desk.ask("chart gold 24h ma20 ema50 bollinger rsi")
    curves = subject_of(desk.last).curves
    assert len(curves) == 3
    assert all(value is not None for curve in curves for value in curve.values)
    assert len(curves[0].values) == 96


async def test_the_theme_is_the_line_s_else_the_person_s_else_the_hub_s(desk: Desk) -> None:
    """Each part of it by itself."""
    await desk.ask("chart gold")
    assert desk.last.theme.ground == "dark"
    desk.user = msgspec.structs.replace(desk.user, theme="light red-up")
    await desk.ask("chart gold")
    assert (desk.last.theme.ground, desk.last.theme.colours) == ("light", "red-up")
    await desk.ask("chart gold dark")
    assert (desk.last.theme.ground, desk.last.theme.colours) == ("dark", "red-up")


async def test_a_terminal_gets_the_large_picture(desk: Desk) -> None:
    """And a chat the one for phones, unless the line says otherwise."""
    await desk.ask("chart gold")
    desk.who = Who(platform="console", id="anna")
    await desk.ask("chart gold")
    await desk.ask("chart gold phone")
    assert [asked.size for asked in desk.easel.charts] == ["phone", "desktop", "phone"]


async def test_another_currency_is_at_each_time_s_own_rate(desk: Desk) -> None:
    """Where history has the pair; 1.25 dollars were a euro all the time here."""
    await desk.ask("chart gold 24h")
    dollars = desk.last.series[0]
    reply = await desk.ask("chart gold 24h in eur")
    euros = desk.last.series[0]
    assert euros.currency == "EUR"
    assert euros.candles[-1].high == pytest.approx(dollars.candles[-1].high / 1.25)
    assert "rate" not in " ".join(reply.lines)


async def test_without_a_history_of_the_pair_today_s_rate_is_said(tmp_path: Path) -> None:
    """In the picture and in words; where nothing connects the two it is refused."""
    async with desk_of(tmp_path, quotes=[quote("USD-INR", 90.0)]) as desk:
        reply = await desk.ask("chart gold 24h in inr")
        assert "in INR at the newest rate, 90" in " ".join(reply.lines)
        assert desk.last.remark and desk.last.series[0].candles[-1].close == pytest.approx(
            bars(2400.0, NOW)[-1].close * 90
        )
        refusal = await desk.ask("chart gold in chf")
        assert not refusal.ok and "CHF" in refusal.lines[0]


async def test_a_person_s_currency_and_weight_are_used(desk: Desk) -> None:
    """Gold by the gram, in euros."""
    desk.user = msgspec.structs.replace(desk.user, currency="EUR", weight="gram")
    reply = await desk.ask("chart gold 24h")
    series = desk.last.series[0]
    assert (series.currency, series.unit) == ("EUR", "gram")
    assert series.candles[-1].close == pytest.approx(bars(2400.0, NOW)[-1].close / 1.25 / 31.1034768)
    assert "EUR / gram" in reply.lines[0]


# --------------------------------------------------------------------------------------------- alerts


def view(number: int, text: str, state: State = State.ARMED, trigger: Trigger | None = None) -> AlertView:
    alert = Alert(
        id=number, owner_id=1, user_id=1, text=text, instrument="XAU-USD", state=state, armed_at=0, created_at=0
    )
    return AlertView(alert=alert, last_trigger=trigger)


def rang(when: int) -> Trigger:
    return Trigger(
        id=1, alert_id=2, generation=1, direction="down", level=2390.0, price=2389.5, venue_time=when,
        received_at=when, source="desk", sequence=1,
    )  # fmt: skip


async def test_the_person_s_alerts_are_in_the_picture(desk: Desk) -> None:
    """Levels of those that wait, marks of those that rang in the span; a line that is not understood is left out."""
    desk.views = [
        view(1, "XAU-USD > 2450"),
        view(2, "XAU-USD < 2390", State.DONE, rang(NOW - DAY // 2)),
        view(3, "what was this"),
        view(4, "XAU-USD > 2500", State.ARMED, rang(NOW - 3 * DAY)),
    ]
    reply = await desk.ask("chart gold 24h")
    assert [level.price for level in desk.last.levels] == [2450.0, 2500.0]
    assert [(mark.price, mark.rising) for mark in desk.last.marks] == [(2389.5, False)]
    assert "2 of your alerts are on it" in " ".join(reply.lines)
    await desk.ask("chart gold 24h nolevels")
    assert desk.last.levels == ()
    desk.user = msgspec.structs.replace(desk.user, weight="gram")
    await desk.ask("chart gold 24h")
    assert next(iter(desk.last.levels)).price == pytest.approx(2450.0 / 31.1034768)


async def test_in_a_group_alerts_are_shown_only_when_asked_for(desk: Desk) -> None:
    """Others look on."""
    desk.views = [view(1, "XAU-USD > 2450")]
    desk.who = Who(platform="telegram", id="anna", place="traders")
    await desk.ask("chart gold")
    await desk.ask("chart gold levels")
    assert [len(asked.levels) for asked in desk.easel.charts] == [0, 1]


# ------------------------------------------------------------------------------------- several, nothing


async def test_compare_is_in_percent_of_a_common_start(desk: Desk) -> None:
    """What each came to is said; where one begins late, from when on."""
    reply = await desk.ask("compare gold silver btc 30d")
    assert desk.last.kind == "compare" and len(desk.last.series) == 3
    assert set(reply.facts["changes_percent"]) == {"Gold", "Silver", "Bitcoin"}  # type: ignore[call-overload]
    assert "The first price of all of them is of 26 Dec 2026" in " ".join(reply.lines)
    assert "The last price" not in " ".join(reply.lines)


async def test_a_picture_of_prices_that_ended_long_ago_says_so(tmp_path: Path) -> None:
    """Of a span that goes on to now; a span that ends where they do needs no such word."""
    async with desk_of(tmp_path, until=NOW - 20 * DAY) as desk:
        for line in ("chart gold 60d", "compare gold silver 60d", "ratio gold silver 60d"):
            assert "of 26 Dec 2026" in next(one for one in (await desk.ask(line)).lines if "The last price" in one)
        assert "The last price" not in " ".join((await desk.ask("chart gold 2026-12-20..2026-12-26")).lines)
    assert not (await desk.ask("compare gold")).ok
    assert not (await desk.ask("compare gold silver ma20")).ok


async def test_what_only_one_price_can_have_is_said_to_be_left_out(desk: Desk) -> None:
    """The picture is drawn all the same."""
    reply = await desk.ask("chart gold 24h candles vs silver ma20 ema50 bollinger rsi volume dark in eur levels")
    assert reply.image and desk.last.kind == "compare"
    assert "Several prices are lines in percent; candles, indicators, volumes and levels are for one." in reply.lines
    assert "Several" not in " ".join((await desk.ask("chart gold vs silver")).lines)


async def test_a_ratio_is_of_two(desk: Desk) -> None:
    """Its numbers are of the one over the other."""
    reply = await desk.ask("ratio gold silver 24h ma20")
    expected = bars(2400.0, NOW)[-1].close / bars(30.0, NOW)[-1].close
    assert reply.facts["close"] == pytest.approx(expected)
    assert reply.title.startswith("Gold / Silver")
    assert "3" in (await desk.ask("ratio gold silver btc")).lines[0]


async def test_a_span_without_prices_says_so_and_offers_the_newest(tmp_path: Path) -> None:
    """The first button leads to the day of the newest price."""
    async with desk_of(tmp_path, until=NOW - 20 * DAY) as desk:
        reply = await desk.ask("chart gold 24h")
        assert reply.ok and reply.image
        assert "no prices in" in reply.lines[0] and "the newest is of 26 Dec 2026" in reply.lines[0]
        assert reply.buttons[0].label == "26 Dec 2026"
        there = await desk.ask(reply.buttons[0].line)
        assert there.facts["candles"]


async def test_an_instrument_without_any_history_is_refused_in_words(desk: Desk) -> None:
    """There is nothing to offer."""
    reply = await desk.ask("chart inr")
    assert not reply.ok
    assert "has no price in this hub's history yet" in reply.lines[0]


async def test_max_begins_where_history_does(desk: Desk) -> None:
    """On the day of the oldest bar."""
    await desk.ask("chart gold max")
    oldest = bars(2400.0, NOW)[0].start
    assert oldest - DAY < desk.last.start <= oldest


async def test_prices_of_a_recording_are_said_to_be_that(tmp_path: Path) -> None:
    """In words and in the picture, and its newest time is the end of the span."""
    then = NOW - 400 * DAY
    newest = quote("XAU-USD", 2400.0, nature=Nature.RECORDING, time=then, received_at=then)
    async with desk_of(tmp_path, until=then, quotes=[newest]) as desk:
        reply = await desk.ask("chart gold 24h")
        assert desk.last.nature is Nature.RECORDING and len(desk.last.series[0].candles) >= 90
        assert "These prices are of a recording." in reply.lines


async def test_the_whole_way_makes_a_picture(tmp_path: Path) -> None:
    """From the words through a real history and a real worker to a PNG that is not empty."""
    async with open_renderer(MemoryCache(), 30.0) as renderer, desk_of(tmp_path, drawing=renderer) as desk:
        reply = await desk.ask("chart gold 7d ma20 ema50 bollinger rsi volume dark in eur")
        assert reply.image is not None and reply.image.startswith(b"\x89PNG\r\n\x1a\n")
        assert 20_000 < len(reply.image) < 400_000
