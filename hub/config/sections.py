"""The sections of `config.toml` as typed structs, with their defaults."""

from pathlib import Path
from typing import Any, Literal

import msgspec

BUILT_IN_SOURCE = "built-in settings"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class HubSection(Section, frozen=True):
    data: str = "data"  # folder for everything the hub keeps; relative to the configuration file
    log: Literal["auto", "text", "json"] = "auto"  # auto: text on a terminal, JSON lines elsewhere
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    roles: tuple[str, ...] = ("ingest", "record", "alert", "deliver", "commands", "bots")
    time_zone: str = "UTC"  # of people who have not said theirs
    default_role: Literal["member", "guest"] = "member"  # of people whom nobody gave a role; guests only look


class BusSection(Section, frozen=True):
    url: str = ""  # empty: an embedded nats-server; else "nats://host:4222,nats://other:4222"
    token: str = ""  # from TOCSIN_BUS_TOKEN or TOCSIN_BUS_TOKEN_FILE only
    port: int = 0  # of the embedded server; 0 = any free one
    max_mb: int = 2048  # of the embedded server's store
    sync: str = "2m"  # how often the embedded server syncs to disk; "always" survives a power cut


class HistorySection(Section, frozen=True):
    url: str = ""  # empty: SQLite in the data folder; else "postgresql://user@host:5432/database"
    password: str = ""  # from TOCSIN_HISTORY__PASSWORD or TOCSIN_HISTORY__PASSWORD_FILE only
    timescale: Literal["auto", "yes", "no"] = "auto"  # auto: where the server has the extension
    connections: int = 4  # to PostgreSQL at most, beside the writer's own
    ticks_for: int = 0  # days; 0 = for ever
    synchronous: Literal["normal", "full"] = "normal"  # of SQLite


class LedgerSection(Section, frozen=True):
    url: str = ""  # empty: SQLite in the data folder; else "postgresql://user@host:5432/database"
    password: str = ""  # from TOCSIN_LEDGER__PASSWORD or TOCSIN_LEDGER__PASSWORD_FILE only


class CacheSection(Section, frozen=True):
    url: str = ""  # empty: in the process; else "redis://host:6379/0" or "rediss://…"
    password: str = ""  # from TOCSIN_CACHE__PASSWORD or TOCSIN_CACHE__PASSWORD_FILE only


class ChartsSection(Section, frozen=True):
    theme: str = "light"  # of people who have not said theirs: "light" or "dark", alone or with "red-up" or "blue-up"
    timeout_s: float = 15.0  # of drawing one


class AlertsSection(Section, frozen=True):
    band_percent: float = 0.05
    late_after_s: float = 5.0
    per_person: int = 1000  # what looks back counts five times, what is one alert's own ten times
    storm_rings: int = 15  # what rings more often in three minutes is paused; 0 = never
    lines_per_minute: int = 60


class DeliverySection(Section, frozen=True):
    group_for_ms: int = 0  # wait so long for more to the same destination before sending
    give_up_after_hours: float = 24.0
    fallback_after_minutes: float = 30.0  # then a message goes to its owner's next destination; 0 = never
    allow_private: bool = False  # webhook and push targets on loopback and private addresses


class FeedSection(Section, frozen=True):
    name: str
    module: str  # a module in plugins/feeds or an entry point of `tocsin.feeds`; the section's name by default
    enabled: bool = True
    symbols: dict[str, str] = {}  # instrument id → the vendor's own name
    mute_after_s: float = 60.0  # connected but silent for so long: restarted
    fresh_for_s: float = 15.0  # so long after a tick the source still speaks
    settings: Any = None  # the module's own, as they were written; checked; hub.load.settings_of makes its Settings


class BotSection(Section, frozen=True):
    name: str
    module: str
    enabled: bool = True
    settings: Any = None


class Config(Section, frozen=True):
    hub: HubSection = HubSection()
    bus: BusSection = BusSection()
    history: HistorySection = HistorySection()
    ledger: LedgerSection = LedgerSection()
    cache: CacheSection = CacheSection()
    charts: ChartsSection = ChartsSection()
    alerts: AlertsSection = AlertsSection()
    delivery: DeliverySection = DeliverySection()
    instruments: dict[str, dict[str, Any]] = {}  # changes to, or additions to, the catalogue
    prefer: dict[str, tuple[str, ...]] = {}  # instrument id → feed names in order of preference; default: file order
    feeds: tuple[FeedSection, ...] = ()  # in the order of the file
    bots: tuple[BotSection, ...] = ()
    folder: Path = Path()  # absolute data folder
    source: str = BUILT_IN_SOURCE  # the file it was read from, for the log


ROLES = HubSection().roles

SECTIONS: dict[str, type[Section]] = {
    "hub": HubSection,
    "bus": BusSection,
    "history": HistorySection,
    "ledger": LedgerSection,
    "cache": CacheSection,
    "charts": ChartsSection,
    "alerts": AlertsSection,
    "delivery": DeliverySection,
}
TABLES = ("instruments", "prefer", "feeds", "bots")
