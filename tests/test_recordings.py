"""plugins.feeds.recordings and plugins.feeds.replay: every line of a recording, once, in order."""

import asyncio
import gzip
import os
import time
import zipfile
from collections import Counter
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hub.model import Kind, Refused, Tick, Verdict
from hub.plugin import GiveUp
from plugins.feeds import recordings, replay
from plugins.feeds.recordings import FORMATS, hours_of, moment_us, read, recognise, source_of

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
GOLD = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"
needs_data = pytest.mark.skipif(not GOLD.exists(), reason="the recordings of TOCSIN_DATA are not here")

QUOTES = b"46.2042,1284.065,1284.405\n49.769,1284.081,1284.44\nnonsense\n\n51.2158,1284.084,1284.468\n"
MIDNIGHT = 1_398_988_800_000_000  # 2014-05-02 UTC
FRAMES = (
    b'1723161254036059768 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",'
    b'"U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.32332000"]]}}\n'
    b'1723161254087891268 {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT",'
    b'"b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}\n'
    b'1723161254087896568 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT",'
    b'"t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}\n'
    b'1723161254087896999 {"stream":"btcusdt@trade","data":{"e":"tra\n'
)
TRADES = (
    b"recv_ns,event_ms,trade_ms,trade_id,price,qty,buyer_is_maker\n"
    b"1723161254087896568,1723161255343,1723161255342,3735683259,61837.63000000,0.02000000,True\n"
)


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """A recording of three quotes, a broken line and a blank one, zipped as Lean does."""
    path = tmp_path / "gold.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20140502_xauusd_tick_quote.csv", QUOTES)
    return path


class Hub:
    """Keeps what a feed emits."""

    def __init__(self) -> None:
        self.updates: list[Tick | Refused] = []
        self.got_one = asyncio.Event()

    async def emit(self, update: Tick | Refused) -> None:
        self.updates.append(update)
        self.got_one.set()

    @property
    def ticks(self) -> list[Tick]:
        return [update for update in self.updates if isinstance(update, Tick)]


# ----------------------------------------------------------------------------------------------- formats


def test_a_lean_quote_line_becomes_a_numbered_quote(gold: Path) -> None:
    """Milliseconds with fractions become whole microseconds; a broken line is told with its number."""
    updates = list(read(gold, instrument="XAU-USD"))
    first, second, broken, last = updates
    assert first == Tick(
        instrument="XAU-USD",
        kind=Kind.QUOTE,
        bid=1284.065,
        ask=1284.405,
        venue_time=MIDNIGHT + 46_204,
        received_at=MIDNIGHT + 46_204,
        source="replay:gold",
        number=1,
    )
    assert second.number == 2
    assert broken == Refused(reason="broken line", sample="nonsense", number=3)
    assert last.number == 5


def test_a_lean_quote_with_sizes_is_read_too(tmp_path: Path) -> None:
    """Five columns are bid, size, ask, size; a line of four is cut short."""
    path = tmp_path / "20240808_btcusdt.csv"
    path.write_bytes(b"1,100.5,3,100.6,4\n2,100.5,3,100.6\n-5,100.5,3,100.6,4\n90000000,100.5,3,100.6,4\n")
    tick, *broken = read(path, "lean-quote", instrument="BTC-USDT")
    assert isinstance(tick, Tick)
    assert (tick.bid, tick.ask) == (100.5, 100.6)
    assert [update.number for update in broken] == [2, 3, 4]
    assert all(isinstance(update, Refused) for update in broken)


def test_a_file_of_bars_is_not_taken_for_ticks(tmp_path: Path) -> None:
    """The first cells of a bar look like a bid and an ask; the file is refused before its first line counts."""
    path = tmp_path / "20140502_quote.csv"
    path.write_bytes(b"0,1284.065,1284.446,1283.794,1283.931,0,1284.405,1284.869,1284.123,1284.316,0\n")
    with pytest.raises(GiveUp, match="holds bars, not ticks: line 1 has 11 columns"):
        next(read(path, "lean-quote", instrument="XAU-USD"))


