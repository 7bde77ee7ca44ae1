"""A line of text to its reply: routing, rights, limits, isolation, and every command on a real bus and ledger."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import sqlalchemy as sa
import structlog.testing
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hub import bothost, load
from hub import bus as subjects
from hub import commands as module_under_test
from hub.backtest import Backtests
from hub.bus import Bus, connect
from hub.cache import Cache, open_cache
from hub.commands import Commands, Routed, may, route
from hub.config import AlertsSection, BotSection, Config, DeliverySection
from hub.delivery import Delivery, now_us
from hub.history import History, open_history
from hub.instruments import build_catalogue
from hub.ledger import Ledger, alerts, open_ledger, tables
from hub.market import Market
from hub.model import (
    SECOND_US,
    Alert,
    AlertAnswer,
    AlertChange,
    Armed,
    Line,
    Nature,
    Quote,
    Receipt,
    Reply,
    Request,
    Role,
    State,
    Trigger,
    Who,
)
from hub.personal import Personal
from hub.plugin import BadRequest, Command, Context
from hub.rules.language import canonical, parse
from hub.testing import check_command
from hub.waiting import waits_for
from plugins.commands.price import reasons
from plugins.commands.why import evidence as rang_last
from tests.waiting import until_true

# apprise's mail module imports one that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOW = 1_800_000_000 * SECOND_US  # 2027-01-15 08:00:00 UTC
SERVED = ("XAU-USD", "XAG-USD", "BTC-USDT")
OPERATOR = Who(platform="console", id="operator", name="operator")
ANNA = Who(platform="console", id="anna", name="anna")
STRANGER = Who(platform="telegram", id="77", name="stranger")


def quote(instrument: str, price: float, **more: Any) -> Quote:
    values: dict[str, Any] = {
        "time": NOW - 2 * SECOND_US,
        "received_at": NOW - 2 * SECOND_US,
        "source": "demo",
        "open": price * 0.99,
        "high": price * 1.01,
        "low": price * 0.98,
    }
    return Quote(instrument=instrument, price=price, **(values | more))


class FakeQuotes:
    def __init__(self, *quotes: Quote) -> None:
        self.by_id = {each.instrument: each for each in quotes}

    def get(self, instrument_id: str) -> Quote | None:
        return self.by_id.get(instrument_id)

    def all(self) -> Sequence[Quote]:
        return list(self.by_id.values())


class FakeCounters:
    """Counts; never forgets, as the test's clock stands still."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]


class FakeEngine:
    """Answers `engine.alerts` and writes what it says to the ledger, as the engine does; rings nothing."""

    def __init__(self, ledger: Ledger, quotes: FakeQuotes, find: Any) -> None:
        self.ledger, self.quotes, self.find = ledger, quotes, find
        self.changes: list[AlertChange] = []

    async def serve(self, payload: bytes) -> bytes:
        change = msgspec.json.decode(payload, type=AlertChange)
        self.changes.append(change)
        try:
            if change.action == "look":
                return msgspec.json.encode(AlertAnswer(looks=()))
            if change.action in ("mute", "unmute"):
                return msgspec.json.encode(AlertAnswer(alerts=await self.ledger.write(lambda c: self._mute(c, change))))
            return msgspec.json.encode(AlertAnswer(armed=await self.ledger.write(lambda c: self._apply(c, change))))
        except BadRequest as error:
            return msgspec.json.encode(AlertAnswer(error=error.text))

    def _mute(self, connection: sa.Connection, change: AlertChange) -> tuple[Alert, ...]:
        on = change.action == "mute"
        found = alerts.of_instrument(connection, change.owner_id, change.instrument, (State.ARMED, State.MUTED))
        for each in found:
            alerts.update(connection, each.id, {"state": "muted" if on else "armed", "muted_until": change.until})
        return tuple(each for each in (alerts.find(connection, one.id) for one in found) if each)

    def _apply(self, connection: sa.Connection, change: AlertChange) -> Armed:
        existed, price, already = False, None, False
        alert_id = change.alert_id
        if change.action == "create":
            spec = parse(change.line, self.find)
            clause = spec.first
            known = self.quotes.get(spec.instruments[0])
            price = known.price if known else None
            above = clause.condition == "above"
            already = price is not None and (price >= clause.level if above else price <= clause.level)
            same = sa.select(tables.alerts.c.id).where(
                tables.alerts.c.owner_id == change.owner_id, tables.alerts.c.text == canonical(spec)
            )
            found = connection.execute(same).scalar()
            existed = found is not None
            alert_id = found if found is not None else self._insert(connection, change, spec, price)
        else:
            changes: dict[str, dict[str, Any]] = {
                "snooze": {"state": "snoozed", "snoozed_until": change.until},
                "wake": {"state": "armed", "snoozed_until": None},
                "delete": {"state": "deleted"},
                "restore": {"state": "armed"},
                "again": {"state": "armed"},
                "edit": {"state": "armed", "text": canonical(parse(change.line, self.find)) if change.line else ""},
            }
            values = changes[change.action]
            mine = (tables.alerts.c.id == alert_id) & (tables.alerts.c.owner_id == change.owner_id)
            if not connection.execute(tables.alerts.update().where(mine).values(**values)).rowcount:
                raise BadRequest(f"you have no alert {alert_id}")
        stored = alerts.find(connection, alert_id)
        assert stored is not None
        return Armed(alert=stored, price=price, already_true=already, existed=existed)

    def _insert(self, connection: sa.Connection, change: AlertChange, spec: Any, price: float | None) -> int:
        level = spec.first.level
        known = {} if price is None else {"up_armed": price < level, "down_armed": price > level}
        key = connection.execute(
            tables.alerts.insert().values(
                owner_id=change.owner_id,
                user_id=change.user_id,
                text=canonical(spec),
                instrument=spec.instruments[0],
                series=f"price({spec.instruments[0]})",
                state="armed",
                armed_at=NOW,
                armed_price=price,
                created_at=NOW,
                **known,
            )
        ).inserted_primary_key
        assert key is not None
        return int(key[0])


