"""Digests: summaries that people asked for, put into the outbox when their time has come.

Promises: one row a day, digest and destination, however many hubs look after it and however they die. A digest is
worded first; then one transaction moves it on, which only the first of all who try can, and writes its rows. What was
due while no hub ran is told late and says so, up to MOST_LATE_US; behind that it is passed over. One digest that cannot
be worded is logged, counted and tried again in a minute, and keeps no other waiting. Its clock is the wall's; a person
who lives by another time zone now has their digests reckoned anew.

Depends on the ledger, the bus, and on the market and the quotes that `app` hands it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog

from hub import bus as subjects
from hub import schedule, summary, wording
from hub.bus import Bus
from hub.ledger import Ledger, LedgerTrouble, LedgerUnsure, alerts_view, keeping, people
from hub.logs import Repeats
from hub.model import SECOND_US, Digest, Quote, User, WatchList
from hub.plugin import BadRequest, Catalogue, Market
from hub.portfolio import Portfolio, held, own_currency, valued
from hub.rules.language import parse
from hub.schedule import Due
from hub.summary import Seen, Summary, Waiting, Watched

LOOK_EVERY_S = 5.0
RETRY_US = 60 * SECOND_US
MOST_LATE_US = 4 * wording.HOUR_US
SPARK_POINTS = 48
log = structlog.get_logger("digests")


class Quotes(Protocol):
    """The newest quotes. See hub.quotes."""

    def get(self, instrument_id: str) -> Quote | None: ...
    def all(self) -> Sequence[Quote]: ...


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger knows of a digest's person."""

    user: User
    lists: tuple[WatchList, ...]
    alerts: tuple[Any, ...]
    lots: tuple[Any, ...]