def test_lean_trades_are_new_york_time_and_the_largest_member_is_the_default(tmp_path: Path) -> None:
    """A zip of several contracts yields the largest, or the one that `member` names, as another source."""
    path = tmp_path / "gc.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20131009_gc_tick_trade_201402.csv", b"7368558,1319.1,2,usa,,0\n")
        archive.writestr("20131009_gc_tick_trade_201312.csv", b"7368558,1317.9,5,usa,,0\n7368559,1.0,1,usa,,1\n")
    front, suspicious = read(path, instrument="GC")
    assert isinstance(front, Tick)
    assert (front.price, front.volume, front.kind) == (1317.9, 5.0, Kind.TRADE)
    assert front.venue_time == 1_381_284_168_558_000  # 02:02:48.558 UTC: futures are in UTC
    assert suspicious == Refused(reason="marked as suspicious", sample="7368559,1.0,1,usa,,1", number=2)
    (later,) = read(path, instrument="GC", member="201402")
    assert isinstance(later, Tick)
    assert later.price == 1319.1
    assert later.source != front.source


def test_binance_frames_keep_their_receive_time(tmp_path: Path) -> None:
    """Order book frames hold no tick; a broken frame is told; lines are the numbers."""
    path = tmp_path / "capture.raw.gz"
    path.write_bytes(gzip.compress(FRAMES))
    quote, trade, broken = read(path, symbols={"BTC-USDT": "btcusdt"})
    assert isinstance(quote, Tick)
    assert (quote.number, quote.bid, quote.venue_time) == (2, 61837.63, None)
    assert quote.received_at == 1_723_161_254_087_891
    assert isinstance(trade, Tick)
    assert (trade.number, trade.price, trade.venue_time) == (3, 61837.63, 1_723_161_255_342_000)
    assert isinstance(broken, Refused)
    assert (broken.reason, broken.number) == ("broken JSON", 4)


def test_binance_trades_keep_their_receive_time(tmp_path: Path) -> None:
    """The header is line 1 and no tick."""
    path = tmp_path / "trades.csv"
    path.write_bytes(TRADES + b"cut,1\n")
    trade, broken = read(path, instrument="BTC-USDT")
    assert isinstance(trade, Tick)
    assert (trade.number, trade.price, trade.volume) == (2, 61837.63, 0.02)
    assert (trade.venue_time, trade.received_at) == (1_723_161_255_342_000, 1_723_161_254_087_896)
    assert isinstance(broken, Refused)
    assert broken.number == 3


def test_a_table_names_its_columns(tmp_path: Path) -> None:
    """Any order, any delimiter, ISO or epoch times; a row with both is a trade and a quote."""
    path = tmp_path / "mine.csv"
    path.write_text(
        "\ufeffSymbol;Last;Time;Bid;Ask;Volume\n"
        "xau;2400.5;2024-08-08T12:00:00Z;;;3\n"
        "xau;;1723118401;2400.1;2400.9;\n"
        "xau;2400.5;1723118402000;2400.1;2400.9;\n"
        "other;1;1723118402000;;;\n"
        "xau;;1723118403;2400.1;;\n"
        "xau;soon;1723118403;;;\n"
    )
    trade, quote, both_trade, both_quote, other, one_sided, broken = read(path, symbols={"XAU-USD": "XAU"})
    assert trade == Tick(
        instrument="XAU-USD",
        kind=Kind.TRADE,
        price=2400.5,
        volume=3.0,
        venue_time=1_723_118_400_000_000,
        received_at=1_723_118_400_000_000,
        source="replay:mine",
        number=2,
    )
    assert isinstance(quote, Tick)
    assert (quote.bid, quote.ask, quote.price, quote.venue_time) == (2400.1, 2400.9, None, 1_723_118_401_000_000)
    assert [both_trade.number, both_quote.number] == [4, 4]
    assert [update.reason for update in (other, one_sided, broken) if isinstance(update, Refused)] == [
        "unknown symbol",
        "broken line",
        "broken line",
    ]


