"""The composition root of a core: opens the edges, starts the services of the chosen roles, stops them in order.

The nesting is the order of stopping: feeds, services, bus, stores. A service that fails is a bug and ends the core,
which its supervisor starts again at its stored positions; what cannot go on at all is a GiveUp with the sentence why.
Rooms: `services` knows what each role runs, `begin` where ingest goes on, `nature` what sort of prices a folder holds,
`run` how services run beside each other.
"""

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nats.errors
import structlog

from hub import bus as names
from hub import child, logs, reader
from hub.app.run import answer_status, run_all
from hub.app.services import Edges, services_of
from hub.cache import open_cache
from hub.config import Config
from hub.frame import NewerFrame
from hub.history import HistoryFull, HistoryMoved, HistoryTooNew, HistoryTrouble, open_history
from hub.ingest import Fenced
from hub.ledger import LedgerAway, LedgerFull, LedgerTooNew, LedgerTrouble, LedgerUnsure, leases, open_ledger
from hub.plugin import GiveUp, TryLater

log = structlog.get_logger("app")
BUS_PATIENCE_S = 15.0
COMMANDS = "commands"
ANSWER_S = 5.0
"""So long a core may take from its start to its first answer; it is called serving then all the same."""


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
            group,
            reader.StreamChanged,
            Fenced,
            leases.LeaseLost,
            LedgerUnsure,
            LedgerTrouble,
            HistoryTrouble,
            HistoryMoved,
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
    async with AsyncExitStack() as stack:
        history = await stack.enter_async_context(open_history(config))
        ledger = await stack.enter_async_context(open_ledger(config))
        cache = await stack.enter_async_context(open_cache(config.cache))
        bus = await stack.enter_async_context(
            names.connect(bus_url, bus_token or None, "tocsin core", patience_s=BUS_PATIENCE_S)
        )
        edges = Edges(config, bus, history, ledger, cache, bus_url, bus_token, stack)
        services, told, settled = await services_of(edges)
        for tell in told:
            await stack.enter_async_context(bus.serve(names.STATUS, partial(answer_status, tell)))
        running = asyncio.ensure_future(run_all(services, settled))
        try:
            if COMMANDS in dict(services):
                await _answers(bus, running)
            yield running
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({running})


async def _answers(bus: names.Bus, running: "asyncio.Future[None]") -> None:
    """Until lines are answered: who hears that the hub serves may ask at once."""
    with contextlib.suppress(TimeoutError, nats.errors.Error):
        async with asyncio.timeout(ANSWER_S):
            while not running.done():
                try:
                    await bus.call(names.MENU, b"", ANSWER_S)
                except nats.errors.NoRespondersError:
                    await asyncio.sleep(0.01)
                else:
                    return
