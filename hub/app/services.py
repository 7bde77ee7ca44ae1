"""Which services each role runs, begun at their stored positions.

Delivery, commands and digests share their work with other cores. Recorder, engine and ingest are one each in all
cores, so they wait for their leases; where another core has these, this one stands by with them. Depends on every
service and edge: only here do they meet.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

import msgspec
import nats.errors
import structlog

from hub import __version__, load, reader
from hub import bus as names
from hub.app import nature
from hub.app.begin import feed_run, newest_epoch, start_of_ingest
from hub.app.run import STANDBY, Part, Service, Told, answer_status, run_all
from hub.backtest import Backtests
from hub.bus import Bus
from hub.cache import Cache
from hub.commands import Commands
from hub.config import Config
from hub.delivery import Delivery
from hub.digests import Digests
from hub.engine import Engine
from hub.engine.share import Share
from hub.frame import Position
from hub.held import INGEST, Held
from hub.history import History, HistoryTrouble
from hub.history.adjusted import Adjusted, AsOf, Reads
from hub.hot import Hot
from hub.ingest import Ingest
from hub.instruments import Catalogue, build_catalogue
from hub.ledger import Ledger, LedgerTrouble, alerts
from hub.ledger import splits as stored
from hub.lives import keep_short
from hub.market import Market
from hub.personal import Personal
from hub.quotes import Quotes
from hub.recorder import Recorder, keep_for
from hub.recovery import Recovery
from hub.splits import Splits, known

log = structlog.get_logger("app")
RECORDER = "recorder"
STAND_BY_S = 1.0
LOOK_EVERY_S = 5.0


class Edges(NamedTuple):
    """What a core opened; `stack` closes what its services open beside it, before these."""

    config: Config
    bus: Bus
    history: History
    ledger: Ledger
    cache: Cache
    bus_url: str
    bus_token: str
    stack: AsyncExitStack


def now_us() -> int:
    return time.time_ns() // 1000


async def services_of(edges: Edges) -> Part:
    """All that this core runs now; what it stands by for comes when its leases are free."""
    config, bus, ledger = edges.config, edges.bus, edges.ledger
    roles = set(config.hub.roles)
    holder = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
    catalogue = build_catalogue(config.instruments, {symbol for feed in config.feeds for symbol in feed.symbols})
    await reader.ensure_streams(bus, lambda: secrets.token_hex(8), config.bus.max_mb * 800_000)
    sort = await nature.settled_nature(config, ledger) if "ingest" in roles else await nature.stored_nature(ledger)
    wanted = _leased(config, shared=ledger.shared)
    newest = partial(newest_epoch, bus, edges.history, ledger) if INGEST in wanted else None
    held = Held(ledger, wanted, holder, newest)
    splits = Splits()
    await learn(splits, ledger, catalogue)
    services: list[tuple[str, Service]] = [("splits", partial(_follow, splits, ledger, catalogue))]
    told: list[Told] = [_hub_status(config, sort, held)]

    delivery: Delivery | None = None
    if "deliver" in roles:
        delivery = Delivery(bus, ledger, catalogue, config.delivery, worker=holder, clock=now_us)
        services.append(("delivery", delivery.run))
        told.append(delivery.status)
    if "commands" in roles:
        for name, service, status in await _asked(edges, catalogue, splits):
            services.append((name, service))
            told.append(status)

    if ledger.shared and "alert" in roles:
        share = _share(edges, catalogue, delivery, holder)
        services.append((alerts.ENGINE, share.run))
        told.append(share.status)
    if "alert" in roles:
        recovery = Recovery(ledger, edges.history, _today(edges, splits), catalogue, config, bus, now_us)
        services += [("recovery", recovery.run), ("lives", partial(keep_short, ledger))]
        told.append(recovery.status)
    build = partial(_single_services, edges, catalogue, splits, delivery, held)
    if await held.take():
        more, tellers, settled = await build(edges.stack)
        return services + more, told + tellers, settled
    log.info("another core records, rings or reads feeds: standing by", leases=held.waits_for)
    return [*services, (STANDBY, partial(_stand_by, held, build, bus))], told, lambda: True


def _hub_status(config: Config, sort: str, held: Held) -> Told:
    started_at = now_us()
    return lambda: {
        "service": "hub",
        "version": __version__,
        "folder": str(config.folder),
        "started_at": started_at,
        "roles": sorted(config.hub.roles),
        "nature": sort,
        "recording": nature.recording(config),
        "standby": held.waits_for,
    }


async def _asked(edges: Edges, catalogue: Catalogue, splits: Splits) -> list[tuple[str, Service, Told]]:
    """What answers people: commands, and the digests that they ordered."""
    config, bus, ledger, history, cache = edges.config, edges.bus, edges.ledger, edges.history, edges.cache
    as_of = AsOf()
    quotes = Quotes(bus, Adjusted(history, splits, as_of), catalogue, cache=cache, splits=splits, as_of=as_of)
    await quotes.start()
    charts = load.charts()
    drawing = charts.open_renderer(cache, config.charts.timeout_s) if charts else None
    renderer = await edges.stack.enter_async_context(drawing) if drawing else None
    market = Market(history, quotes, catalogue, cache, renderer, clock=now_us, splits=splits)
    commands = Commands(
        bus=bus,
        ledger=ledger,
        quotes=quotes,
        catalogue=catalogue,
        config=config,
        modules=load.commands(),
        market=market,
        personal=Personal(ledger, now_us, bus),
        backtests=Backtests(
            Adjusted(history, splits, market.now), ledger, catalogue, band_percent=config.alerts.band_percent
        ),
        counters=cache,
        clock=now_us,
    )
    digests = Digests(ledger, market, quotes, catalogue, bus, now_us)
    return [("commands", commands.run, commands.status), ("digests", digests.run, digests.status)]


async def _single_services(
    edges: Edges, catalogue: Catalogue, splits: Splits, delivery: Delivery | None, held: Held, stack: AsyncExitStack
) -> Part:
    """Recorder, engine and ingest, once their leases are held."""
    config, bus, history = edges.config, edges.bus, edges.history
    stack.push_async_callback(held.drop)
    stream = await reader.stream_state(bus)
    tail = reader.Tail(bus)
    services: list[tuple[str, Service]] = [("leases", held.run)] if held.epochs else []
    told: list[Told] = []
    recorder = await _recorder(edges, tail, stream) if RECORDER in held.epochs else None
    engine = await _engine(edges, catalogue, tail, stream, held, delivery) if alerts.ENGINE in held.epochs else None
    if recorder is not None:
        services.append((RECORDER, recorder.run))
        told.append(recorder.status)
        if config.history.ticks_for:
            services.append(("retention", partial(keep_for, history, config.history.ticks_for)))
    if engine is not None:
        await stack.enter_async_context(bus.serve(names.alerts(alerts.ENGINE), engine.answer))
        services += [(alerts.ENGINE, engine.run), ("engine.watch", engine.watch)]
        told.append(engine.status)
    if recorder or engine:
        services.append(("tail", tail.run))

    ingest: Ingest | None = None
    if INGEST in held.epochs:
        ingest = await _ingest(edges, catalogue, splits, held.epochs[INGEST])
        as_of = AsOf()
        hot = Hot(bus, Adjusted(history, splits, as_of), edges.cache, catalogue, as_of=as_of)
        services += [(INGEST, ingest.run), ("hot", hot.run)]
        told += [ingest.status, hot.status]

    def settled() -> bool:
        """Whether the readers here have taken all that ingest has published."""
        last = ingest.status()["sequence"] if ingest is not None else 0
        readers = [found.status() for found in (recorder, engine) if found is not None]
        return all(told.get("committed", told["sequence"]) >= last for told in readers)

    return services, told, settled


async def _recorder(edges: Edges, tail: reader.Tail, stream: reader.StreamState) -> Recorder:
    place = stored = await edges.history.position()
    start = await reader.settle_start(
        edges.bus,
        RECORDER,
        Position(stream=place.stream, sequence=place.sequence, epoch=place.epoch, number=place.number),
        stream,
    )
    place = msgspec.structs.replace(
        place, stream=start.stream, sequence=start.sequence, epoch=start.epoch, number=start.number
    )
    return Recorder(edges.bus, edges.history, tail, place, stored)


async def _engine(
    edges: Edges,
    catalogue: Catalogue,
    tail: reader.Tail,
    stream: reader.StreamState,
    held: Held,
    delivery: Delivery | None,
) -> Engine:
    stored = await edges.ledger.read(alerts.position)
    position = await reader.settle_start(edges.bus, alerts.ENGINE, stored, stream)
    await edges.ledger.write(lambda c: alerts.begin_position(c, position, stored))
    epochs = {alerts.ENGINE: held.epochs[alerts.ENGINE]}
    return await _loaded(edges, catalogue, tail, delivery, epochs, position)


async def _loaded(
    edges: Edges,
    catalogue: Catalogue,
    tail: reader.Tail,
    delivery: Delivery | None,
    epochs: dict[str, int],
    position: Position,
    book: str = alerts.ENGINE,
    own_book: str = alerts.ENGINE,
) -> Engine:
    section = edges.config.alerts
    engine = Engine(
        edges.bus,
        edges.ledger,
        catalogue,
        tail,
        position,
        leases=epochs,
        band_percent=section.band_percent,
        late_after_s=section.late_after_s,
        per_person=section.per_person,
        storm_rings=section.storm_rings,
        deliverer=delivery,
        history=edges.history,
        book=own_book,
    )
    await engine.load(book)
    return engine


def _share(edges: Edges, catalogue: Catalogue, delivery: Delivery | None, holder: str) -> Share:
    async def build(epochs: dict[str, int], position: Position, book: str, own_book: str) -> Engine:
        tail = reader.Tail(edges.bus)
        return await _loaded(edges, catalogue, tail, delivery, epochs, position, book, own_book)

    return Share(edges.bus, edges.ledger, build, holder)


async def _ingest(edges: Edges, catalogue: Catalogue, splits: Splits, epoch: int) -> Ingest:
    config = edges.config
    return Ingest(
        edges.bus,
        catalogue,
        [feed_run(feed, edges.bus_url, edges.bus_token) for feed in config.feeds if feed.enabled],
        await start_of_ingest(edges.bus, edges.history, epoch, splits),
        prefer=config.prefer,
        fresh_for_s={feed.name: feed.fresh_for_s for feed in config.feeds},
        hold_file=config.folder / "hold",
    )


def _today(edges: Edges, splits: Splits) -> Reads:
    """History in today's shares; a recording's in those of its own day."""
    if nature.recording(edges.config):
        return edges.history
    return Adjusted(edges.history, splits, lambda _: now_us())


async def learn(splits: Splits, ledger: Ledger, catalogue: Catalogue) -> None:
    splits.set(known(await ledger.read(stored.rows), catalogue))


async def _follow(splits: Splits, ledger: Ledger, catalogue: Catalogue) -> None:
    """Splits of which somebody has told meanwhile."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        with contextlib.suppress(LedgerTrouble):
            await learn(splits, ledger, catalogue)


def _leased(config: Config, *, shared: bool) -> tuple[str, ...]:
    """What this core would run that is one in all cores. Engines of a ledger that is shared share the owners."""
    roles = config.hub.roles
    alone = "alert" in roles and not shared
    wanted = {RECORDER: "record" in roles, alerts.ENGINE: alone, INGEST: "ingest" in roles and config.feeds}
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)


async def _stand_by(held: Held, build: Callable[[AsyncExitStack], Awaitable[Part]], bus: Bus) -> None:
    """Waits until the other core gives its leases up, or they have run out, then does its work."""
    while True:
        await asyncio.sleep(STAND_BY_S)
        with contextlib.suppress(LedgerTrouble, HistoryTrouble, nats.errors.Error):
            if await held.take():
                break
    log.warning("the other core is gone: taking over", leases=sorted(held.epochs))
    async with AsyncExitStack() as stack:
        services, told, settled = await build(stack)
        for tell in told:
            await stack.enter_async_context(bus.serve(names.STATUS, partial(answer_status, tell)))
        await run_all(services, settled)