class Room:
    """A serving Commands with all that it needs, and a person's side of the bus."""

    def __init__(
        self, bus: Bus, commands: Commands, engine: FakeEngine, quotes: FakeQuotes, history: History, cache: Cache
    ) -> None:
        self.bus, self.commands, self.engine, self.quotes = bus, commands, engine, quotes
        self.history, self.cache = history, cache

    async def say(self, text: str, who: Who = OPERATOR) -> Reply:
        return await self.bus.request(subjects.LINE, Line(text=text, who=who), Reply, 15)


@asynccontextmanager
async def room(
    server: Any,
    folder: Path,
    *more: Any,
    engine: bool = True,
    alerts: AlertsSection | None = None,
    clock: Callable[[], int] = lambda: NOW,
    served: Sequence[str] = SERVED,
) -> AsyncIterator[Room]:
    config = Config(folder=folder, alerts=alerts or AlertsSection())
    catalogue = build_catalogue({}, served)
    quotes = FakeQuotes(
        quote("XAU-USD", 2411.2), quote("BTC-USDT", 61_000.0, nature=Nature.SIMULATED, market_open=False)
    )
    async with (
        open_ledger(config) as ledger,
        open_history(config) as history,
        open_cache(config.cache) as cache,
        connect(server.url, server.token, "test") as bus,
    ):
        fake = FakeEngine(ledger, quotes, catalogue.find)
        commands = Commands(
            bus=bus,
            ledger=ledger,
            quotes=quotes,
            catalogue=catalogue,
            config=config,
            modules=[*load.commands(), *(cast(Command, each) for each in more)],
            market=Market(history, quotes, catalogue, cache, clock=clock),
            personal=Personal(ledger, clock, bus),
            backtests=Backtests(history, ledger, catalogue, band_percent=config.alerts.band_percent),
            counters=FakeCounters(),
            clock=clock,
        )
        async with commands.serving():
            if engine:
                async with bus.serve(subjects.alerts("engine"), fake.serve):
                    yield Room(bus, commands, fake, quotes, history, cache)
            else:
                yield Room(bus, commands, fake, quotes, history, cache)


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


# ---------------------------------------------------------------------------------------------- routing

NAMES = ("alert", "alerts", "help", "portfolio", "price")


def is_gold(word: str) -> bool:
    return word.lower() in ("gold", "xau-usd", "swiss franc")


@pytest.mark.parametrize(
    ("line", "routed"),
    [
        ("price gold", Routed("price", "gold")),
        ("/PRICE  gold ", Routed("price", "gold")),
        ("/price@tocsin_bot gold", Routed("price", "gold")),
        ("$gold", Routed("price", "gold")),
        ("Gold, silver", Routed("price", "Gold, silver")),
        ("swiss franc", Routed("price", "swiss franc")),
        ("gold > 2400", Routed("alert", "gold > 2400")),
        ("gold>2400", Routed("alert", "gold>2400")),
        ("nonsense crosses above 3", Routed("alert", "nonsense crosses above 3")),
        ("gold -1% in 30m", Routed("alert", "gold -1% in 30m")),
        ("gold +20 in 1h", Routed("alert", "gold +20 in 1h")),
        ("gold trails 3%", Routed("alert", "gold trails 3%")),
        ("gold every 10", Routed("alert", "gold every 10")),
        ("gold enters 1300..1310", Routed("alert", "gold enters 1300..1310")),
        ("gold drops 3% in 1h", Routed("alert", "gold drops 3% in 1h")),
        ("gold in eur", Routed("price", "gold in eur")),
        ("portfolio < 5000", Routed("alert", "portfolio < 5000")),
        ("portfolio in eur", Routed("portfolio", "in eur")),
        ("portfolio chart 90d", Routed("portfolio", "chart 90d")),
        ("help alert > 3", Routed("help", "alert > 3")),
        ("weather in berlin", Routed("weather", "in berlin")),
    ],
)
def test_a_line_finds_its_command(line: str, routed: Routed) -> None:
    """A command's name first, then a condition, then an instrument, then a command of another process."""
    assert route(line, NAMES, is_gold) == routed


@pytest.mark.parametrize("line", ["", "   ", "/", "x" * 501])
def test_an_empty_or_endless_line_is_refused(line: str) -> None:
    """With the reason."""
    with pytest.raises(BadRequest):
        route(line, NAMES, is_gold)


