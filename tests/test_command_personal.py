"""watch, digest, portfolio, export and forget, as a person writes them: over a real bus, ledger and history."""

import csv
import io
import json
import random
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from charts.chart import Chart
from hub import bus as subjects
from hub.app import core
from hub.bus import connect
from hub.config import AlertsSection, BusSection, Config, HubSection
from hub.history import Position
from hub.ledger import tables as t
from hub.market import Market
from hub.model import SECOND_US, Kind, Line, Nature, Reply, Request, Tick, User, Who
from hub.plugin import TryLater
from hub.testing import check_reply, frame_of
from plugins.commands.export import MOST_BYTES, packed
from plugins.commands.portfolio_chart import MOST, thinned
from tests.test_commands import ANNA, NOW, OPERATOR, STRANGER, Room, quote, room
from tests.waiting import until_true

HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
USER = User(id=1, name="operator", owner_id=1)
SERVED = ("XAU-USD", "XAG-USD", "BTC-USDT", "EUR-USD", "USD-INR")


class Easel:
    """Keeps what it was asked to draw."""

    def __init__(self) -> None:
        self.charts: list[Chart] = []

    async def draw(self, chart: Chart) -> bytes:
        self.charts.append(chart)
        return b"\x89PNG"


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    """Gold, bitcoin (simulated), euro and rupee have prices; silver has none. No limit of lines."""
    unlimited = AlertsSection(lines_per_minute=0)
    async with room(nats_server, tmp_path / "hub", alerts=unlimited, served=SERVED) as opened:
        for each in (quote("EUR-USD", 1.25), quote("USD-INR", 88.0)):
            opened.quotes.by_id[each.instrument] = each
        yield opened


async def told(here: Room, line: str, who: Who = OPERATOR) -> str:
    reply = await here.say(line, who)
    check_reply(reply)
    return "\n".join([reply.title, *(" | ".join(row) for row in reply.table), *reply.lines])


async def record(here: Room, instrument: str, prices: dict[int, float], number: int) -> None:
    """Prices at those times, in history."""
    ticks = [
        Tick(instrument=instrument, kind=Kind.QUOTE, price=price, bid=price, ask=price, received_at=at, venue_time=at,
             source="demo")
        for at, price in sorted(prices.items())
    ]  # fmt: skip
    place = Position(stream="s", sequence=number, epoch=1, number=number, clock=NOW)
    await here.history.append([frame_of(ticks, number=number)], place)


# ------------------------------------------------------------------------------------------------ watch


async def test_a_board_shows_price_day_line_and_doubts(here: Room) -> None:
    """In the order of the list; what has no price yet is named; the refresh button changes it in place."""
    await record(here, "XAU-USD", {NOW - hours * HOUR_US: 2400.0 - hours for hours in range(1, 24, 2)}, 1)
    reply = await here.say("watch gold silver, btc")
    gold, btc = reply.table[1:]
    assert gold[:3] == ("Gold", "2,411.20 USD", "+1.01 %")
    assert (gold[3][0], gold[3][-1]) == ("▁", "█")
    assert btc[5] == "simulated, market closed"
    assert reply.lines == ("Silver (XAG-USD): no price yet.",)
    (button,) = reply.buttons
    assert not reply.replace
    again = await here.say(button.line)
    assert again.replace
    assert again.table == reply.table


