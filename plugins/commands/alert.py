"""`alert gold > 2400`: rings once that happens. The reply says against which value it was armed, how far that is."""

import re
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from hub import wording
from hub.i18n import _, later
from hub.model import Alert, Argument, Armed, Backtest, Button, Form, Quote, Reply, Request, State
from hub.plugin import BadRequest, Context
from hub.rules.course import clause_of
from hub.rules.language import AlertSpec, Clock, LanguageError, parse, understood
from hub.rules.numbers import digits
from hub.rules.series import Price, measure
from hub.rules.words import describe, level_words, value_words
from hub.waiting import part_words
from plugins.commands.tested import fact, how_often, why_cut

USAGE = (
    "alert gold > 2400 [once | every time | at most every 10m] [for 30s] [until friday] [band 0.1%] [confirm 2 sources]"
    ' [urgent] [via telegram, push] [note "…"] [now]'
)
SUMMARY = later("Tells you when a price gets where you are waiting for it.")
EXAMPLES = (
    "alert gold > 2400",
    "alert silver -5% in 1h",
    "alert btc outside 60000..70000 every time",
    "alert gold 22k < 7000 inr/g",
    "alert gold/silver > 85",
    "alert rsi(btc, 14, 1h) < 30",
    "alert gold trails 3%",
    "alert gold > 2400 and silver > 30",
    'alert btc < 60k every time note "buy some"',
)

ARGUMENTS = (
    Argument(name="instrument", about="what to watch", kind="instrument", required=True, example="gold"),
    Argument(
        name="condition",
        about="when it rings",
        kind="choice",
        choices=("above", "below", "crosses"),
        required=True,
        example="above",
    ),
    Argument(name="level", about="at which price", kind="number", required=True, example="2400"),
    Argument(name="repeat", about="how often it rings", kind="choice", choices=("once", "every time")),
    Argument(name="note", about="what it shall remind you of", lead="note", quoted=True, example="sell half"),
)
NOW = re.compile(r"\s+now\s*$", re.IGNORECASE)
FAR = 5.0
NEAR = 0.001
LONGEST_BUTTON_BYTES = 64


async def run(context: Context, request: Request) -> Reply:
    if not request.arguments:
        return empty()
    line = NOW.sub("", request.arguments)
    try:
        parse(line, context.catalogue.find, clock(context, request))
    except LanguageError as error:
        return form(context, error, line)
    armed = await context.create_alert(request, request.arguments)
    alert = armed.alert
    spec = parse(alert.text, context.catalogue.find)
    on = [each for each in await context.destinations(request) if not each.disabled]
    reachable = [each for each in on if each.platform in spec.via] or on
    lines = [describe(spec, context.catalogue.get, request.user.time_zone), *against(armed, spec, context, request)]
    tested = None if armed.existed else await context.preview(request, alert.text)
    if tested is not None:
        lines += [how_often(tested, context.market.now(alert.instrument), request.user.time_zone)]
        lines += why_cut(tested, context.now(), request.user.time_zone)
    lines += doubts(armed, spec, context)
    views = await context.alerts(request)
    lines += silent(next((view.quote for view in views if view.alert.id == alert.id), None), context, request)
    lines += near(armed, spec, [view.alert for view in views], context)
    if request.arguments.lower().endswith(" now") and not armed.already_true:
        lines.append(_("Its condition does not hold now, so nothing rang yet."))
    if armed.behind:
        lines.append(
            _("The alert engine is {behind:,} frames behind; the alert hears what comes after them.").format(
                behind=armed.behind
            )
        )
    if reachable:
        lines.append(_("It goes to: {names}.").format(names=", ".join(each.label for each in reachable)))
    else:
        lines.append(_("You have nowhere that it could ring: open tocsin chat on this machine, or push add URL."))
    return Reply(
        title=_("You have this alert already: {id}").format(id=alert.id)
        if armed.existed
        else _("Alert {id} is set").format(id=alert.id),
        lines=tuple(lines),
        buttons=buttons(armed, spec, tested),
        facts=facts(armed, spec) | ({"backtest": fact(tested)} if tested is not None else {}),
    )


def clock(context: Context, request: Request) -> Clock:
    """By which "until friday" is read."""
    return Clock(now_us=context.now(), zone=request.user.time_zone)


def empty() -> Reply:
    """What is still to be said is everything."""
    told = (_("What shall ring when? Write it in a line, as in {examples}.").format(examples=EXAMPLES[0]),)
    shown = Form(title=_("A new alert"), command="alert", arguments=ARGUMENTS)
    return Reply(title=_("A new alert"), lines=told, form=shown, ok=False)


def form(
    context: Context, error: LanguageError, line: str, *, title: str = _("A new alert"), command: str = "alert"
) -> Reply:
    """What is wrong with the line, and beside it the form with what was understood of it."""
    shown = Form(title=title, command=command, arguments=ARGUMENTS, values=understood(line, context.catalogue.find))
    return Reply(lines=tuple(error.text.splitlines()), form=shown, ok=False)


def values_of(spec: AlertSpec) -> dict[str, str]:
    """What the form holds for this alert; empty for one that it has no room for."""
    clause = spec.plain
    if clause is None or not isinstance(clause.series, Price):
        return {}
    told = {
        "instrument": clause.series.instrument,
        "condition": clause.condition,
        "level": digits(clause.level),
        "repeat": spec.repeat,
        "note": spec.note,
    }
    return {name: value for name, value in told.items() if value}


