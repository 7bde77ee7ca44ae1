"""How a firing is worded."""

import msgspec

from hub import evidence as words
from hub.instruments import build_catalogue
from hub.model import Nature
from hub.rules.language import parse

CATALOGUE = build_catalogue({}, ["XAU-USD"])
AT = 1_399_033_800_123_000  # 2014-05-02 12:30:00.123


class Rang(msgspec.Struct, kw_only=True):
    direction: str = "up"
    alert_id: int = 12
    level: float = 2400.0
    before_price: float | None = 2399.905
    before_time: int | None = AT - 300_000
    price: float = 2400.125
    venue_time: int | None = AT
    received_at: int = AT + 5_000
    source: str = "demo"
    nature: str = Nature.LIVE.value
    late: bool = False
    note: str = ""
    detail: str = ""


def headline(rang: Rang, line: str = "gold > 2400") -> str:
    spec = parse(line, CATALOGUE.find)
    return words.headline(rang, spec, spec.first, CATALOGUE.get)


def evidence(rang: Rang, text: str) -> str:
    return words.evidence(rang, parse("gold > 2400", CATALOGUE.find).first, text, CATALOGUE.get)


def test_the_evidence_names_both_ticks_the_source_and_the_alert() -> None:
    """In the order in which a reader asks: what, from where, by which alert."""
    assert headline(Rang()) == "Gold rose to 2,400.12 USD (level 2,400.00)"
    assert evidence(Rang(), "XAU-USD > 2400").split("\n") == [
        "2,399.905 at 12:29:59.823, then 2,400.125 at 12:30:00.123 UTC, 2014-05-02",
        "source demo",
        "alert 12: XAU-USD > 2400",
    ]


def test_a_note_comes_first_and_once() -> None:
    """It is what the person wanted to be told; the alert's words do not repeat it."""
    text = r'XAU-USD > 2400 every time note "sell \"half\", \\ now" band 0'
    lines = evidence(Rang(note='sell "half", \\ now'), text).split("\n")
    assert lines[0] == 'note: sell "half", \\ now'
    assert lines[-1] == "alert 12: XAU-USD > 2400 every time band 0"


def test_what_is_not_live_or_late_says_so_in_the_title_and_below() -> None:
    """Nobody may take a simulated or a recorded price for a real one."""
    simulated = Rang(nature=Nature.SIMULATED.value, direction="down", late=True)
    assert headline(simulated) == "[simulated] Gold fell to 2,400.12 USD (level 2,400.00, late)"
    told = evidence(simulated, "XAU-USD < 2400")
    assert "source demo: simulated market, not a real price\ntold late: it crossed while I was offline" in told
    recorded = Rang(nature=Nature.RECORDING.value)
    assert headline(recorded).startswith("[recording] ")
    assert "from a recording, not a live price" in evidence(recorded, "XAU-USD > 2400")


def test_rounding_never_hides_a_crossing() -> None:
    """A price just over the level is not shown as the level, nor a tick before it as over it."""
    assert headline(Rang(price=2400.004, before_price=2399.999)) == ("Gold rose to 2,400.004 USD (level 2,400.00)")
    assert "2,399.999 at" in evidence(Rang(price=2400.004, before_price=2399.999), "XAU-USD > 2400")


def test_without_a_tick_before_there_is_only_the_one_that_rang() -> None:
    """A fire-now alert, or the first price; a tick of the day before carries its date."""
    assert headline(Rang(before_price=None, before_time=None)).startswith("Gold is at 2,400.12")
    lines = evidence(Rang(before_price=None, before_time=None), "XAU-USD > 2400").split("\n")
    assert lines[0] == "2,400.125 at 12:30:00.123 UTC, 2014-05-02"
    overnight = evidence(Rang(before_time=AT - 86_400_000_000), "XAU-USD > 2400")
    assert overnight.startswith("2,399.905 at 2014-05-01 12:30:00.123, then 2,400.125 at 12:30:00.123 UTC, 2014-05-02")