async def test_lists_have_names_and_can_be_taken_back(here: Room) -> None:
    """Made, shown, reduced, listed, deleted, and brought back by the button."""
    assert "Gold" in await told(here, "watch Metals: gold silver")
    assert (await here.say("watch metals")).facts["instruments"] == ["XAU-USD", "XAG-USD"]
    assert (await here.say("watch metals: remove silver")).facts["instruments"] == ["XAU-USD"]
    assert (await here.say("watch")).facts["list"] == "metals"
    await here.say("watch btc")
    assert (await here.say("watch")).facts["list"] == ""
    assert (await here.say("watch lists")).facts["lists"] == {"": ["BTC-USDT"], "metals": ["XAU-USD"]}
    gone = await here.say("watch delete metals")
    assert (await here.say("watch lists")).facts["lists"] == {"": ["BTC-USDT"]}
    await here.say(gone.buttons[0].line)
    assert (await here.say("watch metals")).facts["instruments"] == ["XAU-USD"]
    assert (await here.say("watch lists", ANNA)).facts["lists"] == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("watch unobtainium", "not an instrument"),
        ("watch eth", "say which"),
        ("watch gold: silver", "is an instrument"),
        ("watch lists: gold", "is something else"),
        ("watch !!: gold", "cannot be the name"),
        ("watch " + "x" * 40 + ": gold", "cannot be the name"),
        ("watch remove", "of what"),
        ("watch remove gold", "your list is empty"),
        ("watch delete", "of what"),
        ("watch delete metals", "no list metals"),
        ("watch metals:", "no list"),
        ("watch refresh metals", "no list"),
        ("watch " + "gold " * 90, "400 is the most"),
    ],
)
async def test_what_watch_cannot_do_is_explained(line: str, said: str, here: Room) -> None:
    """With what to write instead; nothing is kept of it."""
    reply = await here.say(line)
    assert not reply.ok
    assert said in reply.lines[0]
    assert (await here.say("watch lists")).facts["lists"] == {}


# ----------------------------------------------------------------------------------------------- digest


async def test_a_digest_is_set_shown_switched_and_removed(here: Room) -> None:
    """Each reply says when the next one comes and where it goes."""
    made = await here.say("digest 08:00 mon-fri")
    assert "next one comes Mon 18 Jan 08:00 (UTC)" in made.lines[1]
    assert made.lines[2] == "It goes to: console."
    await here.say("digest 7:30 portfolio weekends to 1")
    assert [row[1:] for row in (await here.say("digest")).table[1:]] == [
        ("07:30 sat-sun", "portfolio", "Sat 16 Jan 07:30", "console"),
        ("08:00 mon-fri", "watch list, alerts, portfolio", "Mon 18 Jan 08:00", "all"),
    ]
    off = await here.say("digest off 1")
    assert (await here.say("digest")).table[2][3] == "off"
    assert "next Mon 18 Jan 08:00" in await told(here, off.buttons[0].line)
    assert "2 digests are off" in await told(here, "digest off")
    await here.say("digest remove 1")
    assert len((await here.say("digest")).table) == 2
    assert "nowhere" in await told(here, "digest 08:00", STRANGER)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("digest 25:00", "no time of day"),
        ("digest noon", "no time of day"),
        ("digest 08:00 blue", '"blue" is not understood'),
        ("digest 08:00 mon-fri weekends", '"weekends" is not understood'),
        ("digest 08:00 to", '"to" is not understood'),
        ("digest 08:00 to x", "Write its number"),
        ("digest 08:00 to 9", "no destination 9"),
        ("digest off", "no digest"),
        ("digest off 9", "no digest 9"),
        ("digest remove", "Write its number"),
        ("digest remove 9", "no digest 9"),
        ("digest 08:00 " + "x" * 300, "200 is the most"),
    ],
)
async def test_what_digest_cannot_do_is_explained(line: str, said: str, here: Room) -> None:
    """With an example."""
    reply = await here.say(line)
    assert not reply.ok
    assert said in reply.lines[0]
    assert (await here.say("digest")).facts["digests"] == []


# -------------------------------------------------------------------------------------------- portfolio


