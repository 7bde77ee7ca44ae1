"""`movers 24h`: what rose, what fell, and what is most volatile, from the rankings that the hub keeps."""

from collections.abc import Sequence
from itertools import compress
from typing import Literal, get_args

from hub import wording
from hub.model import Argument, Button, Mover, Reply, Request, Role
from hub.plugin import BadRequest, Context
from plugins.commands.price import remarks

USAGE = "movers [1h|24h|7d] [up|down|volatile]"
SUMMARY = "What rose and what fell the most, or what is most volatile."
EXAMPLES = ("movers", "movers 7d", "movers 1h down", "movers volatile")
ARGUMENTS = (
    Argument(name="span", about="over which time", kind="choice", choices=("1h", "24h", "7d")),
    Argument(name="by", about="what counts", kind="choice", choices=("up", "down", "volatile")),
)
ROLE = Role.GUEST

By = Literal["up", "down", "volatile"]
WORDS: dict[str, By] = {
    **{by: by for by in get_args(By)},
    "gainers": "up",
    "winners": "up",
    "losers": "down",
    "volatility": "volatile",
}
SPANS = ("1h", "24h", "7d")  # offered as buttons; the market says what there is
DEFAULT = "24h"
EACH, ALONE = 5, 10
HEAD = ("instrument", "change", "price", "volatility", "")


async def run(context: Context, request: Request) -> Reply:
    span, by = asked(request.arguments)
    found = await ranked(context, span, by)
    title = {"up": "What rose", "down": "What fell", "volatile": "Most volatile"}.get(by or "", "Movers")
    if not found:
        return Reply(
            title=f"{title}, {span}",
            lines=(f"No ranking over {span} has anything {by or 'that moved'}: it is made once a minute from prices.",),
            buttons=others(span, by),
            facts={"span": span, "by": by, "movers": []},
        )
    rows = without_empty([HEAD, *[await row(context, mover) for mover in found]])
    return Reply(
        title=f"{title}, {span}",
        table=rows,
        lines=("Volatility is yearly, of the last 24 hours.",) if "volatility" in rows[0] else (),
        buttons=others(span, by),
        facts={
            "span": span,
            "by": by,
            "movers": [
                {"instrument": one.instrument, "change": one.change, "volatility": one.volatility} for one in found
            ],
        },
    )


def asked(arguments: str) -> tuple[str, By | None]:
    """The span, and which ranking; None: what rose and what fell."""
    span, by = "", None
    for word in arguments.lower().split():
        if word in WORDS and by is None:
            by = WORDS[word]
        elif word[0].isdigit() and not span:
            span = word
        else:
            raise BadRequest(f'"{word[:40]}" is not understood here: write {USAGE}')
    return span or DEFAULT, by


async def ranked(context: Context, span: str, by: By | None) -> list[Mover]:
    if by:
        return list(await context.market.movers(span, ALONE, by=by))
    rose = await context.market.movers(span, EACH, by="up")
    fell = await context.market.movers(span, EACH, by="down")
    return [*rose, *reversed(fell)]


async def row(context: Context, mover: Mover) -> tuple[str, ...]:
    instrument, quote = context.catalogue.get(mover.instrument), await context.quote(mover.instrument)
    change = wording.percent(mover.change)
    volatility = "" if mover.volatility is None else wording.percent(mover.volatility, signed=False)
    if instrument is None or quote is None:
        return mover.instrument, change, "", volatility, "no price now"
    price = f"{wording.price(quote.price, instrument.decimals)} {instrument.currency}"
    doubts = ", ".join(remarks(instrument, quote, context.now()))
    return f"{instrument.name} ({instrument.id})", change, price, volatility, doubts


def without_empty(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """A young hub knows no volatility yet: a column without a cell is left out."""
    filled = [any(cells) for cells in zip(*rows[1:], strict=True)]
    return tuple(tuple(compress(row, filled)) for row in rows)


def others(span: str, by: By | None) -> tuple[Button, ...]:
    """The same over the other spans, and the other rankings."""
    behind = f" {by}" if by else ""
    spans = [Button(label=each, line=f"movers {each}{behind}") for each in SPANS if each != span]
    kinds = [Button(label=each, line=f"movers {span} {each}") for each in get_args(By) if each != by]
    return (*spans, *kinds)
