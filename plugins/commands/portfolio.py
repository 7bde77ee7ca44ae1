"""`portfolio`: what a person holds, lot by lot: what it cost, what it is worth, what was sold; and its value over time.

Only what is held is priced. What has no price is named, and left out of the sums. How lots are written is hub.lots.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hub import currencies, wording
from hub.lots import amount_of, read_lot, read_sale
from hub.model import Argument, Button, Instrument, Lot, Nature, Quote, Reply, Request
from hub.plugin import BadRequest, Context
from hub.portfolio import Portfolio, ValuedLot, bar, held, own_currency, valued
from plugins.commands.portfolio_chart import chart, fitting

USAGE = (
    'portfolio [NAME:] [in eur | add 10 g gold 22k for 85000 inr 2024-03-01 note "…" | sell 3 … | remove 3 | chart 90d]'
)
SUMMARY = "What you hold: lots with their cost, their value, profit, and a chart of it."
PRIVATE = True
EXAMPLES = (
    'portfolio add 10 g gold 22k for 85000 usd 2024-03-01 note "wedding"',
    "portfolio add 0.5 btc at 42000",
    "portfolio",
    "portfolio in eur",
    "portfolio chart 90d",
    "portfolio sell 2 0.2 at 61000",
    "portfolio remove 1",
)
ARGUMENTS = (
    Argument(
        name="action",
        about="what to do; without it, what you hold",
        kind="choice",
        choices=("add", "sell", "remove", "chart", "in"),
    ),
    Argument(name="what", about="the lot, its number, a span or a currency", example="0.5 btc at 42000"),
)

HEAD = ("no.", "lot", "bought", "cost", "value", "profit")
NAMED = re.compile(r"([^\W_][\w -]{0,30}):\s*(.*)", re.DOTALL)
NUMBER = re.compile(r"#?([0-9]{1,15})(?:\s+(.*))?", re.DOTALL)
VERBS = ("add", "sell", "remove", "chart", "in", "list")
SHOWN = 40


async def run(context: Context, request: Request) -> Reply:
    name, text = name_and_rest(request.arguments.strip())
    verb, _, rest = text.partition(" ")
    rest = rest.strip()
    match verb.lower():
        case "" | "list" if not rest:
            return await shown(context, request, name, "")
        case "in":
            return await shown(context, request, name, rest)
        case "add":
            return await added(context, request, name, rest)
        case "sell":
            return await sold(context, request, rest)
        case "remove":
            return await removed(context, request, rest)
        case "chart":
            return await chart(context, request, mine(await context.personal.lots(request), name), name, rest)
    raise BadRequest(f'"{verb[:40]}" is nothing that a portfolio knows: write {", ".join(EXAMPLES[1:5])}')


def name_and_rest(text: str) -> tuple[str | None, str]:
    """A named portfolio in front, "" for the person's own where something is added; None: all of them."""
    found = NAMED.fullmatch(text)
    if found is None or found[1].split()[0].lower() in VERBS:
        return None, text
    return " ".join(found[1].casefold().split()), found[2].strip()


def mine(lots: Sequence[Lot], name: str | None) -> list[Lot]:
    found = [lot for lot in lots if name in (None, lot.portfolio)]
    if name is not None and not found:
        raise BadRequest(f"nothing is in {name}: portfolio {name}: add 0.5 btc at 42000 puts something there")
    return found


def currency_check(context: Context) -> Callable[[str], bool]:
    """What is served, and what the catalogue has a pair for."""
    served = currencies.known(context.catalogue)

    def is_currency(word: str) -> bool:
        code = word.upper()
        return code in served or any(context.catalogue.get(pair) for pair in (f"USD-{code}", f"{code}-USD"))

    return is_currency


def currency_of(context: Context, word: str) -> str:
    code = word.strip().upper()
    if not currency_check(context)(code):
        raise BadRequest(f'"{word[:20]}" is no currency that this hub knows: write one like usd, eur or inr')
    return code


# ---------------------------------------------------------------------------------------------- showing


async def shown(context: Context, request: Request, name: str | None, wanted: str) -> Reply:
    asked = currency_of(context, wanted) if wanted else request.user.currency
    lots = mine(await context.personal.lots(request), name)
    if not lots:
        return empty()
    currency = asked or own_currency(held(lots) or lots, context.catalogue.get)
    found = await portfolio_of(context, lots, currency)
    called = {each.lot.portfolio for each in found.lots} - {""} if name is None else set()
    rows = [row(each, context.catalogue.get(each.lot.instrument), bool(called)) for each in found.lots[:SHOWN]]
    more = len(found.lots) - SHOWN
    line = f"portfolio {f'{name}: ' if name else ''}"
    return Reply(
        title=f"{name or 'Your portfolio'}: {worth(found)}",
        table=(HEAD, *rows) if rows else (),
        lines=(*([f"… and {more} more lots."] if more > 0 else []), *sums(found), *allocation(found, context)),
        buttons=fitting(
            Button(label="Chart", line=f"{line}chart 90d"),
            Button(label="Refresh", line=f"{line}in {currency.lower()}"),
        ),
        private=True,
        facts=facts(found),
    )


