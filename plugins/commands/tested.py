"""A back-test in words: how often an alert would have rung, in which time, and what that was found out on."""

from hub import wording
from hub.i18n import _, several
from hub.model import Backtest
from hub.wording import DAY_US, HOUR_US, MINUTE_US

NOW_US = MINUTE_US
"""What ends so near to now ends now."""


def nothing(found: Backtest) -> bool:
    """Whether there was nothing to test it on."""
    return found.start >= found.end


def how_often(found: Backtest, now_us: int, zone: str) -> str:
    """ "It would have rung 4 times in the last 30 days." """
    if nothing(found):
        if found.lots:
            return _("The portfolio holds nothing of which prices are stored.")
        return _("No prices are stored yet on which it could be tested.")
    when = span_words(found, now_us, zone)
    if not found.count:
        return _("It would not have rung {when}.").format(when=when)
    if found.exact:
        told = several(
            "It would have rung {count} time {when}.", "It would have rung {count} times {when}.", found.count
        )
    else:
        told = several(
            "It would have rung about {count} time {when}.",
            "It would have rung about {count} times {when}.",
            found.count,
        )
    return told.format(count=wording.own(f"{found.count:,}"), when=when)


def span_words(found: Backtest, now_us: int, zone: str) -> str:
    if now_us - found.end > NOW_US:
        return _("from {start} to {end}").format(
            start=wording.clock(found.start, zone, 0), end=wording.clock(found.end, zone, 0)
        )
    return _("in the last {span}").format(span=length_words(found.end - found.start))


def length_words(span_us: int) -> str:
    days, left_us = divmod(span_us, DAY_US)
    if days > 1 and left_us < HOUR_US:
        return _("{count} days").format(count=days)
    return wording.duration(span_us)


def why_cut(found: Backtest, now_us: int, zone: str) -> list[str]:
    """Why it begins later than was asked."""
    since = wording.clock(found.start, zone, now_us)
    if nothing(found) or not found.cut:
        return []
    if found.cut == "ticks":
        return [_("Only ticks can tell it, and they are kept since {since}.").format(since=since)]
    if found.cut == "room":
        return [_("All of the time that was asked for would take too long: tested since {since}.").format(since=since)]
    return [_("Prices are stored since {since}.").format(since=since)]


def tested_on(found: Backtest) -> str:
    """Ticks or candles, and why candles."""
    if nothing(found):
        return ""
    rungs = ", ".join(found.candles)
    if found.closes:
        return _("Tested on candles of {rungs}: their closes are all that it looks at.").format(rungs=rungs)
    if found.exact:
        return _("Tested tick by tick.")
    if found.ticks:
        return _("Tested tick by tick where ticks are kept, else on candles of {rungs}.").format(rungs=rungs)
    if found.coarse:
        return _("Tested on candles of {rungs}: all ticks would take too long.").format(rungs=rungs)
    return _("Tested on candles of {rungs}: no ticks are kept of that time.").format(rungs=rungs)


def fact(found: Backtest) -> dict[str, object]:
    """For programs."""
    return {
        "count": found.count,
        "start": wording.iso(found.start),
        "end": wording.iso(found.end),
        "exact": found.exact,
        "cut": found.cut,
        "ticks": found.ticks,
        "candles": found.candles,
    }