def test_our_own_export_comes_back_as_it_was(tmp_path: Path) -> None:
    """A tick survives the export but for its source, number and verdict, which are the replay's own."""
    tick = Tick(
        instrument="XAU-USD",
        kind=Kind.QUOTE,
        bid=1.0,
        ask=2.0,
        venue_time=5,
        received_at=7,
        source="oanda",
        number=9,
        verdict=Verdict.OUTLIER,
    )
    path = tmp_path / "export.jsonl"
    path.write_bytes(msgspec.json.encode(tick) + b'\n{"instrument":"XAU-USD","kind":0,"price":1.0}\n{"kind":\n')
    back, timeless, broken = read(path)
    assert back == msgspec.structs.replace(tick, source="replay:export", number=1, verdict=Verdict.PRICE)
    assert [update.reason for update in (timeless, broken) if isinstance(update, Refused)] == ["no time", "broken line"]


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("20140502_xauusd_tick_quote.csv", b"46.2042,1284.065,1284.405\n", "lean-quote"),
        ("x.csv", b"46.2042,1284.065,1284.405\r\n", "lean-quote"),
        ("x.csv", b"7368558,1317.9,5,usa,,0\n", "lean-trade"),
        ("x.raw", FRAMES, "binance-raw"),
        ("x.csv", TRADES, "binance-trades-csv"),
        ("x.csv", b"time,price\n", "csv"),
        ("x.csv", b"\xef\xbb\xbftimestamp\tbid\task\n", "csv"),
        ("x.jsonl", b'{"instrument":"X"}\n', "tocsin"),
    ],
)
def test_a_format_is_recognised_by_its_name_and_first_line(name: str, head: bytes, format: str) -> None:
    """`auto` finds each format that there is."""
    assert recognise(name, head) == format


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("20140605_aapl_minute_trade.csv", b"15300000,6448000,6448000,6448000,6448000,90\n"),
        ("bars.csv", b"time,open,high,low,close\n"),
        ("gold-monthly.csv", b"Date,Price\n"),
        ("empty.csv", b""),
        ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    ],
)
def test_what_is_no_recording_of_ticks_is_refused_with_the_way_out(name: str, head: bytes) -> None:
    """Bars and strange files are named, and what could be done is said."""
    with pytest.raises(GiveUp, match=r"give a recording of ticks|write format = one of .*lean-quote") as caught:
        recognise(name, head)
    assert name in caught.value.reason


def test_what_macos_puts_into_a_zip_is_no_member(tmp_path: Path) -> None:
    """However large it is; and a zip of nothing says so."""
    path, empty = tmp_path / "gold.zip", tmp_path / "empty.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20140502_xauusd_tick_quote.csv", QUOTES)
        archive.writestr("__MACOSX/._20140502_xauusd_tick_quote.csv", bytes(100_000))
    assert len(list(read(path, instrument="XAU-USD"))) == 4
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(GiveUp) as caught:
        list(read(empty, instrument="XAU-USD"))
    assert caught.value.reason == "empty.zip holds no file"


def test_every_problem_with_a_file_is_a_sentence(tmp_path: Path, gold: Path) -> None:
    """Missing, damaged, of no known day, format, instrument, member or time zone: each says which and why."""
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"time,price\n" + b"".join(b"%d,1.5\n" % second for second in range(5000)))[:-40])
    undated = tmp_path / "undated.csv"
    undated.write_bytes(QUOTES)
    nothing = tmp_path / "nothing.csv"
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (nothing, {}, "there is no recording at"),
        (cut, {"instrument": "X"}, "cut.csv.gz cannot be read to its end"),
        (undated, {"instrument": "X"}, "does not say its day"),
        (gold, {}, "does not say what it is about"),
        (gold, {"instrument": "X", "member": "silver"}, "20140502_xauusd_tick_quote.csv"),
        (gold, {"instrument": "X", "time_zone": "Mars"}, 'no time zone "Mars"'),
        (gold, {"instrument": "X", "format": "word"}, 'no recording format "word"'),
        (gold, {"instrument": "X", "date": "May"}, "does not say its day"),
    ]
    for path, options, words in cases:
        with pytest.raises(GiveUp) as caught:
            list(read(path, **options))
        assert words in caught.value.reason


