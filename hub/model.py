"""The nouns of the hub: frozen structs that every room shares.

Times are integers of microseconds since 1970 UTC. Prices are float64 in the instrument's currency for
one of its unit (a troy ounce of gold, one bitcoin). Nothing here does anything; it depends on msgspec only.
"""

from enum import IntEnum, StrEnum
from typing import Literal

import msgspec

SECOND_US = 1_000_000


class Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all nouns are: frozen, named fields, and an unknown field is refused rather than dropped."""


# ---------------------------------------------------------------------------------------------- markets


class Kind(IntEnum):
    """What a tick reports: something that was traded, or what somebody offers to trade at."""

    TRADE = 0
    QUOTE = 1


class Verdict(IntEnum):
    """What the arbiter said of a tick. Only ticks below `MOVES` move the price; all are stored."""

    PRICE = 0  # from the speaking source, of the instrument's price basis
    CONFIRMED = 1  # was held as an outlier and then confirmed; moves the price when it is let go
    ASIDE = 2  # the speaking source's other kind (a trade where the basis is mid, a quote where it is last)
    STANDBY = 3  # from a source that does not speak for the instrument now
    LATE = 4  # older than the newest stamped tick of its source and kind; corrects its candle only
    OUTLIER = 5  # left the recent range and nothing confirmed it
    CLOSED = 6  # arrived while the instrument's session is closed


MOVES = 2
"""Verdicts below this one move the price, the Quote and the ladder."""


class Nature(StrEnum):
    """Where a source's prices come from; whatever is not live is said wherever it is shown."""

    LIVE = "live"
    POLLED = "polled"
    SIMULATED = "simulated"
    RECORDING = "recording"


class Tick(Noun, frozen=True, kw_only=True, gc=False):
    """One update of one instrument by one source, as a feed emits it and as history returns it.

    A trade has `price`; a quote has `bid` and `ask`, and its price is their mid. `venue_time` is absent
    where the vendor stamps none. `number` is the vendor's own growing number (trade id, update id, line of
    a recording), counted per (source, instrument, kind); ingest drops what it already has by it, so set
    it only where the vendor promises that it grows. `received_at` is stamped by ingest, unless the feed is
    a recording that keeps its own times. `source` is the feed's name unless the feed sets it.
    """

    instrument: str
    kind: Kind
    price: float | None = None
    bid: float | None = None
    ask: float | None = None
    volume: float | None = None
    venue_time: int | None = None
    received_at: int | None = None
    source: str = ""
    number: int | None = None
    verdict: Verdict = Verdict.PRICE


class Refused(Noun, frozen=True, kw_only=True, gc=False):
    """What a feed got and could not take as a tick. `reason` is a short fixed phrase that is counted
    ("broken JSON", "bid above ask"); `sample` is for the log, cut to what is safe to show. `number` is as
    on Tick, for feeds that resume (lane: instrument "" and kind absent)."""

    reason: str
    sample: str = ""
    number: int | None = None
    instrument: str = ""


class Session(Noun, frozen=True, kw_only=True):
    """Weekly open windows in a time zone. `windows` holds (weekday Monday=0, start, end) in seconds of the
    local day, end 86,400 = midnight; no windows = open around the clock. `holidays` are local ISO dates."""

    time_zone: str = "UTC"
    windows: tuple[tuple[int, int, int], ...] = ()
    holidays: tuple[str, ...] = ()


class Instrument(Noun, frozen=True, kw_only=True):
    id: str  # "XAU-USD", "AAPL": upper case letters, digits, "-", "." and "_"
    name: str  # "Gold"
    aliases: tuple[str, ...] = ()
    class_: Literal["metal", "crypto", "fx", "stock", "other"] = msgspec.field(default="other", name="class")
    currency: str = "USD"
    unit: str = ""  # "troy ounce" for metals
    decimals: int = 2  # of a displayed price
    basis: Literal["last", "mid"] = "last"
    session: str = "24x7"  # a name in instruments.SESSIONS
    outlier: float = 0.05  # share of the recent range's edge beyond which a tick is held
    stale_after_s: float = 60.0  # silence in open hours after which the instrument is blind


