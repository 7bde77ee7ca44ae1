"""The contracts an extension author reads: Feed, Command, Bot, and the three errors they may raise.

A **feed** is a module in `plugins/feeds/` (or an entry point `tocsin.feeds`) with `Settings` (a msgspec
Struct), `NATURE` and `async def run(settings, symbols, emit, last)`. It connects, parses and emits; it never
retries: ingest restarts it. Returning means that there is nothing more to come (a recording's end).

A **command** is a module in `plugins/commands/` (or entry point `tocsin.commands`) with `USAGE`, `SUMMARY`,
`EXAMPLES` and `async def run(context, request) -> Reply`.

A **bot** is a module in `bots/` (or entry point `tocsin.bots`) with `Settings`, `PLATFORMS` and
`def open_bot(settings) -> Bot`. Each configured bot runs in a process of its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from hub.model import (
    Alert,
    Armed,
    Backtest,
    Candle,
    Destination,
    Digest,
    Instrument,
    Line,
    Look,
    Lot,
    Menu,
    Message,
    Mover,
    Nature,
    Place,
    Quote,
    Rate,
    Refused,
    Reply,
    Request,
    Role,
    Split,
    Summary,
    Tick,
    Trigger,
    User,
    WatchList,
)


class TryLater(Exception):
    """It did not work now and may work later. Delivery re-queues, ingest restarts the feed."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class GiveUp(Exception):
    """It will never work; the reason is stored and told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gone(GiveUp):
    """This place takes nothing any more: blocked, kicked, deleted. Delivery switches the destination off and tells its
    owner elsewhere. `moved_to`: the address where the platform says that it is now; then it goes on there instead."""

    def __init__(self, reason: str, moved_to: str = "") -> None:
        super().__init__(reason)
        self.moved_to = moved_to


class BadRequest(Exception):
    """What a person asked cannot be done as asked; the text says why and how to ask instead."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


# ------------------------------------------------------------------------------------------------ feeds

Emit = Callable[[Tick | Refused], Awaitable[None]]
"""Hands one tick, or the reason why there is none, to the hub. Waits while the hub's pending list is
full, which lets the socket's own back-pressure hold the vendor."""

Last = Mapping[str, int]
"""The number last settled from this feed, per lane: "XAU-USD/quote", "BTC-USDT/trade", and "" for
refusals that name no instrument. A feed that can resume starts behind it; ingest drops what it already has."""