def test_what_was_whole_in_a_damaged_file_is_read_before_it_is_told(tmp_path: Path) -> None:
    """A recording cut short yields its lines first."""
    path = tmp_path / "cut.csv.gz"
    lines = b"".join(b"%d,%d.5\n" % (second, second * 7919 % 10_000) for second in range(50_000))
    whole = gzip.compress(b"time,price\n" + lines)
    path.write_bytes(whole[: len(whole) // 2])
    got: list[Tick | Refused] = []
    with pytest.raises(GiveUp, match="to its end"):
        got.extend(read(path, instrument="X"))
    assert len(got) > 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-08-08T12:00:00Z", 1_723_118_400_000_000),
        ("2024-08-08 12:00:00.000001+02:00", 1_723_111_200_000_001),
        ("2024-08-08T12:00:00", 1_723_118_400_000_000),
        ("1723118400", 1_723_118_400_000_000),
        (1_723_118_400.25, 1_723_118_400_250_000),
        ("1723118400123", 1_723_118_400_123_000),
        (1_723_118_400_123_456, 1_723_118_400_123_456),
        (1_723_118_400_123_456_789, 1_723_118_400_123_456),
    ],
)
def test_a_time_is_read_by_its_form_and_size(text: str | float, expected: int) -> None:
    """ISO 8601, or a number of seconds, milli-, micro- or nanoseconds; no microsecond is lost."""
    assert moment_us(text) == expected


def test_a_time_without_a_zone_is_in_the_zone_given() -> None:
    """Noon in New York in summer is 16:00 UTC."""
    assert moment_us("2024-08-08T12:00:00", ZoneInfo("America/New_York")) == 1_723_132_800_000_000


def test_a_day_with_a_clock_change_moves_at_its_hour() -> None:
    """On 2014-03-09 New York went from five to four hours behind UTC at 02:00."""
    hours = hours_of(date(2014, 3, 9), ZoneInfo("America/New_York"))
    assert hours[3] - hours[0] == -3_600_000_000
    assert len(set(hours_of(date(2014, 3, 9), ZoneInfo("Asia/Tokyo")))) == 1


def test_a_source_names_the_recording_without_its_wrapping() -> None:
    """Another file is another source; packing it is not."""
    assert source_of(Path("x/xauusd-2014.05.zip")) == "replay:xauusd-2014.05"
    assert source_of(Path("trades_20240808.csv.gz")) == source_of(Path("trades_20240808.csv"))


# ------------------------------------------------------------------------------------------- importing


def imported(path: Path, *, instrument: str = "XAU-USD", date: str = "", time_zone: str = "") -> list[Any]:
    """What an import reads of a file, whatever it is recognised as."""
    found = recordings.look(path)
    facts = recordings.Facts(source="x", name=found.name, instrument=instrument, date=date, time_zone=time_zone)
    with recordings.updates(path, found, facts) as (updates, share):
        got = list(updates)
        assert share() > 0.9
    return got


def utc(text: str) -> int:
    return moment_us(f"{text}Z")


BARS_OF_EVERY_VENDOR = [
    ("EURUSD60.csv", "2025.06.02,01:00,1.1,1.3,1.0,1.2,120\n", "UTC+3", "mt4", "2025-06-01 22:00:00", 0.0),
    (
        "XAUUSD_M15.csv",
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        "2025.06.02\t01:00:00\t1.1\t1.3\t1.0\t1.2\t120\t7\t15\n",
        "EET", "bars", "2025-06-01 22:00:00", 7.0,
    ),
    (
        "mt5.csv", "time,open,high,low,close\n2025-06-02 01:00:00,1.1,1.3,1,1.2\n",
        "EET", "bars", "2025-06-01 22:00:00", 0.0,
    ),
    ("DAT_ASCII_M1.csv", "20140502 000000;1.1;1.3;1.0;1.2;0\n", "", "histdata-bars", "2014-05-02 05:00:00", 0.0),
    (
        "dukascopy.csv", "Gmt time,Open,High,Low,Close,Volume\n02.05.2014 00:00:00.000,1.1,1.3,1.0,1.2,5.5\n",
        "", "bars", "2014-05-02 00:00:00", 5.5,
    ),
    (
        "dukascopy-local.csv",
        "Local time,Open,High,Low,Close,Volume\n02.05.2014 02:00:00.000 GMT+0200,1.1,1.3,1,1.2,5\n",
        "", "bars", "2014-05-02 00:00:00", 5.0,
    ),
    (
        "20140605_x_minute_trade.csv", "15300000,11000,13000,10000,12000,90\n",
        "", "lean-bars", "2014-06-05 08:15:00", 90.0,
    ),
    ("x.csv", "20140605 00:00,1.1,1.3,1.0,1.2,90\n", "", "lean-bars", "2014-06-05 00:00:00", 90.0),
    (
        "20140502_x_minute_quote.csv", "0,1,1.2,0.9,1.1,0,1.2,1.4,1.1,1.3,0\n",
        "", "lean-bars", "2014-05-02 00:00:00", 0.0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "zone", "format", "start", "volume"), BARS_OF_EVERY_VENDOR)