async def test_a_portfolio_tells_value_cost_profit_and_shares(here: Room) -> None:
    """In the currency of most of it, or in another; what has no price or no rate is named and left out."""
    made = await here.say('portfolio add 10 g gold 22k for 57000 inr 2024-03-01 note "wedding"')
    assert made.private
    assert made.lines[0] == "10 g 22k Gold for 57,000.00 INR (5,700.00 for each gram), 2024-03-01."
    await here.say("portfolio add 1 oz gold at 2000")
    await here.say("portfolio add 2 eur-usd at 1")
    await here.say("portfolio add 0.5 btc at 42000")
    await here.say("portfolio add 3 oz silver for 90")
    reply = await here.say("portfolio")
    value = 2411.2 * (1 + 10 / 31.1034768 * 22 / 24) + 2.5
    cost = 57_000 / 88 + 2000 + 2
    assert reply.title == f"Your portfolio: {value:,.2f} USD, 2 of 5 lots not counted"
    assert [row[4] for row in reply.table[1:]][3:] == ["no rate", "no price"]
    assert reply.table[1][1] == "10 g 22k Gold, wedding"
    said = "\n".join(reply.lines)
    assert f"Cost {cost:,.2f} USD, profit {value - cost:+,.2f}" in said
    assert "No live price connects USDT and USD" in said
    assert "Silver has no price: it is not counted." in said
    assert "██████████ 99.92 % Gold" in said
    euros = await here.say("portfolio in eur")
    assert euros.title.startswith(f"Your portfolio: {value / 1.25:,.2f} EUR")
    assert cast(float, euros.facts["profit"]) == pytest.approx((value - cost) / 1.25)
    assert (await here.say("portfolio", ANNA)).facts["lots"] == []


async def test_a_bare_price_is_read_only_where_it_can_be_one_thing(here: Room) -> None:
    """Near today's price of one, or of all; between the two the person is asked."""
    assert (await here.say("portfolio add 10 g gold 70")).facts["cost"] == 700.0
    assert (await here.say("portfolio add 10 g gold 60000 inr")).facts["cost"] == 60_000.0
    asked = await here.say("portfolio add 10 AAPL 190")
    assert not asked.ok
    assert "at 190 usd for the price of each of the 10, or for 190 usd for all together" in asked.lines[0]


async def test_nothing_priced_is_not_worth_nothing(here: Room) -> None:
    """The title says that it is not known, and everything sold is said to be."""
    await here.say("portfolio add 3 oz silver for 90")
    assert (await here.say("portfolio")).title == "Your portfolio: its value in USD is not known"
    await here.say("portfolio sell 1 for 100")
    assert (await here.say("portfolio")).title == "Your portfolio: all is sold"
    assert "Sold with +10.00 USD so far" in await told(here, "portfolio")


async def test_a_lot_is_sold_in_part_and_taken_back(here: Room) -> None:
    """With what it brought; the parts are lots of their own."""
    await here.say("portfolio add 10 g gold 22k for 700 2024-03-01")
    sold = await here.say("portfolio sell 1 4 g at 7000 inr 2024-06-01")
    assert sold.title == "Sold from lot 1"
    assert sold.lines == (
        "4 g 22k Gold for 28,000.00 INR, 2024-06-01.",
        "Profit +3,360.00 INR (+13.64 %), at today's rate.",
        "Lot 1 still holds 6 g 22k; what was sold is lot 2.",
    )
    assert not (await here.say("portfolio sell 2 at 5")).ok
    assert (await here.say(sold.buttons[0].line)).facts["sold_on"] == ""
    assert len((await here.say("portfolio")).table) == 3


async def test_a_lot_is_removed_and_brought_back(here: Room) -> None:
    """By the button of the reply."""
    added = await here.say("portfolio add 1 oz gold for 2000")
    gone = await here.say(added.buttons[0].line)
    assert (await here.say("portfolio")).facts["lots"] == []
    await here.say(gone.buttons[0].line)
    assert len((await here.say("portfolio")).table) == 2