class Bar(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A candle of the past as a file states it. `number` grows along the file. Where only its four prices are known,
    `candle` counts them as four ticks."""

    instrument: str
    candle: Candle
    number: int


EmitCandles = Callable[[str, str, Sequence[Candle]], Awaitable[None]]
"""Hands candles of the past to the hub: the instrument, a rung of the ladder ("1m"), the candles from the oldest on."""


class Feed(Protocol):
    """The shape of a feed module. `symbols` maps instrument ids to the vendor's own names.

    A source that keeps history may also have `async def backfill(settings, symbols, start_us, end_us, emit)`: it emits
    (EmitCandles) the candles that start in that range, which are over, and returns; like `run` it never retries. And
    one that knows the splits of stocks `async def splits(settings, symbols, start_us, end_us)`: of each in that span
    (instrument id, "2014-06-09", new shares, old ones).

    A recording may have `source(settings)`, by which its ticks are counted, and `paced(settings)`: whether it keeps
    time by itself. Recordings that do not are played together in the order of their times."""

    Settings: type[msgspec.Struct]
    NATURE: Nature

    async def run(self, settings: Any, symbols: Mapping[str, str], emit: Emit, last: Last) -> None: ...


# --------------------------------------------------------------------------------------------- commands


class Catalogue(Protocol):
    """The instruments this hub knows. See hub.instruments."""

    def get(self, instrument_id: str) -> Instrument | None: ...
    def find(self, word: str) -> Instrument:
        """The one instrument that a person means by `word`; BadRequest if none or more than one."""
        ...

    def served(self) -> Sequence[Instrument]:
        """The instruments that some configured feed serves."""
        ...


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with what `/alerts` and `/why` tell about it."""

    alert: Alert
    quote: Quote | None = None
    look: Look | None = None  # what the engine sees of it, where it watches more than an instrument's own price
    last_trigger: Trigger | None = None
    waits_for: str = ""  # in plain words: what has to happen for it to ring
    deliveries: tuple[str, ...] = ()  # the newest first, in plain words
    history: tuple[str, ...] = ()  # its life so far, in plain words, the newest first


class DestinationView(msgspec.Struct, frozen=True, kw_only=True):
    """A destination with what `push` tells about it."""

    destination: Destination
    last: str = ""  # what became of its newest notification, in plain words
    waiting: int = 0  # notifications that are not sent yet
    held: int = 0  # and beside them those that wait for the end of quiet hours


class Added(msgspec.Struct, frozen=True, kw_only=True):
    destination: Destination
    existed: bool
    bot: bool  # whether the bot that sends there answers
    unsure: str = ""  # why the bot cannot tell whether it would send there


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a test notification. `text` is the receipt, or why it waits or was given up."""

    destination: Destination
    outcome: Literal["sent", "waits", "given up", "open"]  # open: nobody has tried it yet
    text: str = ""
    again_at: int | None = None  # wall time of the next try, where it waits


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """What a person who is forgotten takes along: rows by table, and the code that confirms it."""

    code: str
    counts: Mapping[str, int]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as one platform names them."""

    platform: str
    id: str
    name: str = ""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user as operators and admins see them."""

    id: int
    name: str
    role: Role
    platforms: tuple[str, ...]


class LinkCode(msgspec.Struct, frozen=True, kw_only=True):
    """`ways`: by platform, an address that opens a talk with the bot there and says the code by itself."""

    code: str
    until: int  # wall time
    ways: Mapping[str, str]


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a code. `asks`: nothing yet, `moves` is what would go to that person; else it went."""

    person: str  # whose name is on both now
    operator: bool = False  # it was the hub's own code
    asks: bool = False
    moves: Mapping[str, int] = {}  # rows by table


class People(Protocol):
    """Who is who, and what groups and channels allow. See hub.people. BadRequest for what the asker may not."""

    async def identities(self, request: Request) -> Sequence[Identity]: ...
    async def link_code(self, request: Request) -> LinkCode: ...
    async def join(self, request: Request, code: str, *, sure: bool) -> Joined:
        """The asker becomes the person who made the code, and what they had goes to that person; asked about first
        where there is something, unless they are sure. With the hub's own code they become its operator."""
        ...

    async def part(self, request: Request, platform: str) -> Identity:
        """Takes the asker's identity of that platform from them; of the one they write from where none is said."""
        ...

    async def everyone(self, request: Request) -> Sequence[Person]: ...
    async def set_role(self, request: Request, whom: str, role: Role) -> Person:
        """`whom`: a number or a name."""
        ...

    async def settle_place(
        self, request: Request, field: Literal["who_may", "detect", "time_zone", "language"], value: str | bool
    ) -> tuple[Place, User]:
        """The place with that field as it is now, and the row that holds its time zone and language."""
        ...

    async def place_here(self, request: Request) -> Place:
        """Alerts of the place go to where this line was written from now on: to this topic of the group."""
        ...

    async def operator_code(self) -> str:
        """What makes somebody the operator while there is none, for whoever sits at this machine; else empty."""
        ...


class Personal(Protocol):
    """What a person keeps in the hub beside alerts: watch lists, lots, digests. See hub.personal. BadRequest for what
    is not there or is somebody else's."""

    async def watchlists(self, request: Request) -> Sequence[WatchList]: ...
    async def watch(self, request: Request, name: str, instruments: Sequence[str]) -> WatchList:
        """Adds instruments to a list, which is made where there is none; the list as it is then."""
        ...

    async def unwatch(self, request: Request, name: str, instruments: Sequence[str]) -> WatchList: ...
    async def drop_watchlist(self, request: Request, name: str) -> WatchList:
        """The list as it was."""
        ...

    async def lots(self, request: Request) -> Sequence[Lot]:
        """Held and sold."""
        ...

    async def lot(self, request: Request, lot_id: int) -> Lot: ...
    async def add_lot(self, request: Request, lot: Lot) -> Lot: ...
    async def sell(self, request: Request, lot: Lot, sold: Lot, rest: Lot | None) -> Lot:
        """What hub.lots.read_sale made of `lot`; the part that was sold, with its number. What is left of a lot keeps
        its number."""
        ...

    async def unsell(self, request: Request, lot_id: int) -> Lot: ...
    async def remove_lot(self, request: Request, lot_id: int, *, undo: bool = False) -> Lot: ...
    async def digests(self, request: Request) -> Sequence[Digest]: ...
    async def set_digest(
        self,
        request: Request,
        *,
        at_s: int,
        weekdays: str,
        about: Literal["all", "watch", "portfolio"],
        destination_id: int | None,
    ) -> Digest:
        """The digest of that plan, made or switched on."""
        ...

    async def switch_digests(self, request: Request, number: int | None, *, on: bool) -> Sequence[Digest]:
        """The one of that number, or all."""
        ...

    async def remove_digest(self, request: Request, number: int) -> Digest: ...
    async def belongings(self, request: Request) -> tuple[Mapping[str, Sequence[Mapping[str, Any]]], Mapping[str, int]]:
        """All that the ledger knows of the person: rows by table, without addresses of destinations, and how many there
        are, where only the newest are among the rows."""
        ...

    async def settle(
        self,
        request: Request,
        field: Literal["time_zone", "currency", "weight", "theme", "language", "quiet"],
        value: str,
    ) -> User:
        """The person, with that field as it is now; `value` has been read and found right."""
        ...

    async def going(self, request: Request) -> Going: ...
    async def confirm(self, request: Request, code: str) -> None:
        """BadRequest where that code does not confirm that the person is to be forgotten."""
        ...

    async def forget(self, request: Request, code: str) -> Mapping[str, int]:
        """Removes the person for good, once none of their alerts can ring; what was removed, rows by table."""
        ...


class Market(Protocol):
    """Prices of the past, and what is computed from them and from the newest ones. See hub.market."""

    def now(self, instrument_id: str = "") -> int:
        """The end of "the last 24 hours": wall time, or in a recording or where only a recording's prices are known
        the time of the newest price."""
        ...

    async def candles(self, instrument_id: str, rung: str, start_us: int, end_us: int) -> Sequence[Candle]: ...
    async def window(self, instrument_id: str, start_us: int, end_us: int, points: int) -> tuple[str, Sequence[Candle]]:
        """As hub.history.History.window; from the cache where it is there."""
        ...

    async def reach(self, instrument_id: str) -> tuple[int, int] | None:
        """The start of the oldest candle of history and the time of the newest price; None: there is none."""
        ...

    async def summary(self, instrument_id: str, start_us: int, end_us: int) -> Summary | None:
        """None where nothing moved the price in that span."""
        ...

    async def movers(self, span: str, count: int, *, by: Literal["up", "down", "volatile"]) -> Sequence[Mover]:
        """From the rankings of the cache; a span is one of hub.hot.SPANS ("1h", "24h", "7d")."""
        ...

    def rate(self, source: str, target: str) -> Rate:
        """Of currencies, over as few live prices as it takes; BadRequest if no price connects the two."""
        ...

    async def draw(self, chart: msgspec.Struct) -> bytes:
        """A charts.Chart as a PNG, from the cache where the same was drawn before. BadRequest where the worker cannot
        draw now, or matplotlib is not installed."""
        ...


class Context(Protocol):
    """What a command may use. All of it is checked against `request.user`'s rights."""

    catalogue: Catalogue
    decimals_of: Callable[[str], int]
    theme: str  # of charts, for people who have not said theirs
    market: Market
    personal: "Personal"
    people: "People"

    def now(self) -> int: ...
    async def quote(self, instrument_id: str) -> Quote | None: ...
    async def quotes(self) -> Sequence[Quote]: ...
    async def create_alert(self, request: Request, line: str) -> Armed: ...
    async def backtest(self, request: Request, line: str, start_us: int, end_us: int) -> Backtest:
        """How often that alert would have rung in the span, by what is stored; nothing is set. It may take seconds, and
        a span that takes too long begins later then."""
        ...

    async def preview(self, request: Request, line: str) -> Backtest | None:
        """The same of the last 30 days, beside the reply to a new alert: None where it would take longer than one
        notices."""
        ...

    async def alerts(self, request: Request, *, finished: bool = False) -> Sequence[AlertView]: ...
    async def alert(self, request: Request, alert_id: int) -> AlertView:
        """BadRequest if there is none of that number, or it belongs to somebody else."""
        ...

    async def again(self, request: Request, alert_id: int) -> Armed:
        """Arms one that is done, or waits behind its band, against the price of now; `existed`: it was armed before."""
        ...

    async def edit_alert(self, request: Request, alert_id: int, line: str, was: str = "") -> Armed:
        """Gives it other words, and arms it with them; what is silent stays so. BadRequest where its text is not `was`
        any more, if that is given."""
        ...

    async def mute(
        self, request: Request, instrument_id: str, until: int | None, *, off: bool = False
    ) -> Sequence[Alert]:
        """All of the person's alerts on it, silent until that wall time or until `off`; those that this changed."""
        ...

    async def pause(self, request: Request, alert_id: int, *, off: bool = False) -> Alert:
        """Silent until `off`, which sets its side anew and fires nothing."""
        ...

    async def life(self, request: Request, alert_id: int) -> Sequence[str]:
        """All that happened to it and was not too long ago, in plain words, the newest first."""
        ...

    async def snooze(self, request: Request, alert_id: int, until: int | None) -> Alert:
        """Silent until that wall time, also one that was done, which watches again then; None wakes it. Waking sets the
        side anew and fires nothing."""
        ...

    async def delete(self, request: Request, alert_id: int, *, undo: bool = False) -> Alert: ...
    async def destinations(self, request: Request) -> Sequence[Destination]: ...
    async def destination_views(self, request: Request) -> Sequence[DestinationView]: ...
    async def add_destination(self, request: Request, url: str) -> Added:
        """A webhook or an apprise URL, added unless it is there; BadRequest for what can never be sent to. What is
        shown of it is its label: the URL is a secret."""
        ...

    async def switch_destination(self, request: Request, destination_id: int, *, on: bool) -> DestinationView:
        """Off keeps what waits for it; on sends that too."""
        ...

    async def remove_destination(self, request: Request, destination_id: int) -> tuple[Destination, int]:
        """For good, with its address; how many notifications that waited for it were given up."""
        ...

    async def test_destination(self, request: Request, destination_id: int) -> Tried:
        """Sends a real notification there, and waits some seconds for what becomes of it."""
        ...

    async def splits(self) -> Sequence[Split]: ...
    async def split_alerts(self, instrument_id: str) -> tuple[int, int]:
        """How many alerts name it that are not over, and of how many owners."""
        ...

    async def around(self, instrument_id: str, day: str) -> tuple[float, float] | None:
        """The last price before that day and the first from it on, as far as history has them near it."""
        ...

    async def add_split(self, request: Request, instrument_id: str, day: str, numerator: int, denominator: int) -> None:
        """BadRequest where there is one of that day."""
        ...

    async def remove_split(self, instrument_id: str, day: str) -> Split:
        """The one that was; BadRequest where there is none, or levels have moved over it."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """What each service says of itself, by service name. See hub.commands."""
        ...

    def commands(self) -> Sequence["Command"]: ...


class Command(Protocol):
    """The shape of a command module. NAME defaults to the module's name. It may have `ARGUMENTS`, a sequence of
    hub.model.Argument: then platforms offer its menu, completion and form by themselves; without it they offer one
    text. It may have `ROLE`, the least role that may run it; a member's by default. With `PRIVATE = True` it is about
    the person who asks also in a group, and its answer is for their eyes; else it is about what belongs to the group.
    """

    NAME: str
    USAGE: str  # "price gold silver …"
    SUMMARY: str  # one short sentence for a menu
    EXAMPLES: Sequence[str]

    async def run(self, context: Context, request: Request) -> Reply: ...


# ------------------------------------------------------------------------------------------------- bots


class Hub(Protocol):
    """A bot's way into the hub: NATS and nothing else."""

    async def ask(self, line: Line) -> Reply:
        """Runs one line as that person; TryLater when no hub answers in time."""
        ...

    async def menu(self) -> Menu:
        """What can be asked; TryLater when no hub answers. It changes with the hub's version and configuration."""
        ...

    async def publish(self, subject: str, payload: bytes) -> None: ...


class Bot(Protocol):
    """`send` returns the platform's own id of what it sent, or raises TryLater, GiveUp (this message never) or Gone
    (that place never again); anything else it raises counts as TryLater and is logged as a bug. `run` is the
    listening side; it returns at the end only.

    A bot may also have `async def check(self, destination)`: GiveUp where it would never send to that address,
    TryLater where it cannot tell now. It sends nothing. And `invite`, once it knows its name there: the address of a
    page that opens a private talk with it, with {code} in the place of what the talk begins with."""

    async def run(self, hub: Hub) -> None: ...
    async def send(self, message: Message) -> str: ...


class BotModule(Protocol):
    Settings: type[msgspec.Struct]
    PLATFORMS: Sequence[str]

    def open_bot(self, settings: Any) -> Bot: ...


__all__ = [
    "Added",
    "AlertView",
    "Armed",
    "Backtest",
    "BadRequest",
    "Bar",
    "Bot",
    "BotModule",
    "Catalogue",
    "Command",
    "Context",
    "DestinationView",
    "Emit",
    "EmitCandles",
    "Feed",
    "GiveUp",
    "Gone",
    "Hub",
    "Last",
    "Line",
    "Message",
    "Nature",
    "Quote",
    "Refused",
    "Reply",
    "Request",
    "Tick",
    "Tried",
    "TryLater",
    "User",
]