@given(st.text(max_size=600))
def test_any_line_is_routed_or_refused(line: str) -> None:
    """Nothing else is raised."""
    with suppress(BadRequest):
        assert route(line, NAMES, is_gold).name


def test_a_module_says_the_least_role_that_it_needs() -> None:
    """Members run what says nothing; guests only what says guest."""
    plain, for_admins = cast(Command, SimpleNamespace()), cast(Command, SimpleNamespace(ROLE=Role.ADMIN))
    assert may(Role.MEMBER, plain)
    assert not may(Role.GUEST, plain)
    assert not may(Role.MEMBER, for_admins)
    assert may(Role.OPERATOR, for_admins)
    assert may(Role.GUEST, load.command("price"))


# --------------------------------------------------------------------------------------------- contract


@pytest.mark.parametrize("name", load.names(load.COMMANDS))
async def test_every_command_keeps_the_contract(name: str, here: Room) -> None:
    """Usage, summary, and examples that run or are refused in words."""

    async def ask(line: str) -> Reply:
        return await here.say(line)

    await check_command(load.command(name), ask)


# ----------------------------------------------------------------------------------------------- prices


async def test_a_price_says_all_that_makes_it_doubtful(here: Room) -> None:
    """Age, day, simulated, closed; what has no price yet and what nobody serves are told apart."""
    reply = await here.say("price gold btc silver platinum")
    gold, btc = reply.table[1:]
    assert gold == ("Gold (XAU-USD)", "2,411.20 USD", "+1.01 %", "2,362.98", "2,435.31", "2 s ago", "")
    assert btc[6] == "simulated, market closed"
    assert any("XAG-USD" in line and "no price yet" in line for line in reply.lines)
    assert any("XPT-USD" in line and "no feed" in line for line in reply.lines)
    (first, _) = cast(list[Mapping[str, Any]], reply.facts["quotes"])
    assert (first["instrument"], first["time"], first["stale"]) == ("XAU-USD", "2027-01-15T07:59:58.000000Z", False)


def test_why_does_not_round_the_crossing_away() -> None:
    """Three prices that would look alike stay apart."""
    trigger = Trigger(
        id=1,
        alert_id=1,
        generation=1,
        direction="up",
        level=4177.2,
        before_price=4177.195,
        price=4177.205,
        venue_time=NOW,
        received_at=NOW,
        source="demo",
        nature=Nature.SIMULATED,
        sequence=1,
    )
    alert = Alert(
        id=1, owner_id=1, user_id=1, text="gold > 4177.2", instrument="XAU-USD", state=State.DONE, armed_at=NOW,
        created_at=NOW,
    )  # fmt: skip
    context = cast("Context", SimpleNamespace(catalogue=build_catalogue({}, SERVED), decimals_of=lambda _: 2))
    told = rang_last(context, alert, trigger, "UTC", NOW)
    assert "4,177.205 after 4,177.195 went up through 4,177.20 (demo, simulated)" in told


async def test_no_price_yet_says_why(here: Room) -> None:
    """With what each feed that is down says of itself, and where to go without a network."""
    down = {"name": "binance", "state": "waiting", "reason": "no network: cannot resolve stream.example"}
    assert reasons({"ingest": {"feeds": [{"name": "swissquote", "state": "live", "reason": ""}, down]}}) == [
        "The feed binance is down, and tries again: no network: cannot resolve stream.example.",
        "Meanwhile make demo shows the hub on a simulated market.",
    ]
    assert reasons({"ingest": {"feeds": [{"name": "binance", "reason": "HTTP 451"}]}}) == [
        "The feed binance is down, and tries again: HTTP 451."
    ]
    assert any("No feed runs" in line for line in (await here.say("price silver")).lines)
    assert not any("No feed runs" in line for line in (await here.say("price platinum")).lines)


async def test_a_name_alone_is_a_price_and_no_name_is_all(here: Room) -> None:
    """`gold` shows gold; `price` shows what is served."""
    assert [row[0] for row in (await here.say("gold")).table[1:]] == ["Gold (XAU-USD)"]
    assert len((await here.say("price")).table) == 3


async def test_an_old_price_is_stale_and_a_recording_shows_its_own_time(here: Room) -> None:
    """Silence in open hours is said; a recording's age in years is not."""
    old = NOW - 3_600 * SECOND_US
    here.quotes.by_id["XAU-USD"] = quote("XAU-USD", 2400.0, received_at=old)
    here.quotes.by_id["XAG-USD"] = quote("XAG-USD", 30.0, nature=Nature.RECORDING, time=old, received_at=old)
    gold, silver = (await here.say("price gold silver")).table[1:]
    assert (gold[5], gold[6]) == ("1 h ago", "stale")
    assert (silver[5], silver[6]) == ("07:00:00", "recording")


async def test_a_slip_of_the_pen_is_met_with_what_was_meant(here: Room) -> None:
    """A command that is nearly right, and a word that is nothing."""
    near = await here.say("prise gold")
    assert not near.ok
    assert "did you mean price" in near.lines[0]
    unknown = await here.say("qwertyuiop")
    assert not unknown.ok
    assert "qwertyuiop" in unknown.lines[0]


