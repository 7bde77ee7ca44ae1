"""People, where they are reached, and what they keep beside alerts."""

from enum import StrEnum
from typing import Literal

from hub.model.base import Noun


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


class WatchList(Noun, frozen=True, kw_only=True):
    """Instruments that somebody looks at together, in their order. The name "" is the list that needs none."""

    name: str
    instruments: tuple[str, ...]


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
