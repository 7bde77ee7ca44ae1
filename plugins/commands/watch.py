"""`watch gold silver`: lists of what a person looks at together, and the board that shows them.

A board is a table of prices with the line of their last day and a button that brings it up to date in place.
"""

import re
from collections.abc import Sequence

from hub import wording
from hub.model import Argument, Button, Instrument, Nature, Quote, Reply, Request, WatchList
from hub.plugin import BadRequest, Context
from plugins.commands.price import change, remarks

USAGE = "watch [gold silver … | NAME: gold … | remove gold | lists | delete NAME]"
SUMMARY = "Boards of what you look at together: price, day, the last 24 hours."
EXAMPLES = ("watch gold silver btc", "watch", "watch metals: gold silver", "watch remove silver", "watch lists")
ARGUMENTS = (Argument(name="instruments", about="what to add to your list; without it, the board", kind="instruments"),)

HEAD = ("instrument", "price", "day", "24 h", "age", "")
LIST_NAME = re.compile(r"[^\W_][\w -]{0,30}")
WORDS = ("add", "remove", "lists", "delete", "refresh")
SPARK_POINTS = 12
LONGEST_WORDS = 400
LONGEST_BUTTON_BYTES = 64


async def run(context: Context, request: Request) -> Reply:
    text = " ".join(request.arguments.split())
    if len(text) > LONGEST_WORDS:
        raise BadRequest(f"that has {len(text):,} characters, {LONGEST_WORDS} is the most: write watch gold silver")
    word, _, rest = text.partition(" ")
    match word.lower():
        case "":
            return await first_board(context, request)
        case "lists":
            return listed(await context.personal.watchlists(request))
        case "refresh":
            return await board(context, request, await list_of(context, request, list_name(rest)), replace=True)
        case "delete":
            return dropped(
                await context.personal.drop_watchlist(request, list_name(needed(rest, "watch delete metals")))
            )
    if ":" in text:
        name, _, text = (part.strip() for part in text.partition(":"))
        return await changed(context, request, named(name, context), text)
    lists = await context.personal.watchlists(request)
    if found := next((each for each in lists if each.name and each.name == list_name(text)), None):
        return await board(context, request, found)
    return await changed(context, request, "", text)


async def changed(context: Context, request: Request, name: str, text: str) -> Reply:
    """The board of a list after what was asked of it: nothing, to add, to remove."""
    word, _, rest = text.partition(" ")
    if not text:
        return await board(context, request, await list_of(context, request, name))
    if word.lower() == "remove":
        wanted = instruments(context, needed(rest, "watch remove silver"))
        return await board(
            context, request, await context.personal.unwatch(request, name, [each.id for each in wanted])
        )
    wanted = instruments(context, needed(rest, "watch add gold") if word.lower() == "add" else text)
    return await board(context, request, await context.personal.watch(request, name, [each.id for each in wanted]))


def instruments(context: Context, text: str) -> list[Instrument]:
    """Each word is one, or all of them together are."""
    words = text.replace(",", " ").split()
    try:
        return [context.catalogue.find(word) for word in words]
    except BadRequest as error:
        try:
            return [context.catalogue.find(text)]
        except BadRequest:
            raise error from None


def list_name(text: str) -> str:
    return " ".join(text.casefold().split())


def named(text: str, context: Context) -> str:
    """The name of a list, which no instrument and no word of this command has."""
    name = list_name(text)
    if not LIST_NAME.fullmatch(name):
        raise BadRequest(f'"{name[:40]}" cannot be the name of a list: write up to 31 letters, digits and dashes')
    if name.split()[0] in WORDS:
        raise BadRequest(f'a list cannot be called "{name}", as watch {name.split()[0]} is something else')
    try:
        context.catalogue.find(name)
    except BadRequest:
        return name
    raise BadRequest(f'"{name}" is an instrument: call the list something else, like watch my {name}: …')


def needed(text: str, example: str) -> str:
    if not text:
        raise BadRequest(f"of what? Write for example {example}")
    return text