# ----------------------------------------------------------------------------------------------- alerts


async def test_an_alert_lives_from_a_line_to_its_undo(here: Room) -> None:
    """Set, listed, explained, silenced, woken, deleted, brought back; each told with its price."""
    made = await here.say("gold > 2500")
    assert made.ok
    assert any("2,411.20" in line and "88.80 (3.68 %) above" in line for line in made.lines)
    assert any("console" in line for line in made.lines)
    number = made.facts["id"]
    (row,) = (await here.say("alerts")).table[1:]
    assert row[0] == str(number)
    assert "2,500.00" in row[1]
    assert row[4] == "+3.68 %"
    why = await here.say(f"why {number}")
    assert any("rise by 3.68 % to 2,500.00" in line for line in why.lines)
    assert any("2 s ago" in line and "demo" in line for line in why.lines)
    silent = await here.say(f"snooze {number} until 10:00")
    assert silent.facts["snoozed_until"] == "2027-01-15T10:00:00.000000Z"
    assert "silent until 10:00:00" in (await here.say("alerts")).table[1][2]
    assert (await here.say(f"snooze {number} off")).facts["state"] == "armed"
    gone = await here.say(f"delete {number}")
    assert gone.buttons[0].line == f"delete {number} undo"
    assert (await here.say("alerts")).table == ()
    assert len((await here.say("alerts all")).table) == 2
    assert (await here.say(gone.buttons[0].line)).facts["state"] == "armed"
    assert [change.action for change in here.engine.changes] == ["create", "snooze", "wake", "delete", "restore"]


async def test_an_alert_that_holds_already_offers_to_ring_now(here: Room) -> None:
    """The line alone waits for the next cross; with `now` the engine is asked to ring at once."""
    reply = await here.say("alert gold > 2400")
    assert any("next cross" in line for line in reply.lines)
    (fire,) = (button for button in reply.buttons if button.label == "Fire now")
    assert fire.line.endswith(" now")
    await here.say(fire.line)
    assert [(change.fire_now, change.line) for change in here.engine.changes][1] == (True, "XAU-USD > 2400")


@pytest.mark.parametrize(
    ("condition", "state", "up", "down", "price", "words"),
    [
        ("gold > 2400", "armed", True, False, 2300.0, "Gold to rise by 4.35 % to 2,400.00"),
        ("gold > 2400", "fired", False, None, 2410.0, "Gold to fall to 2,398.80 first, then to rise to 2,400.00"),
        ("gold < 2400", "armed", False, True, 2500.0, "Gold to fall by 4.00 % to 2,400.00"),
        ("gold < 2400", "fired", None, False, 2390.0, "Gold to rise to 2,401.20 first, then to fall to 2,400.00"),
        ("gold crosses 2400", "armed", None, None, 2300.0, "Gold to rise by 4.35 % to 2,400.00"),
        ("gold crosses 2400", "fired", False, False, 2400.5, "Gold to leave 2,398.80 to 2,401.20 first"),
        ("gold > 2400", "done", False, None, 2410.0, "nothing: it has rung"),
        ("gold > 2400", "deleted", True, None, 2310.0, "delete 12 undo brings it back"),
        ("gold > 2400", "armed", True, None, None, "the first price of Gold"),
    ],
)
def test_what_an_alert_waits_for_is_said_with_its_numbers(
    condition: str, state: str, up: bool | None, down: bool | None, price: float | None, words: str
) -> None:
    """The way to go, behind the band first where it is, or why nothing is waited for."""
    catalogue = build_catalogue({}, SERVED)
    gold = catalogue.find("gold")
    alert = Alert(
        id=12,
        owner_id=1,
        user_id=1,
        text=condition,
        instrument=gold.id,
        state=State(state),
        armed_at=NOW,
        created_at=NOW,
    )
    said = waits_for(
        alert,
        parse(condition, catalogue.find),
        (up, down),
        None if price is None else quote(gold.id, price),
        None,
        get=catalogue.get,
        band_percent=0.05,
        zone="UTC",
        now=NOW,
    )
    assert words in said


async def test_a_level_far_away_is_set_and_asked_about(here: Room) -> None:
    """Ten times the price is rather a slip of the pen."""
    reply = await here.say("gold > 24000")
    assert reply.ok
    assert any("24,000.00 what you meant" in line for line in reply.lines)


async def test_the_same_and_nearly_the_same_alert_are_pointed_out(here: Room) -> None:
    """One adds nothing, the other would ring twice for one event."""
    await here.say("gold > 2500")
    assert "already" in (await here.say("gold > 2500")).title
    assert any("nearly the same" in line for line in (await here.say("gold > 2501")).lines)
    assert not any("nearly the same" in line for line in (await here.say("gold > 2600")).lines)


async def test_an_alert_without_a_price_yet_says_so(here: Room) -> None:
    """Silver has not ticked."""
    reply = await here.say("silver > 30")
    assert any("no price" in line.lower() for line in reply.lines)
    assert "first price" in " ".join((await here.say(f"why {reply.facts['id']}")).lines)


