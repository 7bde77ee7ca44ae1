"""What has to happen for an alert to ring, in plain words. Pure.

Of an alert on an instrument's own price that follows from its row and the newest quote; of any other from what the
engine sees of it (hub.model.Look). Depends on hub.rules and hub.wording.
"""

from collections.abc import Sequence

from hub import wording
from hub.i18n import _, later
from hub.model import Alert, Glance, Instrument, Look, Quote, State
from hub.rules.course import clause_of
from hub.rules.spec import AlertSpec, Clause, band_of
from hub.rules.words import Get, series_words, span_words, value_words

ENDED = {
    State.DONE: later("nothing: it has rung and was meant to ring once"),
    State.EXPIRED: later("nothing: its time is over"),
    State.DELETED: later("nothing: it is deleted; delete {id} undo brings it back"),
    State.PAUSED: later("somebody to let it go on: resume {id}"),
}


def waits_for(
    alert: Alert,
    spec: AlertSpec,
    sides: tuple[bool | None, bool | None],
    quote: Quote | None,
    look: Look | None,
    *,
    get: Get,
    band_percent: float,
    zone: str,
    now: int,
) -> str:
    """`sides`: which halves of a plain alert are armed (rising, falling); `look`: what the engine sees of any other."""
    if (still := _silent(alert, zone, now)) is not None:
        return still
    clause, instrument = spec.plain, get(alert.instrument)
    if clause is None or instrument is None or spec.hold_us or spec.sources > 1:
        told = _looked(spec, look, get, zone, now)
    elif quote is None:
        return _("the first price of {instrument}").format(instrument=instrument.name)
    else:
        band = band_of(spec, clause, clause.level, band_percent)
        told = _half_words(clause, sides, quote.price, band, instrument)
    if alert.state == State.COOLING and alert.cooling_until is not None:
        until = wording.clock(alert.cooling_until, zone, now)
        told = _("the end of its pause at {until}; then {waits}").format(until=until, waits=told)
    return _market(told, quote, zone, now)


def _silent(alert: Alert, zone: str, now: int) -> str | None:
    if alert.state in ENDED:
        return _(ENDED[alert.state]).format(id=alert.id)
    if alert.state == State.SNOOZED and alert.snoozed_until is not None:
        until = wording.clock(alert.snoozed_until, zone, now)
        return _("the end of its silence at {until}; then it watches from where the price is").format(until=until)
    if alert.state == State.MUTED:
        end = f" at {wording.clock(alert.muted_until, zone, now)}" if alert.muted_until else ""
        return _("the end of its mute{end}; mute {instrument} off ends it now").format(
            end=end, instrument=alert.instrument
        )
    return None


def _market(told: str, quote: Quote | None, zone: str, now: int) -> str:
    if quote is not None and not quote.market_open:
        return _("{half}; the market is closed now").format(half=told)
    if quote is not None and quote.stale_since is not None:
        return _("{half}; no price has come since {clock}").format(
            half=told, clock=wording.clock(quote.stale_since, zone, now)
        )
    return told


# --------------------------------------------------------------------------------------- what is not plain


def _looked(spec: AlertSpec, look: Look | None, get: Get, zone: str, now: int) -> str:
    if look is None:
        return _("its condition; the alert engine does not tell now how far that is")
    parts = [part_words(clause_of(spec, at), part, get, zone, now) for at, part in enumerate(look.parts)]
    if spec.join == "then":
        return _then(spec, look, parts, zone, now)
    told = (_(" and ") if spec.join == "and" else _(" or ")).join(dict.fromkeys(parts))
    if look.holding_since is not None:
        since = wording.clock(look.holding_since, zone, now)
        what = (
            _("to last for {span}").format(span=span_words(spec.hold_us))
            if spec.hold_us
            else _("another source to confirm it")
        )
        return _("its condition, which holds since {since}, {what}: {told}").format(since=since, what=what, told=told)
    return told


def _then(spec: AlertSpec, look: Look, parts: Sequence[str], zone: str, now: int) -> str:
    firsts = [part for at, part in enumerate(parts) if clause_of(spec, at) is spec.clauses[0]]
    seconds = [part for at, part in enumerate(parts) if clause_of(spec, at) is not spec.clauses[0]]
    if look.second_until is not None:
        until = wording.clock(look.second_until, zone, now)
        return _("the second until {until}: {told}").format(until=until, told=_(" or ").join(seconds))
    return _("the first: {told}").format(told=_(" or ").join(firsts))


def part_words(clause: Clause, part: Glance, get: Get, zone: str, now: int) -> str:
    """ "RSI (14) of Bitcoin on 1h candles at 30 or below, now 41.2"."""
    series = clause.series
    what = series_words(series, get)
    goals = []
    if part.rise is not None:
        goals.append(_("at {level} or above").format(level=value_words(series, part.rise, get)))
    if part.fall is not None:
        goals.append(_("at {level} or below").format(level=value_words(series, part.fall, get)))
    told = f"{what} {_(' or ').join(goals)}" if goals else what
    if part.quiet:
        names = ", ".join(part.quiet)
        return _("{told} ({names} has no price now)").format(told=told, names=names)
    if part.value is None:
        return _("{told} (there is no value of it yet)").format(told=told)
    value = value_words(series, part.value, get)
    if part.true and not goals:
        return _("{what} (holds already, at {value})").format(what=what, value=value)
    if part.then is not None and part.then_at is not None:
        when = wording.clock(part.then_at, zone, now)
        return _("{told}, now {value} since {when}").format(told=told, value=value, when=when)
    return _("{told}, now {value}").format(told=told, value=value)


# ----------------------------------------------------------------------------------------------- plain ones


def _half_words(
    clause: Clause, sides: tuple[bool | None, bool | None], price: float, band: float, instrument: Instrument
) -> str:
    """Which way the price has to go, for the halves that are armed; else the way out of the band first."""
    level, decimals = clause.level, instrument.decimals
    while band and decimals < 12 and round(level - band, decimals) == round(level, decimals):
        decimals += 1  # a level far below the usual prices: its band shows only with more digits

    def shown(value: float) -> str:
        return wording.price(value, decimals if value != level else instrument.decimals)

    up = sides[0] if sides[0] is not None else price < level
    down = sides[1] if sides[1] is not None else price > level
    away = wording.percent(abs(level / price - 1), signed=False)
    ways = []
    if clause.condition in ("above", "crosses") and up:
        ways.append(
            _("rise by {away} to {level}").format(away=away, level=shown(level))
            if price < level
            else _("rise over {level}").format(level=shown(level))
        )
    if clause.condition in ("below", "crosses") and down:
        ways.append(
            _("fall by {away} to {level}").format(away=away, level=shown(level))
            if price > level
            else _("fall under {level}").format(level=shown(level))
        )
    if ways:
        return _("{instrument} to {ways}").format(instrument=instrument.name, ways=_(" or ").join(ways))
    if clause.condition == "above":
        return _("{instrument} to fall to {edge} first, then to rise to {level}").format(
            instrument=instrument.name, edge=shown(level - band), level=shown(level)
        )
    if clause.condition == "below":
        return _("{instrument} to rise to {edge} first, then to fall to {level}").format(
            instrument=instrument.name, edge=shown(level + band), level=shown(level)
        )
    return _("{instrument} to leave {low} to {high} first, then to cross it").format(
        instrument=instrument.name, low=shown(level - band), high=shown(level + band)
    )