def against(armed: Armed, spec: AlertSpec, context: Context, request: Request) -> list[str]:
    """The value it stands against, how far that is, and what happens where the condition holds already."""
    told = [plain_against(armed, spec, context)] if spec.plain else looked_against(armed, spec, context, request)
    if armed.already_true and armed.alert.generation:
        told.append(_("That holds already: it rings now."))
    elif armed.already_true:
        told.append(_("That holds already: it rings on the next cross, once the price has been on the other side."))
    return told


def plain_against(armed: Armed, spec: AlertSpec, context: Context) -> str:
    instrument, level = context.catalogue.find(armed.alert.instrument), spec.first.level
    if armed.price is None:
        return _("There is no price of {instrument} yet: the first one says from which side it waits.").format(
            instrument=instrument.name
        )
    side = _("above") if level >= armed.price else _("below")
    share = wording.percent(abs(distance(armed.price, level)), signed=False)
    away = wording.price(abs(level - armed.price), instrument.decimals)
    return _("{instrument} is at {price} {currency}: the level is {away} ({share}) {side} it.").format(
        instrument=instrument.name,
        price=wording.price(armed.price, instrument.decimals),
        currency=instrument.currency,
        away=away,
        share=share,
        side=side,
    )


def looked_against(armed: Armed, spec: AlertSpec, context: Context, request: Request) -> list[str]:
    """Each part as the engine sees it."""
    if armed.look is None:
        return []
    zone, now, get = request.user.time_zone, context.now(), context.catalogue.get
    parts = [part_words(clause_of(spec, at), part, get, zone, now) for at, part in enumerate(armed.look.parts)]
    return [_("It waits for: {waits_for}.").format(waits_for=part) for part in dict.fromkeys(parts)]


def silent(quote: Quote | None, context: Context, request: Request) -> list[str]:
    """Why nothing can ring at this moment: no price comes, though one should, or none should."""
    if quote is None:
        return []
    if not quote.market_open:
        return [_("Its market is closed now: it watches on from the first price after the opening.")]
    if quote.stale_since is None:
        return []
    since = wording.clock(quote.stale_since, request.user.time_zone, context.now())
    return [_("It is blind now, no price has come since {clock}: nothing can ring until one does.").format(clock=since)]


def doubts(armed: Armed, spec: AlertSpec, context: Context) -> list[str]:
    """A level five times away is rather a slip of the pen than a wish; it is set, and asked about."""
    clause = spec.first
    if len(spec.clauses) > 1 or clause.condition not in ("above", "below", "crosses") or not armed.price:
        return []
    if measure(clause.series) not in ("price", "ratio") or 1 / FAR < clause.level / armed.price < FAR:
        return []
    return [
        _("Is {level} what you meant? The price is {price}. delete {id} takes it back.").format(
            level=level_words(clause.series, clause.level, context.catalogue.get),
            price=value_words(clause.series, armed.price, context.catalogue.get),
            id=armed.alert.id,
        )
    ]


def near(armed: Armed, spec: AlertSpec, others: Sequence[Alert], context: Context) -> list[str]:
    """Points out another alert for nearly the same level: two bells for one event."""
    told = []
    for other in others:
        if other.id == armed.alert.id or other.instrument != armed.alert.instrument:
            continue
        with suppress(BadRequest):  # one that is not understood any more says so in `alerts`
            if nearly_same(parse(other.text, context.catalogue.find), spec):
                told.append(_("Alert {id} is nearly the same: {other}").format(id=other.id, other=other.text))
    return told


def nearly_same(one: AlertSpec, other: AlertSpec) -> bool:
    """Whether they wait for the same, at levels that lie less than NEAR apart."""
    if len(one.clauses) != len(other.clauses) or one.join != other.join:
        return False
    return all(
        msgspec.structs.replace(a, level=0.0, high=None) == msgspec.structs.replace(b, level=0.0, high=None)
        and _close(a.level, b.level)
        and _close(a.high or 0.0, b.high or 0.0)
        for a, b in zip(one.clauses, other.clauses, strict=True)
    )


def _close(one: float, other: float) -> bool:
    return one == other or abs(one - other) < NEAR * max(abs(one), abs(other))


def distance(price: float, level: float) -> float:
    """How far the price has to go, as a share of it."""
    return level / price - 1


def buttons(armed: Armed, spec: AlertSpec, tested: Backtest | None) -> tuple[Button, ...]:
    alert = armed.alert
    offered = []
    fire = f"alert {alert.text} now"
    if armed.already_true and not alert.generation and len(fire.encode()) <= LONGEST_BUTTON_BYTES:
        offered.append(Button(label=_("Fire now"), line=fire))
    if alert.state != State.DELETED:
        offered.append(Button(label=_("Why"), line=f"why {alert.id}"))
        offered.append(Button(label=_("Delete"), line=f"delete {alert.id}"))
    if not armed.existed and (tested is None or tested.count or not tested.exact):
        offered.append(Button(label=_("Back-test"), line=f"test {alert.id}"))
    return tuple(offered)


def facts(armed: Armed, spec: AlertSpec) -> dict[str, object]:
    alert, clause = armed.alert, spec.first
    away = None if not armed.price or spec.plain is None else round(distance(armed.price, clause.level) * 100, 4)
    return {
        "id": alert.id,
        "text": alert.text,
        "instrument": alert.instrument,
        "state": alert.state.value,
        "condition": clause.condition,
        "level": clause.level,
        "price": armed.price,
        "away_percent": away,
        "already_true": armed.already_true,
        "existed": armed.existed,
        "behind_frames": armed.behind,
    }