def worth(found: Portfolio) -> str:
    """What is not counted stands beside the sum, which would lie without it."""
    if not found.lots:
        return "all is sold"
    if found.unvalued == len(found.lots):
        return f"its value in {found.currency} is not known"
    left_out = f", {found.unvalued} of {len(found.lots)} lots not counted" if found.unvalued else ""
    return f"{money(found.value)} {found.currency}{left_out}"


def empty() -> Reply:
    lines = (
        "You have no lots yet. Write for example:",
        "portfolio add 10 g gold 22k for 85000 inr 2024-03-01",
        "portfolio add 0.5 btc at 42000",
    )
    return Reply(title="Your portfolio", lines=lines, private=True, facts={"lots": []})


async def portfolio_of(context: Context, lots: Sequence[Lot], currency: str) -> Portfolio:
    wanted = {lot.instrument for lot in held(lots)}
    quotes = {one: quote for one in sorted(wanted) if (quote := await context.quote(one))}
    return valued(lots, quotes, context.catalogue.get, context.market.rate, currency, context.now())


def row(each: ValuedLot, instrument: Instrument | None, with_name: bool) -> tuple[str, ...]:
    lot, profit = each.lot, each.profit
    share = f" ({wording.percent(profit / each.cost)})" if profit is not None and each.cost else ""
    note = f", {lot.note}" if lot.note else ""
    own = f"{lot.portfolio}: " if with_name and lot.portfolio else ""
    return (
        str(lot.id),
        f"{own}{lot.wrote} {instrument.name if instrument else lot.instrument}{note}",
        lot.bought_on,
        "" if lot.cost is None else f"{money(lot.cost)} {lot.currency}",
        each.why if each.value is None else money(each.value),
        "" if profit is None else f"{signed(profit)}{share}",
    )


def money(value: float) -> str:
    return wording.price(value, 2)


def signed(value: float) -> str:
    rounded = round(value, 2) + 0.0
    return wording.own(f"{rounded:+,.2f}" if rounded else "0.00")


def sums(found: Portfolio) -> list[str]:
    """Totals in words, then whatever makes them doubtful."""
    lines = []
    if found.before:
        day = found.day_share
        lines.append(
            f"Today {signed(found.day)} {found.currency}{f' ({wording.percent(day)})' if day is not None else ''}."
        )
    if found.cost:
        share = found.profit_share
        told = f" ({wording.percent(share)})" if share is not None else ""
        lines.append(f"Cost {money(found.cost)} {found.currency}, profit {signed(found.profit)}{told}.")
    if found.realised:
        lines.append(f"Sold with {signed(found.realised)} {found.currency} so far, at today's rates.")
    return [*lines, *(f"{doubt[:1].upper()}{doubt[1:]}." for doubt in found.doubts)]


def allocation(found: Portfolio, context: Context) -> list[str]:
    if len(found.shares) < 2:
        return []
    lines = []
    for name, value, share in found.shares:
        instrument = context.catalogue.get(name)
        shown = wording.percent(share, signed=False)
        lines.append(f"{bar(share)} {shown} {instrument.name if instrument else name}, {money(value)}")
    return lines


def facts(found: Portfolio) -> dict[str, object]:
    return {
        "currency": found.currency,
        "value": found.value,
        "cost": found.cost,
        "profit": found.profit,
        "day": found.day,
        "realised": found.realised,
        "complete": not found.unvalued,
        "doubts": list(found.doubts),
        "shares": {name: share for name, _, share in found.shares},
        "lots": [
            msgspec.structs.asdict(each.lot) | {"value": each.value, "profit": each.profit} for each in found.lots
        ],
    }


# --------------------------------------------------------------------------------------------- changing


async def added(context: Context, request: Request, name: str | None, text: str) -> Reply:
    quotes = {quote.instrument: quote for quote in await context.quotes()}
    lot = read_lot(
        text,
        find=context.catalogue.find,
        is_currency=currency_check(context),
        unit_price=lambda instrument, currency: unit_price(context, quotes, instrument, currency),
        today=wording.moment(context.now()).astimezone(wording.zone(request.user.time_zone)).date(),
        weight=request.user.weight,
    )
    made = await context.personal.add_lot(request, msgspec.structs.replace(lot, portfolio=name or ""))
    instrument = context.catalogue.get(made.instrument)
    assert instrument is not None, f"{made.instrument} was just found in the catalogue"
    lines = [bought(made, instrument)]
    if quote := quotes.get(made.instrument):
        now_worth = made.quantity * quote.price
        nature = "" if quote.nature is Nature.LIVE else f" ({quote.nature.value})"
        lines.append(f"Worth {money(now_worth)} {instrument.currency} now{nature}.")
    else:
        lines.append(f"{instrument.name} has no price now: the portfolio says so and leaves it out until it has.")
    return Reply(
        title=f"Lot {made.id} is added{f' to {name}' if name else ''}",
        lines=tuple(lines),
        buttons=(Button(label="Undo", line=f"portfolio remove {made.id}"), Button(label="Portfolio", line="portfolio")),
        private=True,
        facts=msgspec.structs.asdict(made),
    )