async def first_board(context: Context, request: Request) -> Reply:
    """The person's own list; where they have only others, those."""
    lists = await context.personal.watchlists(request)
    own = next((each for each in lists if not each.name), lists[0] if len(lists) == 1 else None)
    if own is None and lists:
        return listed(lists)
    return await board(context, request, own or WatchList(name="", instruments=()))


async def list_of(context: Context, request: Request, name: str) -> WatchList:
    lists = await context.personal.watchlists(request)
    if found := next((each for each in lists if each.name == name), None):
        return found
    if not name:
        return WatchList(name="", instruments=())
    raise BadRequest(
        f'you have no list "{name[:40]}": watch {name[:31]}: gold silver makes it, watch lists shows yours'
    )


# ----------------------------------------------------------------------------------------------- showing


async def board(context: Context, request: Request, watched: WatchList, *, replace: bool = False) -> Reply:
    rows, facts, lines = [], [], []
    for instrument_id in watched.instruments:
        instrument, quote = context.catalogue.get(instrument_id), await context.quote(instrument_id)
        if instrument is None:
            lines.append(f"{instrument_id}: this hub knows it no more; watch remove {instrument_id} takes it off.")
        elif quote is None:
            lines.append(f"{instrument.name} ({instrument.id}): no price yet.")
        else:
            closes = await last_day(context, instrument_id)
            rows.append(row(instrument, quote, closes, request.user.time_zone, context.now()))
            facts.append({"instrument": instrument.id, "price": quote.price, "change_percent": change(quote) * 100})
    if not watched.instruments:
        lines.append("Nothing is on it: watch gold silver btc puts something there.")
    title = watched.name or "Watch list"
    if rows:
        title += f", {wording.clock(context.now(), request.user.time_zone, context.now())}"
    refresh = Button(label="Refresh", line=f"watch refresh {watched.name}".strip())
    return Reply(
        title=title,
        lines=tuple(lines),
        table=(HEAD, *rows) if rows else (),
        buttons=(refresh,) if rows and len(refresh.line.encode()) <= LONGEST_BUTTON_BYTES else (),
        replace=replace,
        facts={"list": watched.name, "instruments": list(watched.instruments), "quotes": facts},
    )


async def last_day(context: Context, instrument_id: str) -> list[float]:
    end = context.market.now(instrument_id)
    _, candles = await context.market.window(instrument_id, end - wording.DAY_US, end, SPARK_POINTS * 4)
    return [candle.close for candle in candles if candle.start >= end - wording.DAY_US]


def row(instrument: Instrument, quote: Quote, closes: Sequence[float], zone: str, now: int) -> tuple[str, ...]:
    recorded = quote.nature == Nature.RECORDING
    return (
        instrument.name,
        f"{wording.price(quote.price, instrument.decimals)} {instrument.currency}",
        wording.percent(change(quote)),
        wording.spark(closes, SPARK_POINTS),
        wording.clock(quote.time, zone, now) if recorded else wording.age(now - quote.received_at),
        ", ".join(remarks(instrument, quote, now)),
    )


def listed(lists: Sequence[WatchList]) -> Reply:
    if not lists:
        line = "You have none. watch gold silver btc fills your own; watch metals: gold silver makes one with a name."
        return Reply(title="Your watch lists", lines=(line,), facts={"lists": {}})
    return Reply(
        title="Your watch lists",
        table=(("list", "instruments"), *((each.name or "(your own)", " ".join(each.instruments)) for each in lists)),
        buttons=tuple(
            Button(label=each.name or "Your own", line=line)
            for each in lists[:8]
            if len((line := f"watch {each.name}".strip()).encode()) <= LONGEST_BUTTON_BYTES
        ),
        facts={"lists": {each.name: list(each.instruments) for each in lists}},
    )


def dropped(was: WatchList) -> Reply:
    again = f"watch {was.name}: {' '.join(was.instruments)}"
    fits = bool(was.instruments) and len(again.encode()) <= LONGEST_BUTTON_BYTES
    return Reply(
        title=f"The list {was.name} is deleted",
        lines=(f"It held {' '.join(was.instruments) or 'nothing'}.",),
        buttons=(Button(label="Undo", line=again),) if fits else (),
        facts={"list": was.name, "instruments": list(was.instruments)},
    )
