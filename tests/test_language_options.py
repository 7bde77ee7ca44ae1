"""What stands behind a condition, and several conditions in one alert: what it means, and what does not go together."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.instruments import build_catalogue
from hub.model import SECOND_US
from hub.rules.language import AlertSpec, Clock, LanguageError, canonical, parse
from hub.rules.language.times import NoTime, duration, until
from hub.rules.series import DAY_US, HOUR_US, MINUTE_US, span

find = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT")).find
BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND_US


NOW = at("2026-12-02 14:30:15")
CLOCK = Clock(now_us=NOW, zone=BERLIN)
"""A Wednesday."""


def read(line: str) -> AlertSpec:
    return parse(line, find, CLOCK)


def refused(line: str, clock: Clock | None = CLOCK) -> LanguageError:
    with pytest.raises(LanguageError) as error:
        parse(line, find, clock)
    return error.value


# ---------------------------------------------------------------------------------------------- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30), ("1 sec", 1), ("15m", 900), ("90min", 5400), ("2h", 7200), ("1 hour", 3600), ("an hour", 3600),
        ("hour", 3600), ("one day", 86_400), ("3 days", 259_200), ("1d 12h", 129_600), ("1h30m", 5400),
        ("2 weeks", 1_209_600), ("1.5h", 5400), ("1,5h", 5400), ("2HRS", 7200), ("1H", 3600),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_people_write_it(text: str, seconds: int) -> None:
    """In seconds to weeks."""
    assert duration(text) == seconds * SECOND_US


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1M", "can be minutes or months: write 1m"), ("3 M", "can be minutes or months"), ("5", "no length of time"),
        ("30s 5m", "is no length of time"), ("1h 1h", "is no length of time"), ("1 fortnight", "is no length of time"),
        ("1mo", "is no length of time"), ("2 years", "is no length of time"), ("", "is no length of time"),
        ("h", "is no length of time"), ("1h 5", "is no length of time"), ("0.5s", "is no whole number of seconds"),
        ("1.2.3h", "is no length of time"), ("00,400h", "can be read in two ways"), ("1h and 5m", "no length of time"),
    ],
)  # fmt: skip
def test_a_duration_in_doubt_is_refused(text: str, why: str) -> None:
    """Months are no length, and M is asked about."""
    with pytest.raises(NoTime, match=re.escape(why)):
        duration(text)


@given(st.integers(1, 31 * 86_400))
def test_a_duration_reads_back_as_it_is_written(seconds: int) -> None:
    """The canonical form in its largest whole unit."""
    assert duration(span(seconds * SECOND_US)) == seconds * SECOND_US


# ------------------------------------------------------------------------------------------------- until


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("friday", "2026-12-05 00:00"), ("fri", "2026-12-05 00:00"), ("wednesday", "2026-12-03 00:00"),
        ("today", "2026-12-03 00:00"), ("tomorrow", "2026-12-04 00:00"), ("Tuesday", "2026-12-09 00:00"),
        ("friday 18:00", "2026-12-04 18:00"), ("friday at 18:00", "2026-12-04 18:00"),
        ("today 18:00", "2026-12-02 18:00"),
        ("tomorrow 9am", "2026-12-03 09:00"), ("18:00", "2026-12-02 18:00"), ("14:00", "2026-12-03 14:00"),
        ("6pm", "2026-12-02 18:00"), ("12am", "2026-12-03 00:00"), ("6:30 pm", "2026-12-02 18:30"),
        ("2026-12-31", "2027-01-01 00:00"), ("2026-12-31 18:00", "2026-12-31 18:00"),
        ("2026-12-31T18:00:30", "2026-12-31 18:00:30"), ("2026-12-31 at 18:00", "2026-12-31 18:00"),
        ("2h", "2026-12-02 16:30:15"), ("2 hours", "2026-12-02 16:30:15"), ("1d 12h", "2026-12-04 02:30:15"),
        ("2027-03-28", "2027-03-29 00:00"),
    ],
)  # fmt: skip
def test_an_end_is_told_by_the_persons_clock(text: str, moment: str) -> None:
    """A day without a time lasts until its end, in the person's zone."""
    assert until(text, CLOCK) == at(moment)