async def test_portfolios_have_names(here: Room) -> None:
    """One by itself, or all together; a colon in a note names none."""
    await here.say("portfolio Pension: add 1 oz gold for 2000")
    await here.say('portfolio add 1 oz gold for 1000 note "a: b"')
    assert [row[1] for row in (await here.say("portfolio")).table[1:]] == ["pension: 1 oz Gold", "1 oz Gold, a: b"]
    assert (await here.say("portfolio pension:")).title == "pension: 2,411.20 USD"
    assert not (await here.say("portfolio other:")).ok
    long = "кошелёк-для-очень-долгого-срока"
    await here.say(f"portfolio {long}: add 1 oz gold for 2000")
    await told(here, f"portfolio {long}:")  # its buttons fit, or are not there


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("portfolio blah", "nothing that a portfolio knows"),
        ("portfolio add", "how much of what"),
        ("portfolio add -1 btc at 5", "has a sign"),
        ("portfolio add 1 btc at 5 2999-01-01", "in the future"),
        ("portfolio add 1 stone gold at 5", "no weight"),
        ("portfolio in xyz", "no currency"),
        ("portfolio sell", "which lot"),
        ("portfolio sell 9 at 5", "no lot 9"),
        ("portfolio remove x", "which lot"),
        ("portfolio remove 9", "no lot 9"),
        ("portfolio remove 9 now", "not understood"),
        ("portfolio chart", "no lots yet"),
        ("portfolio add 1 btc at 5 " + "x" * 440, "300 is the most"),
    ],
)
async def test_what_portfolio_cannot_do_is_explained(line: str, said: str, here: Room) -> None:
    """With what to write instead; nothing is kept of it."""
    reply = await here.say(line)
    assert not reply.ok
    assert said in reply.lines[0]
    assert (await here.say("portfolio")).facts["lots"] == []


# ----------------------------------------------------------------------------------- its value over time


@pytest.fixture
def easel(here: Room) -> Easel:
    made = Easel()
    known = here.commands._context
    known.market = Market(here.history, here.quotes, known.catalogue, here.cache, made, clock=lambda: NOW)
    return made