def unit_price(context: Context, quotes: Mapping[str, Quote], instrument: Instrument, currency: str) -> float | None:
    quote = quotes.get(instrument.id)
    if quote is None:
        return None
    try:
        return quote.price * context.market.rate(instrument.currency, currency).value
    except BadRequest:
        return None


def bought(lot: Lot, instrument: Instrument) -> str:
    """How it was read, so that a slip is seen: "10 g 22k Gold for 85,000.00 INR (8,500.00 each g), 2024-03-01"."""
    what = f"{lot.wrote} {instrument.name}"
    if lot.cost is None:
        return f"{what}, {lot.bought_on}; its cost is not known, so its profit is not either."
    amount = amount_of(lot)
    each = f" ({wording.price(lot.cost / amount.value, 2)} for each{f' {amount.unit}' if amount.unit else ''})"
    return f"{what} for {money(lot.cost)} {lot.currency}{each if amount.value != 1 else ''}, {lot.bought_on}."


async def sold(context: Context, request: Request, text: str) -> Reply:
    lot_id, rest = number_and_rest(text, "portfolio sell 3 at 100")
    if rest.lower() == "undo":
        back = await context.personal.unsell(request, lot_id)
        return Reply(
            title=f"Lot {back.id} is held again", lines=(back.wrote,), private=True, facts=msgspec.structs.asdict(back)
        )
    lot = await context.personal.lot(request, lot_id)
    if lot.sold_on:
        raise BadRequest(
            f"lot {lot_id} was sold on {lot.sold_on} already: portfolio sell {lot_id} undo takes that back"
        )
    instrument = context.catalogue.get(lot.instrument)
    if instrument is None:
        raise BadRequest(f"{lot.instrument} is not known to this hub any more: add it to [instruments] in config.toml")
    today = wording.moment(context.now()).astimezone(wording.zone(request.user.time_zone)).date()
    gone, left = read_sale(rest, lot, instrument, is_currency=currency_check(context), today=today)
    done = await context.personal.sell(request, lot, gone, left)
    lines = [
        f"{done.wrote} {instrument.name} for {money(done.proceeds or 0.0)} {done.proceeds_currency}, {done.sold_on}."
    ]
    lines.append(realised(done, context))
    if left is not None:
        lines.append(f"Lot {lot.id} still holds {left.wrote}; what was sold is lot {done.id}.")
    return Reply(
        title=f"Sold from lot {lot.id}" if left is not None else f"Lot {lot.id} is sold",
        lines=tuple(lines),
        buttons=(Button(label="Undo", line=f"portfolio sell {done.id} undo"),),
        private=True,
        facts=msgspec.structs.asdict(done),
    )


def realised(lot: Lot, context: Context) -> str:
    if lot.cost is None or lot.proceeds is None:
        return "Its cost is not known, so its profit is not either."
    try:
        rate = context.market.rate(lot.currency, lot.proceeds_currency)
    except BadRequest as error:
        return f"Its profit cannot be told: {error.text}."
    cost = lot.cost * rate.value
    share = f" ({wording.percent((lot.proceeds - cost) / cost)})" if cost else ""
    at_rate = "" if lot.currency == lot.proceeds_currency else ", at today's rate"
    return f"Profit {signed(lot.proceeds - cost)} {lot.proceeds_currency}{share}{at_rate}."


async def removed(context: Context, request: Request, text: str) -> Reply:
    lot_id, rest = number_and_rest(text, "portfolio remove 3")
    if rest.lower() not in ("", "undo"):
        raise BadRequest(f'"{rest[:40]}" is not understood: write portfolio remove {lot_id}, or … remove {lot_id} undo')
    undo = bool(rest)
    lot = await context.personal.remove_lot(request, lot_id, undo=undo)
    return Reply(
        title=f"Lot {lot.id} is back" if undo else f"Lot {lot.id} is removed",
        lines=(f"{lot.wrote} {lot.instrument}, {lot.bought_on}",),
        buttons=() if undo else (Button(label="Undo", line=f"portfolio remove {lot.id} undo"),),
        private=True,
        facts=msgspec.structs.asdict(lot),
    )


def number_and_rest(text: str, example: str) -> tuple[int, str]:
    found = NUMBER.fullmatch(text)
    if not found:
        raise BadRequest(f"which lot? Write its number: {example} (portfolio shows the numbers)")
    return int(found[1]), (found[2] or "").strip()