class Digests:
    def __init__(
        self,
        ledger: Ledger,
        market: Market,
        quotes: Quotes,
        catalogue: Catalogue,
        bus: Bus,
        clock: Callable[[], int],
    ) -> None:
        self.told = 0
        self.skipped = 0
        self.failed = 0
        self._ledger = ledger
        self._market = market
        self._quotes = quotes
        self._catalogue = catalogue
        self._bus = bus
        self._now = clock
        self._next_at: int | None = None
        self._again_at: dict[int, int] = {}  # digests that could not be worded → when they are tried again
        self._troubles = Repeats(log)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(await self.sweep())

    def status(self) -> dict[str, Any]:
        return {
            "service": "digests",
            "told": self.told,
            "skipped": self.skipped,
            "failed": self.failed,
            "next_at": self._next_at,
        }

    async def sweep(self) -> float:
        """Tells what is due; the seconds until there may be more."""
        try:
            if await self._ledger.read(keeping.strayed):
                await self._ledger.write(self._reckon_anew)
            now = self._now()
            for digest in await self._ledger.read(lambda c: keeping.due_digests(c, now)):
                if self._again_at.get(digest.id, 0) <= now:
                    await self._look_after(digest)
            self._next_at = await self._ledger.read(keeping.next_digest_at)
        except LedgerTrouble as error:
            self._troubles.log("ledger", "digests wait for the ledger", reason=str(error))
            return LOOK_EVERY_S
        self._troubles.over("ledger", "digests go on")
        if self._next_at is None or self._next_at <= now:  # that one could not be told yet
            return LOOK_EVERY_S
        return min(max((self._next_at - self._now()) / SECOND_US, 0.1), LOOK_EVERY_S)

    def _reckon_anew(self, c: sa.Connection) -> None:
        for digest, zone in keeping.strayed(c):
            due = schedule.due_at(digest.at_s, digest.weekdays, zone, self._now())
            keeping.change_digest(c, digest.id, {"time_zone": zone, "next_at": due.at_us})

    async def _look_after(self, digest: Digest) -> None:
        """One digest, kept apart from the others."""
        try:
            await self._tell(digest)
            self._again_at.pop(digest.id, None)
        except (LedgerTrouble, LedgerUnsure):
            raise  # not the digest's doing
        except Exception:
            self.failed += 1
            self._again_at[digest.id] = self._now() + RETRY_US
            log.exception("a digest could not be told", digest=digest.id)

    async def _tell(self, digest: Digest) -> None:
        now = self._now()
        due = schedule.latest_due(digest.at_s, digest.weekdays, digest.time_zone, digest.next_at, now)
        next_at = schedule.due_at(digest.at_s, digest.weekdays, digest.time_zone, now).at_us
        if due is None or now - due.at_us > MOST_LATE_US:
            if await self._ledger.write(lambda c: keeping.claim(c, digest, {"next_at": next_at})):
                self.skipped += 1
                log.warning(
                    "a digest is passed over: no hub ran when it was due", digest=digest.id, due_at=digest.next_at
                )
            return
        of = await self._summary(digest, due, now)
        if of is None:
            return
        values = {"next_at": next_at, "last_at": now, "last_seen": msgspec.json.encode(summary.seen(of)).decode()}
        title, text = summary.title(of), summary.text(of)

        def write(c: sa.Connection) -> bool:
            if not keeping.claim(c, digest, values):
                return False
            keeping.post(c, digest, f"digest:{digest.id}:{due.day.isoformat()}", title, text, now)
            return True

        if await self._ledger.write(write):
            self.told += 1
            with contextlib.suppress(nats.errors.Error):  # delivery looks by itself too, a little later
                await self._bus.client.publish(subjects.OUTBOX, b"")

    # ---------------------------------------------------------------------------------------- gathering

    async def _summary(self, digest: Digest, due: Due, now: int) -> Summary | None:
        """None where its person is gone."""
        kept = await self._ledger.read(lambda c: _kept(c, digest))
        if kept is None:
            return None
        waiting = self._waiting(kept) if digest.about != "portfolio" else ()
        return Summary(
            day=due.day,
            due_at=due.at_us,
            now=now,
            zone=digest.time_zone,
            last_at=digest.last_at,
            before=_seen(digest),
            watched=await self._watched(kept, waiting) if digest.about != "portfolio" else None,
            waiting=waiting,
            portfolio=self._portfolio(kept, now) if digest.about != "watch" else None,
        )

    async def _watched(self, kept: Kept, waiting: Sequence[Waiting]) -> tuple[Watched, ...]:
        """The person's own list, else all that they have, else what they have alerts on."""
        own = [each for each in kept.lists if not each.name and each.instruments] or list(kept.lists)
        ids = dict.fromkeys(one for each in own for one in each.instruments) or dict.fromkeys(
            each.instrument.id for each in waiting
        )
        known = [found for one in ids if (found := self._catalogue.get(one))]
        return tuple([await self._one(each.id) for each in known])

    async def _one(self, instrument_id: str) -> Watched:
        instrument = self._catalogue.get(instrument_id)
        assert instrument is not None, f"{instrument_id} was just found in the catalogue"
        end = self._market.now(instrument_id)
        _, candles = await self._market.window(instrument_id, end - wording.DAY_US, end, SPARK_POINTS)
        closes = tuple(candle.close for candle in candles if candle.start >= end - wording.DAY_US)
        return Watched(instrument=instrument, quote=self._quotes.get(instrument_id), closes=closes)

    def _waiting(self, kept: Kept) -> tuple[Waiting, ...]:
        found = []
        for stored in kept.alerts:
            quote, instrument = self._quotes.get(stored.alert.instrument), self._catalogue.get(stored.alert.instrument)
            try:
                spec = parse(stored.alert.text, self._catalogue.find)
            except BadRequest:
                continue  # `alerts` says that its line is not understood any more
            if quote is not None and instrument is not None and spec.plain:
                found.append(Waiting(alert_id=stored.alert.id, spec=spec, instrument=instrument, price=quote.price))
        return tuple(found)

    def _portfolio(self, kept: Kept, now: int) -> Portfolio:
        lots = held(kept.lots)
        quotes = {one: quote for one in {lot.instrument for lot in lots} if (quote := self._quotes.get(one))}
        currency = kept.user.currency or own_currency(lots, self._catalogue.get)
        return valued(lots, quotes, self._catalogue.get, self._market.rate, currency, now)


def _kept(c: sa.Connection, digest: Digest) -> Kept | None:
    user = people.user(c, digest.user_id)
    if user is None:
        return None
    return Kept(
        user=user,
        lists=tuple(keeping.watchlists_of(c, digest.owner_id)),
        alerts=tuple(alerts_view.alerts_of(c, digest.owner_id)),
        lots=tuple(keeping.lots_of(c, digest.owner_id)),
    )


def _seen(digest: Digest) -> Seen:
    try:
        return msgspec.json.decode(digest.last_seen, type=Seen)
    except msgspec.MsgspecError:
        return Seen()  # the first, or written by another version