async def test_a_person_without_a_destination_is_told(here: Room) -> None:
    """An alert that rings nowhere is not passed over."""
    reply = await here.say("gold > 2500", STRANGER)
    assert any("nowhere" in line for line in reply.lines)


async def test_nobody_sees_or_changes_another_person_s_alerts(here: Room) -> None:
    """Neither list, nor why, nor delete."""
    number = (await here.say("gold > 2500")).facts["id"]
    assert (await here.say("alerts", ANNA)).table == ()
    for line in (f"why {number}", f"delete {number}", f"snooze {number} 2h"):
        assert not (await here.say(line, ANNA)).ok
    assert len((await here.say("alerts")).table) == 2


@pytest.mark.parametrize(
    "line",
    [
        "why",
        "why x",
        "delete",
        "delete 1 undone",
        "snooze 1",
        "snooze 1 5",
        "snooze 1 until 25:00",
        "alert",
        "alerts x",
    ],
)
async def test_what_cannot_be_done_is_explained(line: str, here: Room) -> None:
    """A refusal with an example; nothing reaches the engine."""
    reply = await here.say(line)
    assert not reply.ok
    assert reply.lines
    assert here.engine.changes == []


async def test_without_an_engine_nothing_is_changed_and_that_is_said(nats_server: Any, tmp_path: Path) -> None:
    """The commands answer while the engine is away."""
    async with room(nats_server, tmp_path / "hub", engine=False) as here:
        reply = await here.say("gold > 2500")
        assert not reply.ok
        assert "nothing was changed" in reply.lines[0]
        assert (await here.say("gold")).ok


# ----------------------------------------------------------------------------------------- destinations


class Listener:
    """A web server on this machine: what was posted to it, and the status that it answers."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response(status=self.status)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/s3cret-path"


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    made = Listener()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


@asynccontextmanager
async def push_bot(server: Any, *, allow_private: bool = True) -> AsyncIterator[None]:
    """bots/push.py as a hub hosts it; it serves when this is entered."""
    config = Config(
        bots=(BotSection(name="push", module="push"),), delivery=DeliverySection(allow_private=allow_private)
    )
    stop = asyncio.Event()
    host = asyncio.create_task(bothost.main("push", config, server.url, server.token, stop))
    try:
        async with connect(server.url, server.token, "waiting") as bus:

            async def told() -> list[bytes]:
                return await bus.scatter(subjects.STATUS, b"", 0.05)

            await until_true(told, 10)
        yield
    finally:
        stop.set()
        await host


@asynccontextmanager
async def reached(server: Any, folder: Path) -> AsyncIterator[Room]:
    """A room by the wall's clock with the real delivery."""
    async with room(server, folder, clock=now_us) as here:
        delivery = Delivery(here.bus, here.commands.ledger, here.commands.catalogue, DeliverySection(), "w")
        running = asyncio.create_task(delivery.run())
        try:
            yield here
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def states(here: Room) -> list[tuple[str, str]]:
    """State and reason of every notification, the oldest first."""
    n = tables.notifications.c
    query = sa.select(n.state, n.reason).order_by(n.id)
    return [(row[0], row[1]) for row in await here.commands.ledger.read(lambda c: c.execute(query).all())]


def spoken(reply: Reply) -> str:
    return "\n".join([reply.title, *reply.lines, *(cell for row in reply.table for cell in row), str(reply.facts)])


async def test_a_webhook_and_an_apprise_url_are_added_tried_and_listed(nats_server: Any, tmp_path: Path) -> None:
    """The test arrives at the server once; no reply and no log line holds the address, and all of them are private."""
    replies = []
    with structlog.testing.capture_logs() as logs:
        async with listening() as server, push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
            replies.append(await here.say(f"push add {server.url}"))
            replies.append(await here.say(f"push add json://127.0.0.1:{server.port}/s3cret-path"))
            assert [(reply.facts["id"], reply.facts["bot"]) for reply in replies] == [(2, True), (3, True)]
            replies.append(await here.say("push test 2"))
            assert (replies[2].facts["outcome"], replies[2].facts["text"]) == ("sent", "webhook: 200")
            replies.append(await here.say("push test 3"))
            assert (replies[3].facts["outcome"], replies[3].facts["text"]) == ("sent", "json: accepted")
            assert [body["title"] for body in server.bodies] == ["Tocsin test", "Tocsin test"]
            assert "A test that operator asked for at" in server.bodies[0]["text"]
            replies.append(await here.say("push"))
            assert [row[:4] for row in replies[4].table[1:]] == [
                ("1", "console", "console", "on"),
                ("2", "webhook", "webhook 127.0.0.1", "on"),
                ("3", "apprise", "push json 127…", "on"),
            ]
            assert [row[4].split()[0] for row in replies[4].table[1:]] == ["nothing", "sent", "sent"]
            assert replies[4].facts["bots_missing"] == ["console"]
    assert all(reply.ok and reply.private for reply in replies)
    assert "s3cret" not in "".join(map(spoken, replies)) + str(logs)


