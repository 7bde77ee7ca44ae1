"""The composition root of a core: opens the edges, starts the services of the chosen roles, stops them in order.

The nesting is the order of stopping: feeds, services, bus, stores. A service that fails is a bug and ends the core,
which its supervisor starts again at its stored positions; what cannot go on at all is a GiveUp with the sentence why.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog

from hub import __version__, child, load, logs, reader
from hub import bus as names
from hub.bus import Bus
from hub.cache import Cache, open_cache
from hub.commands import Commands
from hub.config import Config, FeedSection
from hub.delivery import Delivery
from hub.engine import Engine
from hub.frame import NewerFrame, Position, lane
from hub.held import INGEST, Held
from hub.history import History, HistoryFull, HistoryTooNew, HistoryTrouble, open_history
from hub.ingest import Day, FeedRun, Fenced, Ingest, Start
from hub.instruments import Catalogue, build_catalogue
from hub.ledger import (
    Ledger,
    LedgerAway,
    LedgerFull,
    LedgerTooNew,
    LedgerTrouble,
    LedgerUnsure,
    alerts,
    leases,
    open_ledger,
)
from hub.ledger import tables as t
from hub.market import Market
from hub.model import MOVES, Nature, Tick
from hub.personal import Personal
from hub.plugin import GiveUp, TryLater
from hub.quotes import Quotes
from hub.recorder import Recorder, keep_for

log = structlog.get_logger("app")
RECORDER = "recorder"
STANDBY = "standby"
SETTLE_S = 2.0
STAND_BY_S = 1.0
BUS_PATIENCE_S = 15.0
FOREVER_US = 1 << 62
STAMPS = 200
"""Newest ticks of an instrument that are looked at for the newest stamp of each of its sources."""
Service = Callable[[], Awaitable[None]]
Told = Callable[[], Any]
Settled = Callable[[], bool]
Part = tuple[list[tuple[str, Service]], list[Told], Settled]
"""Services, what tells how they are, and whether its readers have taken all that its ingest has published."""


def now_us() -> int:
    return time.time_ns() // 1000


async def main(_: Path) -> int:
    """A core as a child of the supervisor, until it is told to stop."""
    what = child.given()
    stop = child.stop_event()
    logs.setup(what.config.hub.log, what.config.hub.log_level, process=what.name)
    tune()
    try:
        async with core(what.config, what.bus_url, what.bus_token) as running:
            child.ready(what.run, what.name)
            ends: set[asyncio.Future[Any]] = {asyncio.ensure_future(stop.wait()), running}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
    except BaseExceptionGroup as group:
        known = _first(group, NewerFrame, GiveUp)
        if known is not None:
            raise GiveUp(str(known)) from group
        changed = _first(
            group, reader.StreamChanged, Fenced, leases.LeaseLost, LedgerUnsure, LedgerTrouble, HistoryTrouble
        )
        if changed is None:
            raise
        log.warning("the core starts again from its stored positions", reason=str(changed))
        return 1
    except (LedgerTooNew, HistoryTooNew) as error:
        raise GiveUp(str(error)) from error
    except (LedgerTrouble, HistoryTrouble) as error:
        if not _passes(error, what.config):
            raise GiveUp(str(error)) from error
        log.error("the core cannot start now; it is tried again", reason=str(error))
        return 1
    except TryLater as error:
        log.error("the core cannot start now", reason=error.reason)
        return 1
    return 0


def tune() -> None:
    """Two settings of the interpreter that the hot path needs, measured with `make bench ARGS=ingest`: the stores'
    threads get the interpreter back from a busy loop after half a millisecond instead of five, and the garbage
    collector, which finds nothing among ticks, looks a seventieth as often."""
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _passes(error: Exception, config: Config) -> bool:
    """Whether it may be over by itself: a full disk, a server that is away. A file that cannot be opened is not."""
    if isinstance(error, HistoryTrouble):
        return isinstance(error, HistoryFull) or bool(config.history.url)
    return isinstance(error, LedgerFull | LedgerAway)


def _first(group: BaseExceptionGroup[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    """The first of these in a group of what went wrong at once."""
    found = group.subgroup(kinds)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]  # type: ignore[assignment]
    return found


@asynccontextmanager
async def core(config: Config, bus_url: str, bus_token: str) -> AsyncIterator["asyncio.Future[None]"]:
    """A running core. The future it yields ends with the first service that fails; leaving stops all, in order."""
    config.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as edges:
        history = await edges.enter_async_context(open_history(config))
        ledger = await edges.enter_async_context(open_ledger(config))
        cache = await edges.enter_async_context(open_cache(config.cache))
        bus = await edges.enter_async_context(
            names.connect(bus_url, bus_token or None, "tocsin core", patience_s=BUS_PATIENCE_S)
        )
        services, told, settled = await _services(config, bus, history, ledger, cache, edges, bus_url, bus_token)
        for tell in told:
            await edges.enter_async_context(bus.serve(names.STATUS, partial(_answer_status, tell)))
        running = asyncio.ensure_future(_run_all(services, settled))
        try:
            yield running
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({running})


async def _run_all(services: list[tuple[str, Service]], settled: Callable[[], bool]) -> None:
    """Until one fails or all are cancelled. Ingest ends first, and the readers take what it published last."""
    async with asyncio.TaskGroup() as rest:
        for name, run in services:
            if name not in (INGEST, STANDBY):
                rest.create_task(_for_ever(name, run), name=name)
        try:
            async with asyncio.TaskGroup() as ingest:
                for name, run in services:
                    if name in (INGEST, STANDBY):
                        ingest.create_task(_for_ever(name, run), name=name)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    while not settled():
                        await asyncio.sleep(0.02)
            raise


async def _for_ever(name: str, run: Service) -> None:
    """A service that returns has failed as much as one that raises."""
    try:
        await run()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError(f"the service {name} was cancelled from inside") from None
    raise RuntimeError(f"the service {name} returned")


async def _answer_status(tell: Told, _: bytes) -> bytes:
    told = tell()
    if isinstance(told, Awaitable):
        told = await told
    return msgspec.json.encode(told)


async def _services(
    config: Config,
    bus: Bus,
    history: History,
    ledger: Ledger,
    cache: Cache,
    edges: AsyncExitStack,
    bus_url: str,
    bus_token: str,
) -> Part:
    """Delivery and commands share their work with other cores. Recorder, engine and ingest are one each in all cores,
    so they wait for their leases; where another core has these, this one stands by with them."""
    roles = set(config.hub.roles)
    holder = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
    catalogue = build_catalogue(config.instruments, {symbol for feed in config.feeds for symbol in feed.symbols})
    await reader.ensure_streams(bus, lambda: secrets.token_hex(8), config.bus.max_mb * 800_000)
    services: list[tuple[str, Service]] = []
    started_at = now_us()
    nature = await _nature(config, ledger) if "ingest" in roles else await _stored_nature(ledger)
    wanted = _leased(config)
    held = Held(ledger, wanted, holder, partial(_newest_epoch, bus, history, ledger) if INGEST in wanted else None)
    told: list[Told] = [
        lambda: {
            "service": "hub",
            "version": __version__,
            "folder": str(config.folder),
            "started_at": started_at,
            "roles": sorted(roles),
            "nature": nature,
            "recording": _recording(config),
            "standby": held.waits_for,
        }
    ]

    delivery: Delivery | None = None
    if "deliver" in roles:
        delivery = Delivery(bus, ledger, catalogue, config.delivery, worker=holder, clock=now_us)
        services.append(("delivery", delivery.run))
        told.append(delivery.status)

    if "commands" in roles:
        quotes = Quotes(bus, history, catalogue)
        await quotes.start()
        charts = load.charts()
        renderer = (
            await edges.enter_async_context(charts.open_renderer(cache, config.charts.timeout_s)) if charts else None
        )
        commands = Commands(
            bus=bus,
            ledger=ledger,
            quotes=quotes,
            catalogue=catalogue,
            config=config,
            modules=load.commands(),
            market=Market(history, quotes, catalogue, cache, renderer, clock=now_us),
            personal=Personal(ledger, now_us),
            counters=cache,
            clock=now_us,
        )
        services.append(("commands", commands.run))
        told.append(commands.status)

    build = partial(_single_services, config, bus, history, ledger, catalogue, delivery, held, bus_url, bus_token)
    if await held.take():
        more, tellers, settled = await build(edges)
        return services + more, told + tellers, settled
    log.info("another core records, rings or reads feeds: standing by", leases=held.waits_for)
    return [*services, (STANDBY, partial(_stand_by, held, build, bus))], told, lambda: True


async def _single_services(
    config: Config,
    bus: Bus,
    history: History,
    ledger: Ledger,
    catalogue: Catalogue,
    delivery: Delivery | None,
    held: Held,
    bus_url: str,
    bus_token: str,
    edges: AsyncExitStack,
) -> Part:
    """Recorder, engine and ingest, begun at their stored positions once their leases are held."""
    edges.push_async_callback(held.drop)
    stream = await reader.stream_state(bus)
    services: list[tuple[str, Service]] = [("leases", held.run)] if held.epochs else []
    told: list[Told] = []
    tail = reader.Tail(bus)
    recorder: Recorder | None = None
    engine: Engine | None = None
    ingest: Ingest | None = None
    if RECORDER in held.epochs:
        place = await history.position()
        start = await reader.settle_start(
            bus,
            RECORDER,
            Position(stream=place.stream, sequence=place.sequence, epoch=place.epoch, number=place.number),
            stream,
        )
        place = msgspec.structs.replace(
            place, stream=start.stream, sequence=start.sequence, epoch=start.epoch, number=start.number
        )
        recorder = Recorder(bus, history, tail, place)
        services.append((RECORDER, recorder.run))
        if config.history.ticks_for:
            services.append(("retention", partial(keep_for, history, config.history.ticks_for)))
        told.append(recorder.status)

    if alerts.ENGINE in held.epochs:
        place_read = await ledger.read(alerts.position)
        position = await reader.settle_start(bus, alerts.ENGINE, place_read, stream)
        await ledger.write(lambda c: alerts.begin_position(c, position, place_read))
        engine = Engine(
            bus,
            ledger,
            catalogue,
            tail,
            position,
            lease_epoch=held.epochs[alerts.ENGINE],
            band_percent=config.alerts.band_percent,
            late_after_s=config.alerts.late_after_s,
            per_person=config.alerts.per_person,
            deliverer=delivery,
        )
        await engine.load()
        await edges.enter_async_context(bus.serve(names.ENGINE_ALERTS, engine.answer))
        services.append((alerts.ENGINE, engine.run))
        told.append(engine.status)

    if recorder or engine:
        services.append(("tail", tail.run))

    if INGEST in held.epochs:
        ingest = Ingest(
            bus,
            catalogue,
            [_feed(feed, bus_url, bus_token) for feed in config.feeds if feed.enabled],
            await _start_of_ingest(bus, history, catalogue, held.epochs[INGEST]),
            prefer=config.prefer,
            fresh_for_s={feed.name: feed.fresh_for_s for feed in config.feeds},
            hold_file=config.folder / "hold",
        )
        services.append((INGEST, ingest.run))
        told.append(ingest.status)

    def settled() -> bool:
        """Whether the readers here have taken all that ingest has published."""
        last = ingest.status()["sequence"] if ingest is not None else 0
        readers = [found.status() for found in (recorder, engine) if found is not None]
        return all(told.get("committed", told["sequence"]) >= last for told in readers)

    return services, told, settled


def _feed(feed: FeedSection, bus_url: str, bus_token: str) -> FeedRun:
    module = load.feed(feed.module)
    raw = dict(feed.settings or {})
    own_bus = {"bus_url": bus_url, "bus_token": bus_token, "subject": names.feed(feed.name)}
    for name, value in own_bus.items():
        if name in module.Settings.__struct_fields__:
            raw.setdefault(name, value)
    return FeedRun(feed.name, module, load.settings_of(module, raw), feed.symbols, feed.mute_after_s)


async def _start_of_ingest(bus: Bus, history: History, catalogue: Catalogue, epoch: int) -> Start:
    """What was accepted so far: what history has, and the frames that the recorder has not read yet."""
    state = await reader.stream_state(bus)
    place = await history.position()
    marks = {source: dict(lanes) for source, lanes in (await history.marks()).items()}
    prices = await history.last_ticks()
    days: dict[str, Day] = {}
    stamps: dict[str, dict[tuple[str, int], int]] = {}
    for name, tick in prices.items():
        days[name] = Day(*await history.day(name, tick.venue_time or tick.received_at or 0))
        for recent in await history.ticks(name, -FOREVER_US, FOREVER_US, limit=STAMPS, newest_first=True):
            _stamp(stamps, recent)
    clock = place.clock
    after = place.sequence if place.stream == state.id and place.sequence <= state.last else state.first - 1
    async for frame in reader.frames_between(bus, max(after, state.first - 1, 0), state.last):
        clock = max(clock, frame.clock)
        for refusal in frame.refused:
            lanes = marks.setdefault(refusal.source, {})
            lanes[refusal.lane] = max(lanes.get(refusal.lane, 0), refusal.number)
        for tick in frame.ticks():
            _stamp(stamps, tick)
            if tick.number is not None:
                lanes = marks.setdefault(tick.source, {})
                where = lane(tick.instrument, tick.kind)
                lanes[where] = max(lanes.get(where, 0), tick.number)
            if tick.verdict < MOVES and tick.price is not None:
                prices[tick.instrument] = tick
                day = days.setdefault(tick.instrument, Day(None, None))
                day.see(tick.price, tick.venue_time or tick.received_at or 0)
    return Start(
        epoch=epoch, last_sequence=state.last, marks=marks, prices=prices, days=days, stamps=stamps, clock=clock
    )


def _stamp(stamps: dict[str, dict[tuple[str, int], int]], tick: Tick) -> None:
    if tick.venue_time is not None:
        known = stamps.setdefault(tick.instrument, {})
        known[tick.source, tick.kind] = max(known.get((tick.source, tick.kind), tick.venue_time), tick.venue_time)


# ------------------------------------------------------------------------------------------------- leases


def _leased(config: Config) -> tuple[str, ...]:
    """What this core would run that is one in all cores."""
    roles = config.hub.roles
    wanted = {RECORDER: "record" in roles, alerts.ENGINE: "alert" in roles, INGEST: "ingest" in roles and config.feeds}
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)


async def _stand_by(held: Held, build: Callable[[AsyncExitStack], Awaitable[Part]], bus: Bus) -> None:
    """Waits until the other core gives its leases up, or they have run out, then does its work."""
    while True:
        await asyncio.sleep(STAND_BY_S)
        with contextlib.suppress(LedgerTrouble, HistoryTrouble, nats.errors.Error):
            if await held.take():
                break
    log.warning("the other core is gone: taking over", leases=sorted(held.epochs))
    async with AsyncExitStack() as edges:
        services, told, settled = await build(edges)
        for tell in told:
            await edges.enter_async_context(bus.serve(names.STATUS, partial(_answer_status, tell)))
        await _run_all(services, settled)


async def _newest_epoch(bus: Bus, history: History, ledger: Ledger) -> int:
    """The highest epoch that any reader or the stream has seen: a ledger that was restored or made anew must not
    publish under an older one, which readers take for what they have already."""
    state = await reader.stream_state(bus)
    newest = await reader.frame_at(bus, state.last) if state.last >= state.first > 0 else None
    engine = await ledger.read(alerts.position)
    return max((await history.position()).epoch, engine.epoch, newest.epoch if newest else 0)


# ------------------------------------------------------------------------------------------------- nature


def _recording(config: Config) -> str:
    """The name of the file that is played, if one is."""
    played = [str((feed.settings or {}).get("file", "")) for feed in config.feeds if feed.module == "replay"]
    return Path(played[0]).name if played else ""


async def _stored_nature(ledger: Ledger) -> str:
    return await ledger.read(_read_nature) or Nature.LIVE.value


def _read_nature(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(t.facts.c.value).where(t.facts.c.name == "nature")).scalar()


async def _nature(config: Config, ledger: Ledger) -> str:
    """A data folder holds real prices, a simulated market or recordings: never two of them, or old alerts of one
    would ring on prices of the other."""
    natures = {load.feed(feed.module).NATURE for feed in config.feeds if feed.enabled}
    wanted = next((n for n in (Nature.RECORDING, Nature.SIMULATED) if n in natures), Nature.LIVE).value
    if wanted != Nature.LIVE.value and len(natures) > 1:
        raise GiveUp(
            f"a {wanted} source cannot run beside others ({', '.join(sorted(natures))}):"
            " give it a data folder and a configuration of its own"
        )
    if not natures:
        return await _stored_nature(ledger)

    def settle(connection: sa.Connection) -> str | None:
        found = _read_nature(connection)
        if found is None:
            connection.execute(t.facts.insert().values(name="nature", value=wanted))
        return found

    found = await ledger.write(settle)
    if found not in (None, wanted):
        raise GiveUp(
            f"the data folder {config.folder} holds {found} prices, and this hub would add {wanted} ones:"
            " choose another folder with --data or [hub] data"
        )
    return wanted