def test_an_end_in_utc_needs_no_clock() -> None:
    """So that what is stored is the same instant for everybody."""
    instant = at("2026-12-04 23:00", "UTC")
    assert until("2026-12-04T23:00Z", None) == until("2026-12-04t23:00z", CLOCK) == instant
    assert until("2026-12-04T23:00:30Z", None) == instant + 30 * SECOND_US
    for text in ("friday", "2h", "2026-12-04", "2026-12-04 23:00", "18:00"):
        with pytest.raises(NoTime, match="needs a clock"):
            until(text, None)


def test_a_second_that_has_begun_counts_whole() -> None:
    """Ends have whole seconds, as canonical lines do."""
    assert until("1m", Clock(now_us=NOW + 1, zone=BERLIN)) == NOW + 61 * SECOND_US


@pytest.mark.parametrize(
    ("text", "why", "meant"),
    [
        ("yesterday", "is no time", ""), ("soon", "is no time", ""), ("next", "is no time", ""),
        ("2026-12-01", 'is over (2026-12-01T23:00Z)', ""), ("2026-12-02 14:30", "is over", ""),
        ("2020-01-01T00:00Z", "is over", ""), ("today 9:00", "is over", ""), ("2037-12-31", "more than 10 years", ""),
        ("9000d", "more than 10 years", ""), ("2026-02-30", "there is no day 2026-02-30", ""),
        ("2026-13-01", "there is no day", ""), ("0000-01-01", "there is no day", ""),
        ("31.12.2026", "not how a day is written here: write the year first, like 2026-12-31", "2026-12-31"),
        ("12/31/2026", "write the year first", "2026-12-31"), ("31/12/2026", "write the year first", "2026-12-31"),
        ("03/04/2027", "can be read in two ways", "2027-03-04"), ("25:00", "is no time of day", ""),
        ("friday 18", "is no time of day", ""), ("13pm", "is no time of day", ""),
        ("friday noon", "is no time of day", ""),
        ("1M", "can be minutes or months", "1m"), ("5", "is no length of time", ""),
    ],
)  # fmt: skip
def test_an_end_that_cannot_be_is_told_why(text: str, why: str, meant: str) -> None:
    """What is over, too far away or in doubt."""
    with pytest.raises(NoTime, match=re.escape(why)) as error:
        until(text, CLOCK)
    assert error.value.meant == meant


@settings(deadline=None)
@given(st.integers(1, 9 * 365 * 1440), st.sampled_from([BERLIN, "UTC", "Asia/Kolkata"]))
def test_an_end_reads_back_as_the_same_instant(minutes: int, zone: str) -> None:
    """In the canonical line it stands in UTC."""
    moment = datetime(2026, 12, 3, tzinfo=UTC) + timedelta(minutes=minutes)
    spec = parse(f"gold > 2400 until {moment:%Y-%m-%d %H:%M}", find, Clock(now_us=NOW, zone=zone))
    assert parse(canonical(spec), find) == spec


# ------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ("once", ""), ("every time", "every time"), ("always", "every time"), ("repeat", "every time"),
        ("everytime", "every time"), ("each time", "every time"),
        ("at most every 10m", "at most every 10m"), ("max every 10 minutes", "at most every 10m"),
        ("cooldown 10m", "at most every 10m"), ("at most once per 10m", "at most every 10m"),
        ("every time at most every 10m", "at most every 10m"), ("not more than once in 1h", "at most every 1h"),
        ("for 30s", "for 30s"), ("for at least 2 hours", "for 2h"), ("for 90 s", "for 90s"),
        ("until friday", "until 2026-12-04T23:00Z"), ("till friday 18:00", "until 2026-12-04T17:00Z"),
        ("until 2 hours", "until 2026-12-02T15:30:15Z"), ("until fri at 6pm.", "until 2026-12-04T17:00Z"),
        ("expires tomorrow!", "until 2026-12-03T23:00Z"),
        ("confirm 2 sources", "confirm 2 sources"), ("confirm 2", "confirm 2 sources"),
        ("confirmed by 3 sources", "confirm 3 sources"),
        ("band 2", "band 2"), ("band 0,5 %", "band 0.5%"), ("urgent", "urgent"),
        ('note "x" via push urgent band 1% confirm 2 until friday at most every 1h for 5m',
         'for 5m at most every 1h until 2026-12-04T23:00Z confirm 2 sources band 1% urgent via push note "x"'),
    ],
)  # fmt: skip
def test_options_are_read_and_written_in_one_order(options: str, written: str) -> None:
    """Whatever order they came in."""
    assert canonical(read(f"gold > 2400 {options}")) == f"XAU-USD > 2400 {written}".strip()