async def test_adding_again_changes_nothing(nats_server: Any, tmp_path: Path) -> None:
    """The same number, and said; a person's limit is said too."""
    async with push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        first = await here.say("push add https://hooks.example.org/a")
        again = await here.say("push add https://hooks.example.org/a")
        assert (again.facts["id"], again.facts["existed"], first.facts["existed"]) == (first.facts["id"], True, False)
        assert "already" in again.title
        for number in range(18):
            assert (await here.say(f"push add https://hooks.example.org/{number}")).ok
        full = await here.say("push add https://hooks.example.org/b")
        assert not full.ok
        assert "20 destinations" in full.lines[0]


async def test_a_private_address_is_refused_at_once_where_it_is_not_allowed(nats_server: Any, tmp_path: Path) -> None:
    """With the setting that permits it; a public one is added, and nothing is called for that."""
    private = (
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "https://10.0.0.7/x",
        "http://[::1]:8/x",
        "json://192.168.1.5/x",
    )
    async with push_bot(nats_server, allow_private=False), reached(nats_server, tmp_path / "hub") as here:
        for url in private:
            reply = await here.say(f"push add {url}")
            assert not reply.ok
            assert "allow_private under [delivery]" in reply.lines[0], url
        assert len((await here.say("push")).table) == 2
        assert (await here.say("push add https://hooks.example.org/a")).ok


@pytest.mark.parametrize(
    "words",
    [
        "add",
        "add s3cret",
        "add https://",
        "add https://host:99999/s3cret",
        "add https://a b",
        "add file:///etc/s3cret",
        "add syslog://s3cret",
        "add tgram://s3cret",
        "add json://hooks.example.org/?attach=/s3cret",
        "test",
        "test x",
        "test 99",
        "off 99",
        "remove 99",
        "remove 1",
        "list 1",
        "https://hooks.example.org/s3cret",
    ],
)
async def test_what_push_cannot_do_is_explained(words: str, nats_server: Any, tmp_path: Path) -> None:
    """What is no address, a scheme that touches this machine, a number that is not there; without the secret."""
    async with push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        reply = await here.say(f"push {words}")
        assert not reply.ok
        assert reply.lines
        assert "s3cret" not in spoken(reply)
        assert "logged" not in spoken(reply)
        assert len((await here.say("push")).table) == 2
        assert await states(here) == []


async def test_a_service_that_refuses_and_one_that_is_away_are_told_apart(nats_server: Any, tmp_path: Path) -> None:
    """404 is the end, 503 waits with its time; and what waits is behind what waits longer."""
    async with listening() as server, push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        await here.say(f"push add {server.url}")
        server.status = 404
        refused = await here.say("push test 2")
        assert (refused.ok, refused.facts["outcome"]) == (False, "given up")
        assert "the server answered 404" in refused.lines[0]
        server.status = 503
        waits = await here.say("push test 2")
        assert (waits.ok, waits.facts["outcome"], waits.facts["text"]) == (
            False,
            "waits",
            "webhook: the server answered 503",
        )
        assert "The next try is at" in waits.lines[1]
        assert "(1 waiting)" in (await here.say("push")).table[2][4]


async def test_without_its_bot_a_destination_is_added_and_waits(nats_server: Any, tmp_path: Path) -> None:
    """The reply, the list and the test say that no bot sends there."""
    async with reached(nats_server, tmp_path / "hub") as here:
        reply = await here.say("push add https://hooks.example.org/a")
        assert reply.ok
        assert (reply.facts["id"], reply.facts["bot"]) == (2, False)
        assert "not running" in reply.lines[0]
        assert "The webhook bot is not running" in " ".join((await here.say("push")).lines)
        assert "the webhook bot is not running" in " ".join((await here.say("push test 2")).lines)


async def test_off_keeps_silent_and_on_sends_what_waited(nats_server: Any, tmp_path: Path) -> None:
    """A destination that is off takes no test; what waited when it was switched off goes out when it is on again."""
    async with listening() as server, push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        await here.say(f"push add {server.url}")
        server.status = 503
        await here.say("push test 2")
        off = await here.say("push off 2")
        assert off.facts["disabled"] == "switched off by its owner"
        assert "on again: 1 notification." in " ".join(off.lines)
        assert not (await here.say("push test 2")).ok
        assert "push on 2" in " ".join((await here.say(f"push add {server.url}")).lines)
        server.status = 200
        assert (await here.say("push on 2")).facts["disabled"] == ""

        async def sent() -> bool:
            return await states(here) == [("sent", "webhook: the server answered 503")]

        await until_true(sent, 8)
        assert (await here.say("push off 1")).facts["platform"] == "console"
        assert "It goes to: webhook 127.0.0.1." in (await here.say("gold > 2500")).lines