async def test_the_value_over_time_is_that_of_what_was_held(here: Room, easel: Easel) -> None:
    """Bought on one day, sold on another, by the prices of each day; nothing that was not held is read."""
    days = range(1, 11)
    await record(here, "XAU-USD", {NOW - day * DAY_US: 2000.0 + day for day in days}, 1)
    await record(here, "XAG-USD", {NOW - day * DAY_US: 30.0 for day in days}, 2)
    await here.say("portfolio add 1 oz gold for 2000 2027-01-06")  # nine days ago
    await here.say("portfolio add 10 oz silver for 300 2027-01-08")
    await here.say("portfolio sell 2 for 310 2027-01-12")
    reply = await here.say("portfolio chart 8d")
    check_reply(reply)
    assert reply.ok, reply.lines
    points = cast(list[list[float]], reply.facts["points"])
    by_day = {int(time) // DAY_US - NOW // DAY_US: value for time, value in points}
    assert by_day == {-8: 2008.0, -7: 2307.0, -6: 2306.0, -5: 2305.0, -4: 2304.0, -3: 2003.0, -2: 2002.0, -1: 2001.0}
    (chart,) = easel.charts
    assert (chart.kind, chart.series[0].name, chart.series[0].currency) == ("line", "Portfolio", "USD")
    assert chart.remark == "with what was bought and sold"
    assert reply.lines[1] == "Bought 300.00, sold 300.00 USD; the prices did -7.00 of it."
    assert chart.nature is Nature.LIVE
    assert reply.image is not None
    assert reply.buttons[0].line == "portfolio chart 7d here"
    assert (await here.say(reply.buttons[0].line)).replace


async def test_the_past_is_turned_into_a_currency_by_its_own_rates(here: Room, easel: Easel) -> None:
    """By the pair's candles where history has them, else by the rate of now, and that is said."""
    await record(here, "XAU-USD", {NOW - day * DAY_US: 2000.0 for day in (1, 2, 3)}, 1)
    await record(here, "EUR-USD", {NOW - 3 * DAY_US: 1.0, NOW - 2 * DAY_US: 1.25, NOW - DAY_US: 1.6}, 2)
    await here.say("portfolio add 1 oz gold for 2000 2027-01-06")
    for currency, values, at_now in (("EUR", [2000.0, 1600.0, 1250.0], False), ("INR", [176_000.0] * 3, True)):
        await here.commands.ledger.write(lambda c, to=currency: c.execute(t.users.update().values(currency=to)))  # type: ignore[misc]
        reply = await here.say("portfolio chart 7d")
        assert [value for _, value in cast(list[list[float]], reply.facts["points"])] == values
        assert ("at today's rate" in " ".join(reply.lines)) is at_now


async def test_what_has_no_past_is_left_out_of_the_line_and_named(here: Room, easel: Easel) -> None:
    """No history, or no rate; where nothing is left, the refusal says why."""
    await record(here, "XAU-USD", {NOW - DAY_US: 2000.0}, 1)
    await record(here, "BTC-USDT", {NOW - DAY_US: 60_000.0}, 2)
    await here.say("portfolio add 1 oz silver for 30 2027-01-01")
    alone = await here.say("portfolio chart 7d")
    assert not alone.ok
    assert "Silver is left out: history has no prices of it then." in alone.lines[0]
    await here.say("portfolio add 1 btc for 30 2027-01-01")
    await here.say("portfolio add 1 oz gold for 30 2027-01-01")
    reply = await here.say("portfolio chart 7d")
    assert reply.facts["last"] == 2000.0
    assert "Bitcoin (USDT) is left out: no live price connects USDT and USD" in " ".join(reply.lines)
    assert easel.charts[0].remark == "not all of it"
    assert not (await here.say("portfolio chart 2020-01-01..2020-02-01")).ok
    assert not (await here.say("portfolio chart banana")).ok


def test_a_long_line_keeps_its_end() -> None:
    """At most so many points, evenly."""
    points = [(number, float(number)) for number in range(1001)]
    kept = thinned(points)
    assert len(kept) <= MOST
    assert kept[-1] == points[-1]
    assert thinned(points[:5]) == points[:5]


# --------------------------------------------------------------------------------------------- settings


async def test_a_person_says_how_things_are_shown(here: Room) -> None:
    """Time zone, currency, weight, theme: kept, used, and taken back; nobody else's are touched."""
    for line, field, value in (
        ("settings zone kolkata", "time_zone", "Asia/Kolkata"),
        ("settings currency inr", "currency", "INR"),
        ("settings weight g", "weight", "gram"),
        ("settings theme Dark, red-up", "theme", "dark red-up"),
        ("settings quiet 22-7", "quiet", "22:00-07:00"),
        ("settings language English", "language", "en"),
    ):
        assert (await here.say(line)).facts[field] == value
    assert "13:30:00 now" in await told(here, "settings")
    assert "Asia/Kolkata" in await told(here, "digest 08:00")
    assert (await here.say("portfolio add 10 gold for 700")).facts["wrote"] == "10 g"
    assert (await here.say("portfolio")).title.endswith(" INR")
    await here.say("settings currency none")
    assert (await here.say("portfolio")).title.endswith(" USD")
    assert (await here.say("settings", ANNA)).facts["time_zone"] == "UTC"


UNSET = {"time_zone": "UTC", "currency": "", "weight": "", "theme": "", "language": "", "quiet": ""}


async def test_settings_are_a_panel_that_is_edited_in_place(here: Room) -> None:
    """Every button's line works, shows the same panel anew, and leads back; all of them fit a platform's button."""
    panel = await here.say("settings")
    assert panel.replace and panel.private
    for button in panel.buttons:
        opened = await here.say(button.line)
        assert opened.ok and opened.replace, button.line
        assert opened.buttons[-1].line == "settings"
        for choice in opened.buttons:
            assert len(choice.line.encode()) <= 64
            assert (await here.say(choice.line)).title, choice.line
    assert [button.line for button in (await here.say("settings")).buttons] == [b.line for b in panel.buttons]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("settings colour blue", "is no setting"),
        ("settings zone Asia/Kolkatta", "did you mean Asia/Kolkata?"),
        ("settings zone ../../etc/passwd", "no time zone"),
        ("settings zone none", "no time zone"),
        ("settings currency xyz", "no currency"),
        ("settings weight stone", "no weight"),
        ("settings theme pink", "no theme"),
        ("settings theme " + "x" * 200, "too long"),
        ("settings language klingon", "no language"),
        ("settings quiet at night", "no hours"),
        ("settings quiet 7-7", "none or all"),
    ],
)
async def test_a_setting_that_cannot_be_is_explained(line: str, said: str, here: Room) -> None:
    """And nothing is changed."""
    reply = await here.say(line)
    assert not reply.ok
    assert said in reply.lines[0]
    assert (await here.say("settings")).facts == UNSET