def test_bars_of_every_vendor_are_read_the_same(
    tmp_path: Path, name: str, text: str, zone: str, format: str, start: str, volume: float
) -> None:
    """Open 1.1, high 1.3, low 1.0, close 1.2, at the right instant."""
    path = tmp_path / name
    path.write_text(text)
    assert recordings.look(path).format == format
    (bar,) = imported(path, time_zone=zone)
    candle = bar.candle
    assert candle.start == utc(start)
    assert (candle.open, candle.high, candle.low, candle.close) == pytest.approx((1.1, 1.3, 1.0, 1.2))
    assert (candle.volume, candle.count) == (volume, 4)
    assert candle.sum == pytest.approx(0.2) and candle.sum_squares == pytest.approx(0.06)


def test_ticks_of_histdata_dukascopy_and_metatrader_are_read(tmp_path: Path) -> None:
    """Each by its own columns and clock; what MetaTrader leaves empty did not change."""
    histdata, dukascopy, metatrader = (tmp_path / name for name in ("h.csv", "d.csv", "m.csv"))
    histdata.write_text("20140502 000000123,1.1,1.2,0\n")
    dukascopy.write_text("Gmt time,Ask,Bid,AskVolume,BidVolume\n02.05.2014 00:00:00.123,1.2,1.1,3,4\n")
    metatrader.write_text(
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
        "2014.05.02\t00:00:00.123\t1.1\t1.2\t\t\t6\n2014.05.02\t00:00:01.000\t\t1.3\t\t\t4\n"
    )
    (one,) = imported(histdata)
    assert (one.bid, one.ask, one.venue_time) == (1.1, 1.2, utc("2014-05-02 05:00:00.123"))
    (two,) = imported(dukascopy)
    assert (two.bid, two.ask, two.venue_time) == (1.1, 1.2, utc("2014-05-02 00:00:00.123"))
    three, four = imported(metatrader, time_zone="UTC+2")
    assert (three.bid, three.ask, three.venue_time) == (1.1, 1.2, utc("2014-05-01 22:00:00.123"))
    assert (four.bid, four.ask, four.kind) == (1.1, 1.3, Kind.QUOTE)


@pytest.mark.parametrize(
    ("text", "zone", "clocks"),
    [
        ("time,price\n2014-05-02 10:00,1\n", "asked", True),
        ("time,price\n2014-05-02T10:00Z,1\n", "said", False),
        ("time,price\n1399024800,1\n", "said", False),
        ("gmt time,bid,ask\n02.05.2014 10:00:00.000,1,2\n", "said", True),
        ("date,open,high,low,close\n2014-05-02,1,1,1,1\n", "days", True),
        ("Date,Price\n1833-01,18.93\n", "days", True),
        ("2025.06.02,01:00,1.1,1.3,1.0,1.2,120\n", "asked", True),
        ("20140502 000000;1.1;1.3;1.0;1.2;0\n", "said", True),
    ],
)
def test_a_file_is_asked_for_its_zone_only_where_it_does_not_say(
    tmp_path: Path, text: str, zone: str, clocks: bool
) -> None:
    """Instants and days of a calendar need none."""
    path = tmp_path / "x.csv"
    path.write_text(text)
    found = recordings.look(path)
    assert (found.zone, found.clocks) == (zone, clocks)