class Quote(Noun, frozen=True, kw_only=True):
    """The newest price of an instrument with its day (the UTC day). Published on core NATS; may be dropped."""

    instrument: str
    price: float
    bid: float | None = None
    ask: float | None = None
    time: int  # venue_time of the tick that set the price, else its received_at
    received_at: int
    source: str
    nature: Nature = Nature.LIVE
    open: float
    high: float
    low: float
    previous: float | None = None  # the previous day's close, where history knows it
    market_open: bool = True
    stale_since: int | None = None


class Candle(Noun, frozen=True, kw_only=True, gc=False):
    """One interval of an instrument's price. `sum` and `sum_squares` are of (price - open), so that mean and
    standard deviation come from candles without cancellation. `volume` is the sum of what ticks stated."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    count: int
    sum: float
    sum_squares: float


class Summary(Noun, frozen=True, kw_only=True):
    """What the price of an instrument did in [start, end), over every tick that moved it. `open` and `close` are the
    first and last such price in it. Shares are of one: 0.02 is 2 %."""

    instrument: str
    start: int
    end: int
    count: int
    open: float
    high: float
    low: float
    close: float
    mean: float  # of the ticks, each counting once
    stddev: float  # of the ticks, of the population
    volume: float  # what the ticks stated; 0 where no source states volumes
    change: float  # close - open, as a share of the open
    drawdown: float  # the deepest fall below a peak before it, as a share of the peak; 0 or more
    volatility: float | None = None  # yearly; hub.history.statistics says how. Absent where there are too few candles


class Mover(Noun, frozen=True, kw_only=True):
    """How much an instrument moved, for rankings."""

    instrument: str
    change: float  # as a share
    volatility: float | None = None  # as in Summary


class Rate(Noun, frozen=True, kw_only=True):
    """What one of a currency costs in another, by live prices. `received_at` is of the oldest price in it, `legs` are
    the instruments that it came from; none for a currency in itself."""

    value: float
    received_at: int | None = None
    legs: tuple[str, ...] = ()
    stale: bool = False  # one of the legs is


# ----------------------------------------------------------------------------------------------- people


class Role(StrEnum):
    OPERATOR = "operator"
    ADMIN = "admin"
    MEMBER = "member"
    GUEST = "guest"


class Who(Noun, frozen=True, kw_only=True):
    """Somebody as a platform names them: what a bot sends along with a line. `place` is the channel or
    group the line was written in, empty in a private talk. `address` is where the bot sends what is for that place,
    or in a private talk for that person (Destination.address); empty where it cannot. `admin`: the platform says that
    they administer the place. `language` is what their client speaks, as a hint ("de", "pt-BR")."""

    platform: str
    id: str
    name: str = ""
    place: str = ""
    place_name: str = ""
    address: str = ""
    admin: bool = False
    language: str = ""


class User(Noun, frozen=True, kw_only=True):
    id: int
    name: str
    role: Role = Role.MEMBER
    owner_id: int  # the owner row that holds this user's own alerts
    time_zone: str = "UTC"
    currency: str = ""  # that totals and charts are shown in; empty: the instrument's own
    weight: str = ""  # that metals are shown in, a name in hub.units.GRAMS; empty: the instrument's own
    theme: str = ""  # of charts: "", "light", "dark", each with "red-up" behind it if wanted
    language: str = ""  # that replies are in, one of hub.i18n.LANGUAGES; empty: what their client speaks
    quiet: str = ""  # hours of their clock in which they want to be left alone, "22:00-07:00"; empty: none


class Place(Noun, frozen=True, kw_only=True):
    """A group or channel, which owns the alerts that are set in it. `user_id` is a row of nobody's that holds its time
    zone and language, so that what belongs to it needs no person."""

    owner_id: int
    user_id: int
    platform: str
    id: str  # as in Who.place
    name: str = ""
    who_may: Literal["admins", "everyone"] = "admins"  # set alerts there
    detect: bool = False  # whether $SYM and #gold in any message there are answered


class Destination(Noun, frozen=True, kw_only=True):
    id: int
    owner_id: int
    platform: str  # which bot sends it: "console", "push", "webhook", ...
    address: str  # the platform's own: a user name, an apprise URL, a webhook URL. Secret; never logged.
    label: str  # how it is shown to people, without secrets
    disabled: str = ""  # why it is switched off


# --------------------------------------------------------------------------------------- personal things


class WatchList(Noun, frozen=True, kw_only=True):
    """Instruments that somebody looks at together, in their order. The name "" is the list that needs none."""

    name: str
    instruments: tuple[str, ...]


class Split(Noun, frozen=True, kw_only=True):
    """Of a stock: `numerator` new shares for `denominator` old ones, from the instant `at` on. `day` is that day where
    the instrument is traded; `told_by` who said so, a person or a feed."""

    id: int
    instrument: str
    day: str
    numerator: int
    denominator: int
    at: int
    told_by: str = ""

    @property
    def factor(self) -> float:
        """By which a price from before it counts."""
        return self.denominator / self.numerator

    @property
    def ratio(self) -> str:
        return f"{self.numerator}:{self.denominator}"


class Lot(Noun, frozen=True, kw_only=True):
    """Something that was bought at once and is held, or was sold at once. Days are ISO dates of the person's own
    calendar; money is of the whole lot."""

    id: int = 0
    portfolio: str = ""
    instrument: str
    quantity: float  # of the instrument's own unit; of metals the pure weight
    wrote: str  # how the person counts it: "10 g 22k", "0.5"
    cost: float | None = None  # None: not known
    currency: str  # of the cost
    bought_on: str
    note: str = ""
    sold_on: str = ""  # empty: it is held
    proceeds: float | None = None
    proceeds_currency: str = ""


class Digest(Noun, frozen=True, kw_only=True):
    """A summary that is sent by the clock. `last_seen` is what hub.digests told last, to tell what changed since."""

    id: int = 0
    owner_id: int
    user_id: int
    at_s: int  # seconds of the local day
    weekdays: str  # digits, Monday is 0: "01234"
    about: Literal["all", "watch", "portfolio"] = "all"
    destination_id: int | None = None  # None: all that are on
    time_zone: str  # that `next_at` was reckoned in
    next_at: int
    last_at: int | None = None
    last_seen: str = ""
    enabled: bool = True


# ----------------------------------------------------------------------------------------------- alerts


class State(StrEnum):
    """The whole life of an alert."""

    ARMED = "armed"
    DWELLING = "dwelling"  # its condition holds, and has to last or to be confirmed
    FIRED = "fired"  # waits behind its band to be armed again
    COOLING = "cooling"  # rang, and is silent for as long as it said
    DONE = "done"
    SNOOZED = "snoozed"
    PAUSED = "paused"  # until somebody says so: it rang too often, or was told to
    MUTED = "muted"
    EXPIRED = "expired"
    BLIND = "blind"  # shown instead of any of the above while what it watches has no price
    DELETED = "deleted"


class Alert(Noun, frozen=True, kw_only=True):
    """One alert as its owner sees it. `text` is its canonical line in the alert language."""

    id: int
    owner_id: int
    user_id: int
    text: str
    instrument: str
    state: State
    generation: int = 0  # how often it has fired
    armed_at: int  # wall time
    armed_price: float | None = None  # the price it was armed against; unknown before the first tick
    snoozed_until: int | None = None  # of a muted one: the snooze beneath
    muted_until: int | None = None  # of a muted one; None: until it is taken back
    cooling_until: int | None = None  # of one that is cooling; stream time
    expires_at: int | None = None  # stream time
    blind_since: int | None = None  # what it watches has had no price since then, in open hours
    urgent: bool = False
    cost: int = 1  # what it counts against its owner's limit
    last_fired_at: int | None = None  # stream time
    created_at: int
    note: str = ""


class Glance(Noun, frozen=True, kw_only=True):
    """One part of an alert as the engine sees it now: its series, and what would make it true."""

    value: float | None = None  # of the series; what it was last, where it has none now
    live: bool = False  # that is its value now
    received_at: int | None = None
    rise: float | None = None  # rings at that value or above
    fall: float | None = None  # and at that or below
    true: bool = False
    then: float | None = None  # what the value is measured against, and when that was
    then_at: int | None = None
    quiet: tuple[str, ...] = ()  # instruments below it that have no price now


class Look(Noun, frozen=True, kw_only=True):
    """What an alert is waiting for, as the engine sees it now; part by part, in the order of its clauses."""

    alert_id: int
    parts: tuple[Glance, ...]
    holding_since: int | None = None  # since when its condition holds, which has to last
    second_until: int | None = None  # of "then": until when the second counts


class AlertChange(Noun, frozen=True, kw_only=True):
    """A request to the engine, on `engine.alerts`: the only way to change an alert. Whoever asks has been
    authorised; the engine checks only that the alert belongs to `owner_id`. "look" changes nothing."""

    action: Literal[
        "create", "again", "edit", "snooze", "wake", "pause", "mute", "unmute", "delete", "restore", "adopt", "look"
    ]
    owner_id: int
    user_id: int
    user_name: str = ""  # for the alert's history
    alert_id: int = 0
    alert_ids: tuple[int, ...] = ()  # of "look"
    line: str = ""  # of "create" and "edit": in the alert language
    was: str = ""  # of "edit": the line that it was made from; refused where the alert says something else by now
    instrument: str = ""  # of "mute" and "unmute": all of the owner's alerts on it
    until: int | None = None  # of "snooze" and "mute": wall time; a mute without it lasts until it is taken back
    fire_now: bool = False  # of "create": where the condition holds already, ring at once
    from_owner_id: int = 0  # of "adopt": whose alerts, and all else that they keep, become the owner's
    from_user_id: int = 0  # of "adopt": who is no more then


class Armed(Noun, frozen=True, kw_only=True):
    """The engine's answer. `price` is the value of its first series, which a new alert was armed against;
    `already_true`: its condition holds now, so it waits for the next cross; `behind` counts frames that the engine has
    not read yet (it is armed at their end); `existed`: the owner has this very alert already, nothing was added. `look`
    comes with an alert that watches more than an instrument's own price."""

    alert: Alert
    price: float | None = None
    already_true: bool = False
    behind: int = 0
    existed: bool = False
    look: Look | None = None


