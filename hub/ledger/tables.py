"""The ledger's tables: people, where to reach them, their alerts, what rang, what is on its way.

Times are microseconds UTC. Columns for the whole life of an alert are here from the start, also those that
the engine does not use yet. A change here needs a migration in `migrations/versions` and a new REVISION; a test
holds the two together.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISION = "0006"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
DUE, DEAD, HELD = text("state = 'due'"), text("state = 'dead'"), text("state = 'held'")
Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only INTEGER keys

owners = Table(
    "owners",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", String(16), nullable=False),  # user, channel
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("time_zone", String(64), nullable=False, server_default="UTC"),
    Column("language", String(16), nullable=False, server_default="en"),  # empty: what their client speaks
    Column("created_at", BigInteger, nullable=False),
    # how totals, metals and charts are shown; empty: as each instrument is
    Column("currency", String(8), nullable=False, server_default=""),
    Column("weight", String(16), nullable=False, server_default=""),
    Column("theme", String(32), nullable=False, server_default=""),
    Column("quiet", String(16), nullable=False, server_default=""),  # "22:00-07:00" by their clock; empty: never
    Index(None, "owner_id"),
)

identities = Table(
    "identities",
    metadata,
    Column("platform", String(32), primary_key=True),
    Column("external_id", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("address", Text, nullable=False, server_default=""),  # secret: of their private talk, where there is one
    Index(None, "user_id"),
)

places = Table(  # groups and channels
    "places",
    metadata,
    Column("platform", String(32), primary_key=True),
    Column("external_id", String(255), primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),  # of its alerts
    Column("user_id", ForeignKey("users.id"), nullable=False),  # nobody: holds its time zone and language
    Column("name", Text, nullable=False, server_default=""),
    Column("who_may", String(16), nullable=False, server_default="admins"),  # set alerts there: admins, everyone
    Column("detect", Boolean, nullable=False, server_default="0"),  # whether $SYM and #gold are answered
    Column("created_at", BigInteger, nullable=False),
)

codes = Table(  # that can be used once, to join identities or to become the operator
    "codes",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id")),  # who made it; null: the hub, for its operator
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "user_id"),
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),
    Column("platform", String(32), nullable=False),
    Column("address", Text, nullable=False),  # secret
    Column("label", Text, nullable=False),
    Column("disabled", Text, nullable=False, server_default=""),  # why, or empty
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("owner_id", "platform", "address"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("text", Text, nullable=False),  # canonical line; the engine parses it again at start
    Column("instrument", String(64), nullable=False),
    Column("series", Text, nullable=False),  # the series' key
    Column("note", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("resume_state", String(16), nullable=False, server_default=""),  # what snoozed, paused or muted goes back to
    Column("generation", Integer, nullable=False, server_default="0"),
    # which halves wait to fire: unknown (null) until the first value after arming
    Column("up_armed", Boolean),
    Column("down_armed", Boolean),
    Column("armed_stream", String(64), nullable=False, server_default=""),  # bound to this stream ...
    Column("armed_sequence", BigInteger, nullable=False, server_default="0"),  # ... after this sequence
    Column("armed_at", BigInteger, nullable=False),
    Column("armed_price", Float),
    Column("memory", Text),  # of what is more than a level: hub.rules.course.Memory as JSON
    Column("cooling_until", BigInteger),  # stream time
    Column("cost", Integer, nullable=False, server_default="1"),  # what it counts against its owner's limit
    Column("snoozed_until", BigInteger),
    Column("muted_until", BigInteger),  # of a muted one; null: until somebody says so
    Column("expires_at", BigInteger),
    Column("blind_since", BigInteger),  # its instrument, or a currency of it, has had no price since then
    Column("last_fired_at", BigInteger),
    Column("urgent", Boolean, nullable=False, server_default="0"),
    Column("via", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index(None, "owner_id"),
    Index(None, "state"),
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", Key, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False),
    Column("at", BigInteger, nullable=False),  # wall time
    Column("text", Text, nullable=False),  # in plain words: "snoozed until 14:00 by anna"
    Index(None, "alert_id"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("id", Key, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("direction", String(4), nullable=False),
    Column("level", Float, nullable=False),
    Column("before_price", Float),
    Column("before_time", BigInteger),
    Column("price", Float, nullable=False),
    Column("venue_time", BigInteger),
    Column("received_at", BigInteger, nullable=False),
    Column("rang_at", BigInteger, index=True),  # the stream's clock; null: it rang before this was kept
    Column("source", Text, nullable=False),
    Column("nature", String(16), nullable=False),
    Column("late", Boolean, nullable=False),
    Column("title", Text, nullable=False, server_default=""),  # what happened, in a line
    Column("detail", Text, nullable=False, server_default=""),  # what else belongs to the evidence, in lines
    Column("stream", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("ticked_at", BigInteger, nullable=False),  # wall time at which the tick entered the hub
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("alert_id", "generation"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Key, primary_key=True),
    Column("key", String(128), nullable=False, unique=True),  # "alert:12:3:7": alert, generation, destination
    Column("destination_id", ForeignKey("destinations.id"), nullable=False),
    Column("alert_id", ForeignKey("alerts.id")),
    Column("trigger_id", ForeignKey("triggers.id")),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(8), nullable=False),  # due, held (through quiet hours), sent, dead, moved
    Column("due_at", BigInteger, nullable=False),  # wall time from which it may be sent
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("claimed_by", String(64), nullable=False, server_default=""),
    Column("claimed_until", BigInteger, nullable=False, server_default="0"),
    Column("message_id", String(64), nullable=False, server_default=""),  # what was sent together shares one
    Column("receipt", Text, nullable=False, server_default=""),  # the platform's id of what was sent
    Column("reason", Text, nullable=False, server_default=""),  # why it waits or was given up
    Column("created_at", BigInteger, nullable=False),
    Column("held_until", BigInteger),  # the end of the quiet hours that held it
    Column("settled_at", BigInteger),  # when it was sent or given up
    Index("ix_notifications_waiting", "destination_id", "id", sqlite_where=DUE, postgresql_where=DUE),
    Index("ix_notifications_dead", "id", sqlite_where=DEAD, postgresql_where=DEAD),
    Index("ix_notifications_held", "due_at", sqlite_where=HELD, postgresql_where=HELD),
    Index(None, "alert_id"),
    Index(None, "trigger_id"),  # so that removing a trigger does not look at every notification
)

watchlists = Table(
    "watchlists",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),
    Column("name", String(32), nullable=False),  # empty: the person's own list
    Column("instruments", Text, nullable=False),  # ids in order, a space between
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("owner_id", "name"),
)

lots = Table(
    "lots",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),
    Column("portfolio", String(32), nullable=False),  # empty: the person's own
    Column("instrument", String(64), nullable=False),
    Column("quantity", Float, nullable=False),  # of the instrument's own unit, pure metal
    Column("wrote", Text, nullable=False),  # as the person counts it: "10 g 22k", "0.5"
    Column("cost", Float),  # of the whole lot; null: not known
    Column("currency", String(8), nullable=False),  # of the cost
    Column("bought_on", String(10), nullable=False),  # a day is a day in no time zone: "2024-03-01"
    Column("note", Text, nullable=False, server_default=""),
    Column("sold_on", String(10), nullable=False, server_default=""),  # empty: it is held
    Column("proceeds", Float),  # of the whole lot
    Column("proceeds_currency", String(8), nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),  # taken away by its owner, who may take that back
    Index(None, "owner_id"),
)

digests = Table(
    "digests",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("at_s", Integer, nullable=False),  # seconds of the local day
    Column("weekdays", String(7), nullable=False),  # digits, Monday is 0: "01234"
    Column("about", String(16), nullable=False),  # all, watch, portfolio
    Column("destination_id", ForeignKey("destinations.id")),  # null: all that are on
    Column("time_zone", String(64), nullable=False),  # that next_at was reckoned in
    Column("next_at", BigInteger, nullable=False),
    Column("last_at", BigInteger),
    Column("last_seen", Text, nullable=False, server_default=""),  # the prices and values that it told last, as JSON
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "owner_id"),
    Index(None, "next_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("epoch", BigInteger, nullable=False),  # grows by one with each new holder
    Column("until", BigInteger, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    Column("reader", String(64), primary_key=True),
    Column("stream", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("clock", BigInteger, nullable=False),
    Column("book", String(128), nullable=False, server_default="engine"),  # in which its prices there are
)

tries = Table(
    "tries",
    metadata,
    Column("reader", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("count", Integer, nullable=False),
)

prices = Table(  # the newest that an engine has seen, at its position
    "prices",
    metadata,
    Column("book", String(128), primary_key=True),
    Column("key", String(255), primary_key=True),  # the series'
    Column("value", Float, nullable=False),
    Column("venue_time", BigInteger),
    Column("received_at", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("live", Boolean, nullable=False, server_default="1"),  # its market is open, and it is not stale
    Column("stale_since", BigInteger),
    Column("sides", Text),  # what is known beside the price: hub.rules.roots.Sides as JSON
)

splits = Table(  # of stocks; prices before that day count denominator/numerator times as much
    "splits",
    metadata,
    Column("id", Key, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("day", String(10), nullable=False),  # the first day at the new price: "2014-06-09", from 00:00 UTC on
    Column("numerator", Integer, nullable=False),  # new shares ...
    Column("denominator", Integer, nullable=False),  # ... for so many old ones
    Column("told_by", Text, nullable=False, server_default=""),  # who, or which feed
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("instrument", "day"),
)

split_marks = Table(  # which engines have moved their levels over a split
    "split_marks",
    metadata,
    Column("reader", String(64), primary_key=True),
    Column("split_id", ForeignKey("splits.id"), primary_key=True),
)

gaps = Table(  # times in which an instrument had no price in open hours
    "gaps",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner_id", ForeignKey("owners.id"), nullable=False),  # who has alerts on it
    Column("instrument", String(64), nullable=False),
    Column("since", BigInteger, nullable=False),  # stream time of the last price before
    Column("until", BigInteger),  # and of the first one behind; null: it goes on
    Column("told", Boolean, nullable=False, server_default="0"),  # its owner has heard that it is blind
    Column("looked_at", BigInteger),  # when it was found out, and told, what happened meanwhile
    Index(None, "looked_at"),
    Index(None, "owner_id"),
)

facts = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