def test_a_survey_counts_hashes_and_samples_a_file_of_any_size(tmp_path: Path) -> None:
    """Every line once in the count, the sample in blocks from the whole of it, each with its true number; packing
    changes nothing."""
    path, packed = tmp_path / "long.csv", tmp_path / "other.csv.gz"
    lines = [f"{1_399_000_000 + n},{n + 1}" for n in range(700_000)]
    path.write_text("time,price\n" + "\n".join(lines))
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    found, again = recordings.look(path), recordings.look(packed)
    assert found.lines == 700_001
    assert (found.digest, found.lines) == (again.digest, again.lines)
    numbered = [one for block in found.blocks for one in block.lines if one[0] > 1]
    assert all(line.strip().decode() == lines[number - 2] for number, line in numbered)
    assert numbered[0][0] == 2 and numbered[-1][0] > 650_000
    assert len(numbered) < 350_000


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("UTC+2", 2),
        ("-05:00", -5),
        ("GMT+5:30", 5.5),
        ("Etc/GMT+5", -5),
        ("Europe/Athens", 3),
        ("America/New_York+7", 3),
    ],
)
def test_zones_are_said_as_offsets_names_or_both(name: str, hours: float) -> None:
    """In July of 2025."""
    assert moment_us("2025-07-01 00:00", recordings.zone_of(name)) == utc("2025-07-01 00:00") - hours * 3_600_000_000


def test_a_broker_by_new_york_changes_its_clock_with_new_york() -> None:
    """Its day ends when New York's trading does, in winter and summer; between, Athens is an hour off."""
    broker, athens = recordings.zone_of("America/New_York+7"), ZoneInfo("Europe/Athens")
    for day, same in (("2025-01-15", True), ("2025-03-15", False), ("2025-07-15", True), ("2025-10-28", False)):
        midnight = moment_us(day, broker)
        assert midnight == moment_us(f"{day} 17:00", ZoneInfo("America/New_York")) - 86_400_000_000
        assert (midnight == moment_us(day, athens)) is same


# ------------------------------------------------------------------------------------------------ replay


async def test_a_replay_emits_every_line_and_returns_how_many_there_were(gold: Path) -> None:
    """Four lines hold something; the blank one is not counted."""
    hub = Hub()
    assert await replay.run(replay.Settings(file=str(gold)), {"XAU-USD": "xauusd"}, hub.emit, {}) == 4
    assert [update.number for update in hub.updates] == [1, 2, 3, 5]
    assert replay.source(replay.Settings(file=str(gold))) == hub.ticks[0].source


async def test_a_row_that_is_a_trade_and_a_quote_counts_as_both(tmp_path: Path) -> None:
    """The count is of ticks and refusals, so that it can be held against what was stored."""
    path = tmp_path / "both.csv"
    path.write_text("time,price,bid,ask\n1,2.5,2,3\n2,2.5,,\n")
    hub = Hub()
    assert await replay.run(replay.Settings(file=str(path)), {"X": ""}, hub.emit, {}) == 3
    assert [tick.number for tick in hub.ticks] == [2, 2, 3]


async def test_a_replay_goes_on_behind_what_is_settled_in_each_lane(gold: Path) -> None:
    """Ticks and refusals have their own marks; the count stays the whole file's."""
    hub = Hub()
    last = {"XAU-USD/quote": 1, "": 3}
    assert await replay.run(replay.Settings(file=str(gold)), {"XAU-USD": ""}, hub.emit, last) == 4
    assert [update.number for update in hub.updates] == [2, 5]
    nothing_new = Hub()
    last = {"XAU-USD/quote": 5, "": 3}
    assert await replay.run(replay.Settings(file=str(gold)), {"XAU-USD": ""}, nothing_new.emit, last) == 4
    assert nothing_new.updates == []


async def test_a_replay_longer_than_a_batch_keeps_its_order(tmp_path: Path) -> None:
    """Batches are an inner matter."""
    path = tmp_path / "long.csv"
    path.write_text("time,price\n" + "".join(f"{second},{second + 1}\n" for second in range(2 * replay.BATCH + 3)))
    hub = Hub()
    assert await replay.run(replay.Settings(file=str(path)), {"X": ""}, hub.emit, {}) == 2 * replay.BATCH + 3
    assert [tick.number for tick in hub.ticks] == list(range(2, 2 * replay.BATCH + 5))