class AlertAnswer(Noun, frozen=True, kw_only=True):
    """What `engine.alerts` replies: one of these. `error` is a sentence for the person who asked; `alerts` answers
    "mute" and "unmute"; `moved` answers "adopt": rows by table; `looks` answers "look"."""

    error: str = ""
    armed: Armed | None = None
    alerts: tuple[Alert, ...] | None = None
    moved: dict[str, int] | None = None
    looks: tuple[Look, ...] | None = None


class WouldRing(Noun, frozen=True, kw_only=True):
    """A moment of the past at which an alert would have rung."""

    at: int  # on the stream's clock
    value: float  # of the series of that part
    level: float
    direction: Literal["up", "down"]
    part: int = 0  # which of its clauses brought it


class Backtest(Noun, frozen=True, kw_only=True):
    """How often an alert would have rung in [start, end), armed at `start` against the price of then, and again each
    time behind its band. Times are microseconds."""

    count: int
    rings: tuple[WouldRing, ...] = ()  # the newest first, as many as are told
    asked: int  # where the span began that was asked for
    start: int
    end: int
    cut: Literal["", "history", "ticks", "room"] = ""
    """Why it begins later than asked: nothing older is stored; what is older is kept as candles, which cannot tell it;
    all of it would take too long."""
    ticks: int = 0  # prices that were gone through
    candles: dict[str, int] = {}  # rung → how many stood in for ticks
    coarse: bool = False  # there are finer prices, which would have taken too long
    closes: bool = False  # candles are all that it looks at
    lots: bool = False  # it is of a portfolio, as that is now

    @property
    def exact(self) -> bool:
        """Whether ticks would say the same."""
        return not self.candles or self.closes