def test_at_most_every_so_often_means_every_time() -> None:
    """It is silent in between, and rings again."""
    spec = read("gold > 2400 at most every 10m")
    assert (spec.repeat, spec.at_most_us) == ("every time", 10 * MINUTE_US)


@pytest.mark.parametrize(
    ("line", "place", "reason", "example"),
    [
        ("gold > 2400 for", "", "a length of time is missing here", "gold > 2400 for 1h"),
        ("gold > 2400 for ages", "ages", "a length of time is missing here", "gold > 2400 for 1h"),
        ("gold > 2400 for 1M", "1M", "can be minutes or months", "gold > 2400 for 1m"),
        ("gold > 2400 for 8d", "8d", "is not between 1 second and 7 days", ""),
        ("gold > 2400 for 0s", "0s", "is not between 1 second and 7 days", ""),
        ("gold > 2400 for 30s for 5m", "for 5m", "how long it has to last is said twice", "gold > 2400 for 30s"),
        ("gold > 2400 until", "", 'after "until" comes a time', "gold > 2400 until friday"),
        ("gold > 2400 until soon", "soon", "is no time: write friday", "gold > 2400"),
        ("gold > 2400 until 31.12.2026", "31.", "write the year first", "gold > 2400 until 2026-12-31"),
        ("gold > 2400 until 2026-12-01", "2026", "is over", "gold > 2400"),
        ("gold > 2400 at most every 32d", "32d", "is not between 1 second and 31 days", ""),
        ("gold > 2400 at most 3 times", "at", "after the level comes nothing", "gold > 2400"),
        ("gold > 2400 once at most every 10m", "at", "are two wishes", ""),
        ("gold > 2400 confirm", "", "a number is missing here", "gold > 2400"),
        ("gold > 2400 confirm 7", "7", "write 2 to 5", "gold > 2400"),
        ("gold > 2400 confirm 2.5", "2.5", "write 2 to 5", "gold > 2400"),
        ("gold bid > 2400 confirm 2", "confirm", "only the price of an instrument", "gold bid > 2400"),
        ("gold/silver > 80 confirm 2", "confirm", "only the price of an instrument", "gold/silver > 80"),
        ("gold trails 3% confirm 2", "confirm", "only the price of an instrument", "gold trails 3%"),
        ("gold trails 3% for 30s", "for", "a trail has nothing that could last", "gold trails 3%"),
        ("btc every 1000 for 30s", "for", "a step is passed in a moment", "btc every 1000"),
        ("gold trails 3% band 1%", "1%", "a trail and steps have no band", ""),
        ("rsi(gold, 1h) > 70 band 70", "70", "less than the level itself", ""),
        ("gold -5% in 1h band 5%", "5%", "less than the level itself", ""),
        ("gold > 2400 within 2h", "within", '"within" belongs to two conditions', "gold > 2400 for 2h"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_told_why(line: str, place: str, reason: str, example: str) -> None:
    """At its place, with a line that reads where one is meant."""
    error = refused(line)
    assert reason in error.reason
    assert (error.at, error.example) == (line.rindex(place) if place else len(line), example)


# ------------------------------------------------------------------------------------------------ several


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("gold > 2400 and silver > 30", "XAU-USD > 2400 and XAG-USD > 30"),
        ("gold > 2400 & silver > 30 & btc < 60k", "XAU-USD > 2400 and XAG-USD > 30 and BTC-USDT < 60000"),
        ("gold > 2500 or < 2300", "XAU-USD > 2500 or XAU-USD < 2300"),
        ("gold > 60 eur/g or below 55", "XAU-USD in EUR per gram > 60 or XAU-USD in EUR per gram < 55"),
        ("gold > 60 eur/g or < 55 eur", "XAU-USD in EUR per gram > 60 or XAU-USD in EUR per gram < 55"),
        ("gold in eur > 2000 or below 1900", "XAU-USD in EUR > 2000 or XAU-USD in EUR < 1900"),
        ("22k gold > 60 or < 50", "XAU-USD 22k > 60 or XAU-USD 22k < 50"),
        ("gold > 2400 or enters 2300..2350", "XAU-USD > 2400 or XAU-USD enters 2300..2350"),
        ("gold > 2400 then gold < 2350 within 2h", "XAU-USD > 2400 then XAU-USD < 2350 within 2h"),
        ("gold > 2400 and then falls below 2350 within 2h", "XAU-USD > 2400 then XAU-USD < 2350 within 2h"),
        ("gold > 2400 then silver trails 3% every time within 1 day",
         "XAU-USD > 2400 then XAG-USD trails 3% within 1d every time"),
        ("gold trails 3% or btc crosses 60k", "XAU-USD trails 3% or BTC-USDT crosses 60000"),
        ("gold between 2300 and 2350 and silver > 30", "XAU-USD enters 2300..2350 and XAG-USD > 30"),
        ("gold -5% in 1h and silver -5% in 1h for 30s", "XAU-USD -5% in 1h and XAG-USD -5% in 1h for 30s"),
        ("gold > 2400 and btc > 60k confirm 2", "XAU-USD > 2400 and BTC-USDT > 60000 confirm 2 sources"),
        ("gold > 1 or gold > 2 or gold > 3 or gold > 4",
         "XAU-USD > 1 or XAU-USD > 2 or XAU-USD > 3 or XAU-USD > 4"),
        ("gold > 2400 or gold trails 3% band 1%", "XAU-USD > 2400 or XAU-USD trails 3% band 1%"),
    ],
)  # fmt: skip
def test_conditions_are_joined(line: str, written: str) -> None:
    """All at once, one of them, or one after the other; what the first names holds for one that begins with a sign."""
    assert canonical(read(line)) == written
    assert parse(written, find) == read(line)


def test_then_says_within_which_time() -> None:
    """Wherever that stands."""
    spec = read("gold > 2400 then < 2350 every time within 2h")
    assert (spec.join, spec.within_us, spec.repeat) == ("then", 2 * HOUR_US, "every time")
    assert read("gold > 2400 then < 2350 within 31d").within_us == 31 * DAY_US


@pytest.mark.parametrize(
    ("line", "place", "reason", "example"),
    [
        ("gold > 2400 and", "", "another condition is missing here", ""),
        ("gold > 2400 and silver", "", "after the instrument comes", ""),
        ("gold > 2400 and silver > 30 or btc > 5", "or", '"or" cannot be mixed', "gold > 2400 and silver > 30"),
        ("gold > 1 then gold > 2 then gold > 3 within 2h", "then", "no more: write two alerts", ""),
        ("gold > 1 or gold > 2 or gold > 3 or gold > 4 or gold > 5", "or", "4 conditions at most",
         "gold > 1 or gold > 2 or gold > 3 or gold > 4"),
        ("gold crosses 5 and silver > 3", "gold", '"crosses" is a moment', ""),
        ("silver > 3 and gold crosses 5", "gold", '"crosses" is a moment', ""),
        ("gold trails 3% and silver > 3", "gold", "a trail does not hold", ""),
        ("silver > 3 or gold every 100", "gold", "steps stand alone", ""),
        ("gold every 100 then silver > 3 within 2h", "gold", "steps stand alone", ""),
        ("gold > 2400 then silver > 30", "", "within which time", "gold > 2400 then silver > 30 within 2h"),
        ("gold > 2400 then silver > 30 urgent", "urgent", "within which time",
         "gold > 2400 then silver > 30 within 2h urgent"),
        ("gold > 2400 then silver > 30 band 2", "band", "within which time",
         "gold > 2400 then silver > 30 within 2h band 2"),
        ("gold > 2400 then silver > 30 within 32d", "32d", "is not between 1 second and 31 days", ""),
        ("gold > 2400 then silver > 30 within 2h for 5m", "for", "nothing that could last",
         "gold > 2400 then silver > 30 within 2h"),
        ("gold > 2400 and silver > 30 within 2h", "within", '"within" belongs to two conditions',
         "gold > 2400 and silver > 30 for 2h"),
        ("gold > 2400 once and silver > 30", "and", "after the level comes nothing", ""),
    ],
)  # fmt: skip
def test_conditions_that_cannot_be_joined_are_told_why(line: str, place: str, reason: str, example: str) -> None:
    """In a sentence, at the place."""
    error = refused(line)
    assert reason in error.reason
    assert (error.at, error.example) == (line.rindex(place) if place else len(line), example)
