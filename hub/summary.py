"""What a digest says: what is watched and how it changed since the last one, the nearest alerts, the portfolio. Pure.

Every doubt is said: what has no price, a closed market, a stale or a simulated price, and that the digest itself is
late. Depends on hub.wording, hub.portfolio, hub.currencies and hub.rules.
"""

from datetime import date

import msgspec

from hub import wording
from hub.currencies import is_stale
from hub.model import Instrument, Nature, Quote
from hub.portfolio import Portfolio
from hub.rules.spec import AlertSpec
from hub.rules.words import describe

NEAREST = 3
SPARK_WIDTH = 10
LATE_US = 5 * wording.MINUTE_US


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a digest told, for the next one to say what changed."""

    prices: dict[str, float] = {}
    value: float | None = None  # of the portfolio, where all of it had a price
    currency: str = ""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    instrument: Instrument
    quote: Quote | None
    closes: tuple[float, ...] = ()  # of the last 24 hours, oldest first


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An alert on an instrument's own price that waits, and that price."""

    alert_id: int
    spec: AlertSpec
    instrument: Instrument
    price: float

    @property
    def away(self) -> float:
        """How far the price has to go, as a share of it."""
        return self.spec.first.level / self.price - 1


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    day: date  # that it is of
    due_at: int
    now: int
    zone: str
    last_at: int | None = None
    before: Seen = Seen()
    watched: tuple[Watched, ...] | None = None  # None: not asked for
    waiting: tuple[Waiting, ...] = ()
    portfolio: Portfolio | None = None


def title(of: Summary) -> str:
    """ "Your digest, Fri 20 Nov"; what is not live is said in front."""
    natures = {each.quote.nature for each in of.watched or () if each.quote} - {Nature.LIVE, Nature.POLLED}
    mark = "".join(f"[{nature.value}] " for nature in sorted(natures))
    return f"{mark}Your digest, {of.day:%a} {of.day.day} {of.day:%b}"


def text(of: Summary) -> str:
    lines = [_late(of)] if of.now - of.due_at > LATE_US else []
    if of.watched is not None:
        lines += [_price(of, each) for each in of.watched]
        if not of.watched:
            lines.append("Your watch list is empty: watch gold silver fills it.")
    if of.waiting:
        nearest = sorted(of.waiting, key=lambda each: abs(each.away))[:NEAREST]
        lines += ["Nearest alerts:", *(_alert(each) for each in nearest)]
    if of.portfolio is not None:
        lines += _portfolio(of, of.portfolio)
    return "\n".join(lines)


def seen(of: Summary) -> Seen:
    """What this one tells; what it does not tell stays as it was told last."""
    prices = {each.instrument.id: each.quote.price for each in of.watched or () if each.quote}
    whole = of.portfolio is not None and not of.portfolio.unvalued
    return Seen(
        prices=of.before.prices | prices,
        value=of.portfolio.value if of.portfolio is not None and whole else of.before.value,
        currency=of.portfolio.currency if of.portfolio is not None and whole else of.before.currency,
    )


def _late(of: Summary) -> str:
    return f"Late: it was due at {wording.clock(of.due_at, of.zone, of.now)}, and the hub was not running then."


def _since(of: Summary) -> str:
    assert of.last_at is not None
    return f"since {wording.moment(of.last_at).astimezone(wording.zone(of.zone)):%a %H:%M}"


def _price(of: Summary, each: Watched) -> str:
    instrument, quote = each.instrument, each.quote
    if quote is None:
        return f"{instrument.name}: no price"
    told = f"{instrument.name} {wording.price(quote.price, instrument.decimals)} {instrument.currency}"
    before = of.before.prices.get(instrument.id)
    if before and of.last_at is not None:
        told += f", {wording.percent(quote.price / before - 1)} {_since(of)}"
    elif each.closes:
        told += f", {wording.percent(quote.price / each.closes[0] - 1)} in 24 h"
    spark = wording.spark(each.closes, SPARK_WIDTH)
    remarks = _remarks(instrument, quote, of.now)
    return f"{told}{f' {spark}' if spark else ''}{f' ({remarks})' if remarks else ''}"


def _remarks(instrument: Instrument, quote: Quote, now: int) -> str:
    said = [] if quote.nature is Nature.LIVE else [quote.nature.value]
    if not quote.market_open:
        said.append("market closed")
    elif is_stale(instrument, quote, now):
        said.append(f"stale: of {wording.age(now - quote.received_at)}")
    return ", ".join(said)


def _alert(each: Waiting) -> str:
    words = describe(each.spec, lambda _: each.instrument)
    return f"{each.alert_id}: {words}, {wording.percent(each.away)} away"


def _portfolio(of: Summary, found: Portfolio) -> list[str]:
    if not found.lots:
        return (
            ["Your portfolio is empty: portfolio add 0.5 btc at 42000 puts something in."] if of.watched is None else []
        )
    told = f"Portfolio {wording.price(found.value, 2)} {found.currency}"
    before = of.before.value if of.before.currency == found.currency and not found.unvalued else None
    if before and of.last_at is not None:
        told += f", {wording.percent(found.value / before - 1)} {_since(of)}"
    elif found.day_share is not None:
        told += f", {wording.percent(found.day_share)} today"
    if found.profit_share is not None:
        told += f", profit {found.profit:+,.2f} ({wording.percent(found.profit_share)})"
    return [told, *(f"{doubt[:1].upper()}{doubt[1:]}." for doubt in found.doubts)]