class Trigger(Noun, frozen=True, kw_only=True):
    """The evidence of one firing. `before_*` is the tick before, absent if there was none."""

    id: int
    alert_id: int
    generation: int
    direction: Literal["up", "down"]
    level: float
    before_price: float | None = None
    before_time: int | None = None
    price: float
    venue_time: int | None
    received_at: int
    source: str
    nature: Nature = Nature.LIVE
    late: bool = False
    title: str = ""  # what happened, in a line
    detail: str = ""  # what else belongs to the evidence, in lines
    sequence: int  # of the frame in the stream


class Notification(Noun, frozen=True, kw_only=True):
    """One row of the outbox on its way to one destination, with all a bot needs to word it."""

    id: int
    alert_id: int | None
    trigger: Trigger | None = None
    instrument: str = ""
    instrument_name: str = ""
    currency: str = ""
    unit: str = ""
    decimals: int = 2
    title: str  # "Gold crossed above 2,400.00"
    text: str  # the evidence, in lines
    note: str = ""
    notice: bool = False  # about the alert, which did not ring
    urgent: bool = False  # its owner wants it before all others, and louder where the platform can
    nature: Nature = Nature.LIVE
    created_at: int  # wall time of the commit
    ticked_at: int | None  # wall time at which the tick entered the hub; none brought what somebody asked for
    held_until: int | None = None  # the end of the quiet hours through which it waited, wall time