# -------------------------------------------------------------------------------------- export and forget


async def furnish(here: Room) -> None:
    for line in (
        "gold > 2500",
        "watch gold silver",
        "digest 08:00",
        'portfolio add 1 oz gold for 2000 2024-03-01 note "=HYPERLINK(0)"',
        "push add https://hooks.example.org/s3cret",
    ):
        assert (await here.say(line)).ok


async def test_an_export_holds_all_that_is_known_and_no_secret(here: Room) -> None:
    """JSON of every table, CSV of some; a spreadsheet runs nothing of it; times are readable."""
    await furnish(here)
    reply = await here.say("export")
    assert reply.private
    assert reply.file is not None
    assert (reply.file.name, reply.file.media_type) == ("tocsin-export-2027-01-15.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(reply.file.content)) as file:
        assert file.testzip() is None
        texts = {name: file.read(name).decode() for name in file.namelist()}
    assert json.loads(texts["alerts.json"])[0]["text"] == "XAU-USD > 2500"
    assert json.loads(texts["alerts.json"])[0]["created_at"] == "2027-01-15T08:00:00.000000Z"
    assert json.loads(texts["watchlists.json"])[0]["instruments"] == "XAU-USD XAG-USD"
    assert json.loads(texts["digests.json"])[0]["at_s"] == 28_800
    assert json.loads(texts["destinations.json"])[1]["label"] == "webhook hooks.example.org"
    (lot,) = csv.DictReader(io.StringIO(texts["lots.csv"]))
    assert (lot["cost"], lot["note"]) == ("2000.0", "'=HYPERLINK(0)")
    assert {f"{table}.json" for table in cast(dict[str, int], reply.facts["counts"])} <= set(texts)
    assert "s3cret" not in "".join(texts.values()) + str(reply.lines)
    assert not (await here.say("export all")).ok


def test_what_does_not_fit_into_a_file_is_said() -> None:
    """The oldest of the longest table stay out, until it is small enough."""
    noise = random.Random(1)
    rows = [{"id": number, "text": noise.randbytes(400).hex()} for number in range(16_000)]
    file, left_out = packed({"notifications": rows, "lots": []}, {"notifications": 20_000, "lots": 0}, USER, NOW)
    assert len(file.content) <= MOST_BYTES
    with zipfile.ZipFile(io.BytesIO(file.content)) as opened:
        kept = json.loads(opened.read("notifications.json"))
        assert left_out == [f"Of 20,000 notifications the newest {len(kept):,} are in it: a file holds no more."]
        assert left_out[0] in opened.read("README.txt").decode()
    assert kept[-1]["id"] == 15_999


async def test_forgetting_asks_first_and_then_removes_everything(here: Room) -> None:
    """Alerts by the engine, then all rows; the numbers are said before; afterwards the person is a new one."""
    await furnish(here)
    await here.say("gold > 2600", ANNA)
    asked = await here.say("forget")
    assert asked.private
    assert {"  alerts, counting those that are over: 1", "  watch lists: 1", "  digests: 1"} <= set(asked.lines)
    assert any("You are an operator" in line for line in asked.lines)
    assert (await here.say("alerts")).table
    done = await here.say(asked.buttons[1].line)
    assert done.title == "You are forgotten"
    assert [(change.action, change.alert_id) for change in here.engine.changes][2:] == [("delete", 1)]
    rows = await everything(here)
    assert "operator" not in rows
    assert "hooks.example.org" not in rows
    assert "anna" in rows
    for line in ("alerts", "watch lists", "digest", "portfolio"):
        assert (await here.say(line)).facts in ({"alerts": []}, {"lists": {}}, {"digests": []}, {"lots": []})
    assert (await here.say("alerts", ANNA)).table


async def everything(here: Room) -> str:
    def read(c: sa.Connection) -> str:
        return "\n".join(str(tuple(row)) for table in t.metadata.sorted_tables for row in c.execute(sa.select(table)))

    return await here.commands.ledger.read(read)


@pytest.mark.parametrize("line", ["forget yes", "forget yes 000000", "forget me", "forget yes a b"])
async def test_nothing_is_removed_by_mistake(line: str, here: Room) -> None:
    """Without the code of a fresh answer, nothing."""
    await furnish(here)
    before = await everything(here)
    assert not (await here.say(line)).ok
    assert await everything(here) == before
    assert [change.action for change in here.engine.changes] == ["create"]


async def test_without_an_engine_nobody_is_forgotten(nats_server: Any, tmp_path: Path) -> None:
    """An alert that nobody can stop would ring for somebody who is not there."""
    async with room(nats_server, tmp_path / "hub") as first:
        await first.say("gold > 2500")
    async with room(nats_server, tmp_path / "hub", engine=False) as here:
        asked = await here.say("forget")
        before = await everything(here)
        reply = await here.say(asked.buttons[1].line)
        assert "nothing was changed" in reply.lines[0]
        assert await everything(here) == before


async def test_a_reply_of_ten_thousand_characters_is_asked_for_in_vain(here: Room) -> None:
    """Straight at the commands, past the limit of a line: each refuses in a sentence."""
    await here.say("watch")
    for name in ("watch", "digest", "portfolio", "export", "forget"):
        for arguments in ("x" * 10_000, "add " + "9" * 10_000, "add 1 btc at 5 note " + "x" * 10_000):
            request = Request(name=name, arguments=arguments, user=USER, who=OPERATOR)
            reply = await here.bus.request(subjects.command(name), request, Reply, 5)
            check_reply(reply)
            assert not reply.ok
            assert len(reply.lines[0]) < 400


async def test_the_engine_lets_go_of_who_is_forgotten(nats_server: Any, tmp_path: Path) -> None:
    """In a whole core: armed, silenced and deleted alerts are gone from its memory too, and it goes on with others."""
    roles = ("record", "alert", "deliver", "commands")
    unlimited, small = AlertsSection(lines_per_minute=0), BusSection(max_mb=256)
    config = Config(folder=tmp_path / "hub", hub=HubSection(roles=roles), alerts=unlimited, bus=small)
    async with core(config, nats_server.url, nats_server.token) as running:
        async with connect(nats_server.url, nats_server.token, "test") as bus:

            async def say(text: str, who: Who = OPERATOR) -> Reply:
                return await bus.request(subjects.LINE, Line(text=text, who=who), Reply, 15)

            async def armed() -> int:
                answers = await bus.scatter(subjects.STATUS, b"", 0.3)
                told = [json.loads(answer) for answer in answers]
                return sum(sum(one["alerts"].values()) for one in told if one["service"] == "engine")

            async def serves() -> bool:
                with suppress(TryLater):
                    return (await say("help")).ok
                return False

            await until_true(serves, 10)
            for line in ("gold > 2500", "gold > 2600", "gold > 2700", "snooze 2 2h", "delete 3"):
                assert (await say(line)).ok, line
            assert (await say("gold > 2800", ANNA)).ok
            assert await armed() == 3
            asked = await say("forget")
            assert (await say(asked.buttons[1].line)).title == "You are forgotten"
            assert await armed() == 1
            assert not (await say("delete 1 undo")).ok
            assert (await say("alerts", ANNA)).table
            assert not running.done()
