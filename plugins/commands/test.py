"""`test gold > 2400 last 90d`: how often an alert would have rung by what is stored, and when. Nothing is set."""

import re

from hub import spans, wording
from hub.i18n import _, later
from hub.model import Argument, Backtest, Button, Reply, Request
from hub.plugin import BadRequest, Context
from hub.rules.course import clause_of
from hub.rules.language import AlertSpec, Clock, parse
from hub.rules.spec import canonical
from hub.rules.words import clause_words, describe, value_words
from plugins.commands.acting import NUMBER
from plugins.commands.tested import fact, how_often, nothing, tested_on, why_cut

USAGE = "test CONDITION [last 30d | in 2026-10 | in 2026-10-01..2026-10-07]"
SUMMARY = later("How often an alert would have rung, by the prices that are stored.")
EXAMPLES = (
    "test gold > 2400",
    "test btc -5% in 1h last 90d",
    "test gold/silver > 85 in 2026-10",
    "test 12",
)
ARGUMENTS = (
    Argument(name="condition", about="what it would ring on", required=True, example="gold > 2400"),
    Argument(name="span", about="how far back", kind="span", lead="last", example="90d"),
)

LAST = re.compile(rf"(.*?\S)\s+(?:over\s+)?(?:the\s+)?last\s+({spans.LENGTH.pattern})", re.IGNORECASE)
IN = re.compile(
    rf"(.*?\S)\s+(?:in|on)\s+({spans.RANGE.pattern}|{spans.MOMENT.pattern}|{spans.CALENDAR.pattern})", re.IGNORECASE
)
TODAY = re.compile(r"(.*?\S)\s+(today|yesterday)", re.IGNORECASE)
USUAL = "30d"
LONGER = "90d"
LONGEST_BUTTON_BYTES = 64


async def run(context: Context, request: Request) -> Reply:
    line, span_text = split(request.arguments.strip())
    if not line:
        raise BadRequest(_("test what? Write the line of an alert behind it: {example}").format(example=EXAMPLES[0]))
    number = NUMBER.fullmatch(line)
    alert_id = int(number[1]) if number and not number[2] else None
    if alert_id is not None:
        line = (await context.alert(request, alert_id)).alert.text
    zone = request.user.time_zone
    spec = parse(line, context.catalogue.find, Clock(now_us=context.now(), zone=zone))
    first = next(iter(spec.instruments), "")
    now = context.market.now(first)
    span = spans.parse_span(span_text, now, zone)
    found = await context.backtest(request, canonical(spec), span.start_us, span.end_us)
    lines = [describe(spec, context.catalogue.get, zone), how_often(found, now, zone), *why_cut(found, now, zone)]
    if not nothing(found):
        lines += told(found, spec)
    return Reply(
        title=_("Back-test: {line}").format(line=canonical(spec)),
        lines=tuple(lines),
        table=table(context, found, spec, zone, now),
        buttons=buttons(canonical(spec), alert_id, span_text),
        facts={
            **fact(found),
            "text": canonical(spec),
            "rings": [ring_fact(found, at) for at in range(len(found.rings))],
        },
    )


def split(arguments: str) -> tuple[str, str]:
    """The line, and the span behind it; a length is behind "last", so that it is none of the alert's own."""
    for form in (LAST, IN, TODAY):
        if (found := form.fullmatch(arguments)) is not None:
            return found[1], found[2]
    return arguments, USUAL


def told(found: Backtest, spec: AlertSpec) -> list[str]:
    """What it was tested on, and how that was counted."""
    lines = [tested_on(found)]
    if spec.repeat == "once":
        lines.append(_("Counted as if it were armed again behind its band each time."))
    if found.lots:
        lines.append(_("What you hold now is taken for all of that time."))
    if len(found.rings) < found.count:
        shown = len(found.rings)
        lines.append(_("The newest {count}:").format(count=shown))
    return lines


def table(context: Context, found: Backtest, spec: AlertSpec, zone: str, now: int) -> tuple[tuple[str, ...], ...]:
    """A row for each ring, the newest first; of several conditions the one that brought it."""
    if not found.rings:
        return ()
    get, several_parts = context.catalogue.get, len(spec.clauses) > 1
    rows = []
    for ring in found.rings:
        clause = clause_of(spec, ring.part)
        row = (wording.clock(ring.at, zone, now), value_words(clause.series, ring.value, get))
        rows.append((*row, clause_words(clause, get)) if several_parts else row)
    head = (_("rang at"), _("value"))
    return ((*head, _("condition")) if several_parts else head, *rows)


def ring_fact(found: Backtest, at: int) -> dict[str, object]:
    ring = found.rings[at]
    return {
        "at": wording.iso(ring.at), "value": ring.value, "level": ring.level, "direction": ring.direction,
        "part": ring.part,
    }  # fmt: skip


def buttons(text: str, alert_id: int | None, span_text: str) -> tuple[Button, ...]:
    """Those whose line is short enough for every platform."""
    offered = [] if alert_id is not None else [Button(label=_("Create it"), line=f"alert {text}")]
    if span_text == USUAL:
        again = f"test {text if alert_id is None else alert_id} last {LONGER}"
        offered.append(Button(label=_("Last {span}").format(span=LONGER), line=again))
    return tuple(each for each in offered if len(each.line.encode()) <= LONGEST_BUTTON_BYTES)