async def test_a_paced_replay_takes_as_long_as_the_recording_says(tmp_path: Path) -> None:
    """Ten seconds at a hundred times are a tenth of a second, without drift from tick to tick."""
    path = tmp_path / "slow.csv"
    path.write_text("time,price\n" + "".join(f"{100 + tenth / 10},1\n" for tenth in range(101)))
    loop, hub = asyncio.get_running_loop(), Hub()
    start = loop.time()
    await replay.run(replay.Settings(file=str(path), speed=100.0), {"X": ""}, hub.emit, {})
    assert 0.1 <= loop.time() - start < 1.0
    assert len(hub.ticks) == 101


async def test_shifted_times_start_now_and_keep_their_distances(gold: Path) -> None:
    """The first tick is now; the venue's clock and ours move together."""
    hub = Hub()
    await replay.run(replay.Settings(file=str(gold), times="shifted"), {"XAU-USD": ""}, hub.emit, {})
    first, second, *_ = hub.ticks
    assert abs((first.received_at or 0) - time.time_ns() // 1000) < 5_000_000
    assert (second.venue_time or 0) - (first.venue_time or 0) == 49_769 - 46_204
    assert first.venue_time == first.received_at


async def test_a_recording_can_be_received_when_it_really_came(gold: Path) -> None:
    """Its stamps are read in one time zone, while its ticks come by another: a vendor whose clock is five hours off."""
    wrong, right, hub = Hub(), Hub(), Hub()
    for time_zone, received_in, room in (("", "", wrong), ("Etc/GMT+5", "", right), ("", "Etc/GMT+5", hub)):
        settings = replay.Settings(file=str(gold), time_zone=time_zone, received_in=received_in)
        assert await replay.run(settings, {"XAU-USD": ""}, room.emit, {}) == 4
    assert [tick.venue_time for tick in hub.ticks] == [tick.venue_time for tick in wrong.ticks]
    assert [tick.received_at for tick in hub.ticks] == [tick.received_at for tick in right.ticks]
    assert (hub.ticks[0].received_at or 0) - (hub.ticks[0].venue_time or 0) == 5 * 3_600_000_000
    assert [update.number for update in hub.updates] == [1, 2, 3, 5]


async def test_recordings_at_a_speed_share_the_beginning_that_they_are_given(tmp_path: Path) -> None:
    """One that begins later than the other comes later; a resumed one goes on at once."""
    path = tmp_path / "late.csv"
    path.write_text("time,price\n130,1\n")
    settings = replay.Settings(file=str(path), speed=100.0, begins="1970-01-01 00:01:40")
    loop, hub = asyncio.get_running_loop(), Hub()
    start = loop.time()
    await replay.run(settings, {"X": ""}, hub.emit, {})
    assert 0.3 <= loop.time() - start < 2.0
    start = loop.time()
    await replay.run(settings, {"X": ""}, hub.emit, {"": 1})
    assert loop.time() - start < 0.3
    assert (replay.paced(settings), replay.paced(replay.Settings(file="x"))) == (True, False)


def test_shifting_leaves_a_time_that_is_not_there_alone() -> None:
    """A quote without a venue time gets none."""
    tick = Tick(instrument="X", kind=Kind.QUOTE, bid=1.0, ask=2.0, received_at=10)
    assert replay.shifted(tick, 5) == msgspec.structs.replace(tick, received_at=15)


async def test_a_cancelled_replay_stops_at_once(gold: Path) -> None:
    """A stop while a tick is waited for is a stop."""
    hub = Hub()
    settings = replay.Settings(file=str(gold), speed=0.000001)
    running = asyncio.ensure_future(replay.run(settings, {"XAU-USD": ""}, hub.emit, {}))
    await asyncio.wait_for(hub.got_one.wait(), 5)
    running.cancel()
    await asyncio.wait({running}, timeout=1)
    assert running.cancelled()


# --------------------------------------------------------------------------------------------- real data


@needs_data
async def test_the_gold_day_replays_whole_with_its_exact_repeats() -> None:
    """265,015 quotes, 38 of them with the bid and the ask of the one before: real, and kept."""
    hub = Hub()
    assert await replay.run(replay.Settings(file=str(GOLD)), {"XAU-USD": "xauusd"}, hub.emit, {}) == 265_015
    ticks = hub.ticks
    assert [tick.number for tick in ticks] == list(range(1, 265_016))
    assert sum((before.bid, before.ask) == (tick.bid, tick.ask) for before, tick in pairwise(ticks)) == 38
    bids = [tick.bid for tick in ticks if tick.bid is not None]
    assert (min(bids), max(bids)) == (1272.484, 1304.624)
    assert max(Counter((tick.venue_time or 0) // 1_000_000 for tick in ticks).values()) == 325


@needs_data
def test_the_sunday_opens_at_its_time() -> None:
    """The first tick is at 22:00:00.579 UTC."""
    ticks = list(read(DATA / "gold" / "xauusd-oanda-ticks-20140504.zip", instrument="XAU-USD"))
    assert len(ticks) == 9_889
    assert isinstance(ticks[0], Tick)
    assert ticks[0].venue_time == moment_us("2014-05-04T22:00:00.579427Z")


@needs_data
def test_the_comex_day_has_all_its_contracts() -> None:
    """65,335 trades over nine members, the largest by default."""
    path = DATA / "gold" / "gc-comex-ticks-20131009.zip"
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    counts = {name: sum(isinstance(u, Tick) for u in read(path, instrument="GC", member=name)) for name in members}
    assert sum(counts.values()) == 65_335
    assert sum(1 for _ in read(path, instrument="GC")) == max(counts.values()) == 64_712


@needs_data
def test_the_binance_capture_has_all_its_trades_and_quotes() -> None:
    """9,757 trades and 28,040 quotes in 41,249 frames; the rest is order book."""
    path = DATA / "wire" / "binance-spot-btcusdt-20240808.raw.gz"
    kinds = Counter(
        update.kind if isinstance(update, Tick) else update.reason
        for update in read(path, symbols={"BTC-USDT": "btcusdt"})
    )
    assert kinds == {Kind.TRADE: 9_757, Kind.QUOTE: 28_040}


@needs_data
def test_the_binance_trades_are_the_same_trades_as_the_captures() -> None:
    """The table was derived from the frames: where both have a trade, price, size and times agree."""

    def trades(path: Path) -> dict[tuple[int | None, int | None], tuple[float | None, float | None]]:
        return {
            (update.received_at, update.venue_time): (update.price, update.volume)
            for update in read(path, symbols={"BTC-USDT": "btcusdt"})
            if isinstance(update, Tick) and update.kind is Kind.TRADE
        }

    table = trades(DATA / "crypto" / "btcusdt_spot_trades_20240808-09.csv.gz")
    capture = trades(DATA / "wire" / "binance-spot-btcusdt-20240808.raw.gz")
    assert len(capture) > 5_000
    assert capture.items() <= table.items()


@needs_data
def test_two_vendors_of_one_day_agree_once_the_time_zone_is_given() -> None:
    """FXCM's day is in fixed UTC-5: read so, its euro is within three pips of OANDA's; read as UTC it is not."""

    def minutes(name: str, time_zone: str = "") -> dict[int, float]:
        path = DATA / "fx" / name
        return {
            (tick.venue_time or 0) // 60_000_000: ((tick.bid or 0) + (tick.ask or 0)) / 2
            for tick in read(path, instrument="EUR-USD", time_zone=time_zone)
            if isinstance(tick, Tick)
        }

    def distance(a: dict[int, float], b: dict[int, float]) -> float:
        apart = sorted(abs(a[minute] - b[minute]) for minute in a.keys() & b.keys())
        assert len(apart) > 300
        return apart[len(apart) * 95 // 100]

    oanda, name = minutes("eurusd-oanda-ticks-20140502.zip"), "eurusd-fxcm-ticks-20140502.zip"
    assert distance(oanda, minutes(name, "Etc/GMT+5")) < 0.0003 < distance(oanda, minutes(name))


@needs_data
@pytest.mark.parametrize("name", ["stocks/aapl-minutes-20140605.zip", "silver/xagusd-mt5-m15-2025-2026.csv.gz"])
def test_real_bars_are_not_taken_for_ticks(name: str) -> None:
    """A file of candles is refused, not replayed as prices."""
    with pytest.raises(GiveUp):
        next(read(DATA / name, instrument="X"))


def test_every_format_is_described_in_the_module() -> None:
    """The table of formats names each one that there is."""
    assert all(f"`{name}`" in (recordings.__doc__ or "") for name in (*FORMATS, *recordings.BARS))