class Message(Noun, frozen=True, kw_only=True):
    """What delivery asks a bot to send, on `send.<platform>`: everything due for one destination, oldest
    first. A bot remembers the ids of notifications it has sent and sends none of them twice."""

    id: str
    platform: str
    address: str
    title: str
    text: str  # plain text, ready to show; a richer bot words it from `notifications`
    notifications: tuple[Notification, ...]


class Receipt(Noun, frozen=True, kw_only=True):
    """A bot's answer to a Message. `outcome` "later" means: nothing was sent, ask again after
    `retry_after_s` (or by the hub's own back-off); "never": give up, `text` says why; "gone": the place itself takes
    nothing any more, or is at `moved_to` now."""

    outcome: Literal["sent", "later", "never", "gone"]
    text: str = ""  # the platform's own message id, or the reason
    retry_after_s: float | None = None
    moved_to: str = ""  # of "gone": an address; secret, as that of a destination


class Checked(Noun, frozen=True, kw_only=True):
    """A bot's answer to whether it would send to an address. Empty where nothing speaks against it."""

    refused: str = ""  # why it never will
    unsure: str = ""  # why it cannot tell now


# ---------------------------------------------------------------------------------------- conversations


class Button(Noun, frozen=True, kw_only=True):
    label: str
    line: str  # the command line it stands for; at most 64 bytes


class File(Noun, frozen=True, kw_only=True):
    """Something to keep: `name` has no folder in it. At most 4 MB."""

    name: str
    media_type: str
    content: bytes


class Argument(Noun, frozen=True, kw_only=True):
    """One thing that a command takes, for menus, completion and forms. A line holds the values in the order of the
    arguments, each behind its `lead` if it has one ("vs silver"); hub.forms makes it."""

    name: str  # a word in lower case: "instrument"
    about: str  # a few words for a person: "what to watch"
    kind: Literal["instrument", "instruments", "number", "choice", "span", "alert", "text"] = "text"
    choices: tuple[str, ...] = ()  # of a choice; at most 25
    required: bool = False
    lead: str = ""
    example: str = ""
    quoted: bool = False  # it stands in quotation marks in the line


class Form(Noun, frozen=True, kw_only=True):
    """What is still to be said: a platform shows it as its own form, or asks step by step. `values` is what was
    understood, by the argument's name. What comes out of it is a line that begins with `command`."""

    title: str
    command: str
    arguments: tuple[Argument, ...]
    values: dict[str, str] = {}


class MenuEntry(Noun, frozen=True, kw_only=True):
    name: str
    usage: str
    summary: str
    summaries: dict[str, str] = {}  # by language, where there is another than English
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...]
    role: Role  # the least that may run it
    private: bool = False  # its answers are for the asker alone, also where it is asked in a group


class Menu(Noun, frozen=True, kw_only=True):
    """What a hub can be asked, for a platform's own menus and completion; answered on the subject `menu`."""

    commands: tuple[MenuEntry, ...]
    instruments: tuple[Instrument, ...]  # those that are served


class Reply(Noun, frozen=True, kw_only=True):
    """What a command answers: what every platform can show. Table cells are text; the first row is the head. `image`
    is a PNG, and `lines` say in words what it shows. `ok` is false where the request was refused, and then `lines` say
    what to do instead."""

    title: str = ""
    lines: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    image: bytes | None = None
    file: File | None = None
    buttons: tuple[Button, ...] = ()
    form: Form | None = None  # offered with the rest; a platform without forms leaves it out
    private: bool = False  # for the asker's eyes: not into a group where the platform can help it
    replace: bool = False  # in the place of the message whose button was pressed
    ok: bool = True
    facts: dict[str, object] = {}  # the same answer for programs (`tocsin ask --json`)


class Line(Noun, frozen=True, kw_only=True):
    """A line of text from somebody, on its way to `commands`."""

    text: str
    who: Who


class Request(Noun, frozen=True, kw_only=True):
    """A line after it was split and authorised: what `command.<name>` receives. In a group or channel `user` has the
    name and the role of the person who asks, and else what is the place's: owner, time zone, how things are shown."""

    name: str
    arguments: str  # what stands behind the command's name
    user: User
    who: Who
    place: Place | None = None  # that the line is about; None where it is about the person
    may_change: bool = True  # what belongs to the place: its alerts, lists and digests
