"""Alerts, what changes them, what rings, and what is sent of it."""

from enum import StrEnum
from typing import Literal

from hub.model.base import Noun
from hub.model.market import Nature


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