async def test_what_is_held_is_told_and_goes_as_soon_as_quiet_hours_are_none(nats_server: Any, tmp_path: Path) -> None:
    """push counts it, off and on leave it held; other hours time it anew, and none sends it in one message."""
    async with listening() as server, push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        await here.say(f"push add {server.url}")
        hour = datetime.fromtimestamp(now_us() // SECOND_US, UTC).hour
        until = now_us() + 3600 * SECOND_US
        row = {"destination_id": 2, "text": "x", "state": "held", "due_at": until, "created_at": now_us()}
        rows = [{"key": f"alert:1:{n}:2", "title": f"Gold {n}", **row} for n in (1, 2)]
        await here.commands.ledger.write(lambda c: c.execute(tables.notifications.insert(), rows))
        listed = (await here.say("push")).table[2][4]
        assert listed.startswith("held until ") and listed.endswith(", your quiet hours (2 held through quiet hours)")
        assert "waits for that as well: 2 notifications." in " ".join((await here.say("push off 2")).lines)
        assert "when your quiet hours end: 2 notifications." in " ".join((await here.say("push on 2")).lines)
        nudges = await here.bus.client.subscribe(subjects.OUTBOX)
        await here.bus.client.flush()
        assert (await here.say(f"settings quiet {hour}-{(hour + 5) % 24}")).ok
        assert await states(here) == [("held", "")] * 2
        told = await here.say("settings")
        assert "held, and told together when they end" in " ".join(told.lines)
        await here.say("settings quiet none")
        await nudges.next_msg(5)
        await nudges.next_msg(5)

        async def sent() -> bool:
            return [state for state, _ in await states(here)] == ["sent", "sent"]

        await until_true(sent, 8)
        (body,) = server.bodies
        assert body["title"] == "2 messages in your quiet hours"
        assert [each["title"] for each in body["notifications"]] == ["Gold 1", "Gold 2"]


async def test_removing_gives_up_what_waits_and_forgets_the_address(nats_server: Any, tmp_path: Path) -> None:
    """With the reason; the number is not used again, and adding the same address makes a new destination."""
    async with listening() as server, push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        await here.say(f"push add {server.url}")
        server.status = 503
        await here.say("push test 2")
        gone = await here.say("push remove 2")
        assert (gone.ok, gone.facts["given_up"]) == (True, 1)
        assert await states(here) == [("dead", "removed by its owner")]
        assert len((await here.say("push")).table) == 2
        for words in ("test 2", "on 2", "remove 2"):
            assert "no destination 2" in (await here.say(f"push {words}")).lines[0]
        addresses = await here.commands.ledger.read(
            lambda c: list(c.scalars(sa.select(tables.destinations.c.address).order_by(tables.destinations.c.id)))
        )
        assert addresses == ["operator", "removed:2"]
        server.status = 200
        assert (await here.say(f"push add {server.url}")).facts["id"] == 3
        assert (await here.say("push test 3")).ok


async def test_a_removal_waits_for_what_is_on_its_way(nats_server: Any, tmp_path: Path) -> None:
    """A message that arrives is not called given up."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def send(_: bytes) -> bytes:
        began.set()
        await go_on.wait()
        return msgspec.json.encode(Receipt(outcome="sent", text="it arrived"))

    async with reached(nats_server, tmp_path / "hub") as here, here.bus.serve(subjects.send("webhook"), send):
        await here.say("push add https://hooks.example.org/a")
        testing = asyncio.create_task(here.say("push test 2"))
        await asyncio.wait_for(began.wait(), 5)
        removing = asyncio.create_task(here.say("push remove 2"))

        async def forgotten() -> bool:
            return len((await here.say("push")).table) == 2

        await until_true(forgotten, 5)
        assert not removing.done()
        go_on.set()
        assert ((await removing).facts["given_up"], (await testing).facts["outcome"]) == (0, "sent")
        assert await states(here) == [("sent", "")]


async def test_nobody_touches_another_person_s_destinations(nats_server: Any, tmp_path: Path) -> None:
    """Neither seen, nor tried, nor switched, nor removed; the same address may be both persons' own."""
    async with push_bot(nats_server), reached(nats_server, tmp_path / "hub") as here:
        mine = (await here.say("push add https://hooks.example.org/a")).facts["id"]
        for word in ("test", "off", "on", "remove"):
            assert not (await here.say(f"push {word} {mine}", STRANGER)).ok
        assert (await here.say("push", STRANGER)).table == ()
        theirs = await here.say("push add https://hooks.example.org/a", STRANGER)
        assert theirs.facts["existed"] is False
        assert theirs.facts["id"] != mine
        assert [row[3] for row in (await here.say("push")).table[1:]] == ["on", "on"]
        assert await states(here) == []


# --------------------------------------------------------------------------------------------- edges


def command(name: str, run: Any) -> Any:
    return SimpleNamespace(NAME=name, USAGE=name, SUMMARY=name, EXAMPLES=(), run=run)


async def test_a_command_that_fails_stops_nothing_else(nats_server: Any, tmp_path: Path) -> None:
    """It is told, counted, and the next line is answered."""

    async def broken(context: Context, request: Request) -> Reply:
        raise ZeroDivisionError("a bug")

    async with room(nats_server, tmp_path / "hub", command("broken", broken)) as here:
        reply = await here.say("broken")
        assert not reply.ok
        assert reply.lines == ("broken failed: it was logged",)
        assert (await here.say("gold")).ok
        assert here.commands.failed == {"broken": 1}


async def test_a_command_that_hangs_is_stopped(
    nats_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time limit, with a reply."""
    monkeypatch.setattr(module_under_test, "COMMAND_TIMEOUT_S", 0.05)

    async def endless(context: Context, request: Request) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    async with room(nats_server, tmp_path / "hub", command("endless", endless)) as here:
        assert "took longer" in (await here.say("endless")).lines[0]


async def test_a_command_of_another_process_is_found_by_its_name(here: Room) -> None:
    """Whoever answers on command.<name> is a command; an answer that is none is told."""

    async def weather(payload: bytes) -> bytes:
        request = msgspec.json.decode(payload, type=Request)
        return msgspec.json.encode(Reply(lines=(f"rain in {request.arguments} for {request.user.name}",)))

    async def garbage(payload: bytes) -> bytes:
        return b"not json"

    async with here.bus.serve(subjects.command("weather"), weather), here.bus.serve("command.garbage", garbage):
        await here.bus.client.flush()
        assert (await here.say("weather berlin")).lines == ("rain in berlin for operator",)
        assert "not a reply" in (await here.say("garbage")).lines[0]


async def test_the_limit_is_said_before_it_bites(nats_server: Any, tmp_path: Path) -> None:
    """At 80 %, at the last, and then with the time to wait; other people are not touched."""
    async with room(nats_server, tmp_path / "hub", alerts=AlertsSection(lines_per_minute=5)) as here:
        replies = [await here.say("gold") for _ in range(6)]
        assert [any("of the 5 lines" in line for line in reply.lines) for reply in replies[:5]] == [
            False,
            False,
            False,
            True,
            True,
        ]
        assert not replies[5].ok
        assert "ask again in 60 s" in replies[5].lines[0]
        assert (await here.say("gold", ANNA)).ok


async def test_the_number_of_alerts_is_said_before_it_bites(nats_server: Any, tmp_path: Path) -> None:
    """From 80 % of what a person can have."""
    async with room(nats_server, tmp_path / "hub", alerts=AlertsSection(per_person=3)) as here:
        replies = [await here.say(f"gold > {level}") for level in (2500, 2600, 2700)]
        assert [any("of the 3 alerts" in line for line in reply.lines) for reply in replies] == [False, False, True]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"\xff\xfe", b'{"text": "gold"}', b'{"text":"gold","who":{"platform":"x","id":"y","extra":1}}'],
)
async def test_a_malformed_line_gets_an_answer(payload: bytes, here: Room) -> None:
    """It is refused and counted; the hub goes on."""
    reply = await here.bus.request(subjects.LINE, payload, Reply, 5)
    assert not reply.ok
    assert here.commands.refused == 1
    assert (await here.say("gold")).ok


# --------------------------------------------------------------------------------------------- status


async def test_status_tells_what_each_service_says(here: Room, tmp_path: Path) -> None:
    """Feeds with their refusals, readers with their lag, deliveries, processes; and who does not answer."""
    run = tmp_path / "hub" / "run"
    run.mkdir(parents=True)
    child = {"pid": 42, "started_at": NOW - 60 * SECOND_US, "restarts": 2, "last_exit": "SIGKILL", "last_exit_at": NOW}
    (run / "children.json").write_bytes(msgspec.json.encode({"core": child}))
    feed = {
        "name": "demo",
        "state": "waiting",
        "reason": "no network",
        "nature": "simulated",
        "ticks": 1200,
        "refused": {"bid above ask": 3},
        "last_tick_at": NOW - 5 * SECOND_US,
        "restarts": 1,
        "clock": ['demo\'s clock looks 5 h behind: set time_zone = "Etc/GMT+5" in [feeds.demo]'],
    }
    said = [
        {"service": "ingest", "feeds": [feed], "frames": 7, "ticks": 1200, "sources": {"XAU-USD": "demo"}},
        {
            "service": "delivery",
            "due": 1,
            "sent": 5,
            "held": 3,
            "latency_ms": {"p50": 1.5, "p95": 2, "p99": None},
            "errors": {"push": "refused"},
        },
        {"service": "engine", "sequence": 7, "lag_frames": 2, "alerts": {"armed": 3}, "triggers": 4},
        {"service": "engine"},
    ]

    extra = [here.bus.serve(subjects.STATUS, _saying(each)) for each in said]
    async with extra[0], extra[1], extra[2], extra[3]:
        await here.bus.client.flush()
        reply = await here.say("status")
    text = "\n".join(reply.lines)
    assert reply.table[1] == (
        "demo (simulated)",
        "waiting: no network (1 restart)",
        "1,200",
        "5 s ago",
        "bid above ask 3",
    )
    assert 'Clock: demo\'s clock looks 5 h behind: set time_zone = "Etc/GMT+5" in [feeds.demo].' in text
    assert "Engine: at frame 7, 2 behind." in text
    assert "Tick to hand-over: p50 1.5 ms, p95 2.0 ms." in text
    assert "Delivery: 1 due, 5 sent, 3 held through quiet hours." in text
    assert "push fails: refused." in text
    assert "core: pid 42, up for 1 min, 2 restarts, last exit SIGKILL at 08:00:00" in text
    assert "No answer from: recorder." in text
    assert len(cast(list[object], reply.facts["engine"])) == 2


def _saying(said: object) -> Any:
    async def answer(_: bytes) -> bytes:
        return msgspec.json.encode(said)

    return answer
