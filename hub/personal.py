"""What a person keeps in the hub beside alerts: watch lists, lots, digests; and all of it read out, or removed.

Implements hub.plugin.Personal. Everything is for the request's person: another person's things are not there. Each
change is one transaction, and what cannot be done is a BadRequest that says how to ask instead. Depends on the ledger,
the pure hub.schedule and, to wake delivery, the bus.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import nats.errors
import sqlalchemy as sa

from hub import bus as subjects
from hub import schedule
from hub.bus import Bus
from hub.callers import permitted
from hub.ledger import Ledger, belongings, keeping, outbox, people, quiet
from hub.model import Digest, Lot, Request, User, WatchList
from hub.plugin import BadRequest, Going

MOST_LISTS, MOST_WATCHED, MOST_LOTS, MOST_DIGESTS = 20, 30, 1000, 10
MOST_READ_OUT = 20_000
"""Rows of a table that grows by itself, in what is read out."""

IN_FLIGHT_S = 5.0  # how long forgetting somebody waits for what is on its way to them
LOOK_EVERY_S = 0.05


class Personal:
    def __init__(self, ledger: Ledger, clock: Callable[[], int], bus: Bus | None = None) -> None:
        """`bus`: where delivery is woken; without one it looks by itself, some seconds later."""
        self._ledger = ledger
        self._now = clock
        self._bus = bus

    # -------------------------------------------------------------------------------------- watch lists

    async def watchlists(self, request: Request) -> Sequence[WatchList]:
        return await self._ledger.read(lambda c: keeping.watchlists_of(c, request.user.owner_id))

    async def watch(self, request: Request, name: str, instruments: Sequence[str]) -> WatchList:
        permitted(request)

        def write(c: sa.Connection) -> WatchList:
            owner_id = request.user.owner_id
            there = keeping.watchlist_of(c, owner_id, name)
            if there is None and len(keeping.watchlists_of(c, owner_id)) >= MOST_LISTS:
                raise BadRequest(f"{MOST_LISTS} lists are the most: watch delete NAME frees one")
            all_of_it = tuple(dict.fromkeys((*(there.instruments if there else ()), *instruments)))
            if len(all_of_it) > MOST_WATCHED:
                raise BadRequest(
                    f"a list holds {MOST_WATCHED} instruments at most, that would be {len(all_of_it)}:"
                    " watch NAME: gold silver makes another list"
                )
            wanted = WatchList(name=name, instruments=all_of_it)
            keeping.save_watchlist(c, owner_id, wanted, self._now())
            return wanted

        return await self._ledger.write(write)

    async def unwatch(self, request: Request, name: str, instruments: Sequence[str]) -> WatchList:
        permitted(request)

        def write(c: sa.Connection) -> WatchList:
            there = _own_list(c, request.user.owner_id, name)
            missing = [each for each in instruments if each not in there.instruments]
            if missing:
                raise BadRequest(
                    f"{', '.join(missing)} is not on that list: {' '.join(there.instruments) or 'it is empty'}"
                )
            wanted = WatchList(
                name=name, instruments=tuple(each for each in there.instruments if each not in instruments)
            )
            keeping.save_watchlist(c, request.user.owner_id, wanted, self._now())
            return wanted

        return await self._ledger.write(write)

    async def drop_watchlist(self, request: Request, name: str) -> WatchList:
        permitted(request)

        def write(c: sa.Connection) -> WatchList:
            there = _own_list(c, request.user.owner_id, name)
            keeping.delete_watchlist(c, request.user.owner_id, name)
            return there

        return await self._ledger.write(write)

    # --------------------------------------------------------------------------------------------- lots

    async def lots(self, request: Request) -> Sequence[Lot]:
        return await self._ledger.read(lambda c: keeping.lots_of(c, request.user.owner_id))

    async def lot(self, request: Request, lot_id: int) -> Lot:
        return await self._ledger.read(lambda c: _own_lot(c, request.user.owner_id, lot_id))

    async def add_lot(self, request: Request, lot: Lot) -> Lot:
        def write(c: sa.Connection) -> Lot:
            count = keeping.count_lots(c, request.user.owner_id)
            if count >= MOST_LOTS:
                raise BadRequest(f"you have {count} lots, counting those that you removed: no one can have more")
            return msgspec.structs.replace(lot, id=keeping.add_lot(c, request.user.owner_id, lot, self._now()))

        return await self._ledger.write(write)

    async def sell(self, request: Request, lot: Lot, sold: Lot, rest: Lot | None) -> Lot:
        def write(c: sa.Connection) -> Lot:
            if _own_lot(c, request.user.owner_id, lot.id) != lot or lot.sold_on:
                raise BadRequest(f"lot {lot.id} was changed meanwhile, nothing was sold: portfolio shows how it is now")
            if rest is None:
                keeping.change_lot(c, lot.id, _changed(lot, sold))
                return msgspec.structs.replace(sold, id=lot.id)
            keeping.change_lot(c, lot.id, _changed(lot, rest))
            return msgspec.structs.replace(sold, id=keeping.add_lot(c, request.user.owner_id, sold, self._now()))

        return await self._ledger.write(write)

    async def unsell(self, request: Request, lot_id: int) -> Lot:
        def write(c: sa.Connection) -> Lot:
            lot = _own_lot(c, request.user.owner_id, lot_id)
            if not lot.sold_on:
                raise BadRequest(f"lot {lot_id} is not sold: there is nothing to take back")
            held = msgspec.structs.replace(lot, sold_on="", proceeds=None, proceeds_currency="")
            keeping.change_lot(c, lot_id, _changed(lot, held))
            return held

        return await self._ledger.write(write)

    async def remove_lot(self, request: Request, lot_id: int, *, undo: bool = False) -> Lot:
        def write(c: sa.Connection) -> Lot:
            lot = _own_lot(c, request.user.owner_id, lot_id, removed=undo)
            keeping.change_lot(c, lot_id, {"removed_at": None if undo else self._now()})
            return lot

        return await self._ledger.write(write)

    # ------------------------------------------------------------------------------------------ digests

    async def digests(self, request: Request) -> Sequence[Digest]:
        return await self._ledger.read(lambda c: keeping.digests_of(c, request.user.owner_id))

    async def set_digest(
        self, request: Request, *, at_s: int, weekdays: str, about: Any, destination_id: int | None
    ) -> Digest:
        permitted(request)
        user = request.user
        wanted = Digest(
            owner_id=user.owner_id,
            user_id=user.id,
            at_s=at_s,
            weekdays=weekdays,
            about=about,
            destination_id=destination_id,
            time_zone=user.time_zone,
            next_at=schedule.due_at(at_s, weekdays, user.time_zone, self._now()).at_us,
        )

        def write(c: sa.Connection) -> Digest:
            if destination_id is not None and people.destination_of(c, user.owner_id, destination_id) is None:
                raise BadRequest(f"you have no destination {destination_id}: push lists those that you have")
            there = keeping.digests_of(c, user.owner_id)
            for each in there:
                if _plan(each) == _plan(wanted):
                    return self._switched(c, each, user, on=True)
            if len(there) >= MOST_DIGESTS:
                raise BadRequest(f"you have {len(there)} digests, no one can have more: digest remove N frees one")
            return msgspec.structs.replace(wanted, id=keeping.add_digest(c, wanted, self._now()))

        return await self._ledger.write(write)

    async def switch_digests(self, request: Request, number: int | None, *, on: bool) -> Sequence[Digest]:
        permitted(request)

        def write(c: sa.Connection) -> list[Digest]:
            return [self._switched(c, each, request.user, on=on) for each in _own_digests(c, request.user, number)]

        return await self._ledger.write(write)

    async def remove_digest(self, request: Request, number: int) -> Digest:
        permitted(request)

        def write(c: sa.Connection) -> Digest:
            (own,) = _own_digests(c, request.user, number)
            keeping.delete_digest(c, own.id)
            return own

        return await self._ledger.write(write)

    def _switched(self, c: sa.Connection, digest: Digest, user: User, *, on: bool) -> Digest:
        """What was due while it was off is not told when it is on again."""
        if digest.enabled == on:
            return digest
        next_at = schedule.due_at(digest.at_s, digest.weekdays, user.time_zone, self._now()).at_us
        keeping.change_digest(c, digest.id, {"enabled": on, "next_at": next_at, "time_zone": user.time_zone})
        return msgspec.structs.replace(digest, enabled=on, next_at=next_at, time_zone=user.time_zone)

    # -------------------------------------------------------------------------------------- all of it

    async def belongings(self, request: Request) -> tuple[Mapping[str, Sequence[Mapping[str, Any]]], Mapping[str, int]]:
        def read(c: sa.Connection) -> tuple[dict[str, list[dict[str, Any]]], dict[str, int]]:
            return belongings.read_out(c, request.user, MOST_READ_OUT), belongings.counts(c, request.user)

        return await self._ledger.read(read)

    async def settle(self, request: Request, field: str, value: str) -> User:
        """What is held through quiet hours is held by those that are settled then."""
        user = msgspec.structs.replace(request.user, **{field: value})

        def write(c: sa.Connection) -> int:
            people.settle(c, user.id, field, value)
            settled = people.user(c, user.id)
            if settled is None or field not in ("quiet", "time_zone"):
                return 0
            return quiet.retime(c, settled.owner_id, settled.quiet, settled.time_zone, self._now())

        if await self._ledger.write(write) and self._bus is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._bus.client.publish(subjects.OUTBOX, b"")
        return user

    async def going(self, request: Request) -> Going:
        def read(c: sa.Connection) -> Going:
            newest, _ = belongings.codes(c, request.user, self._now())
            return Going(code=newest, counts=belongings.counts(c, request.user))

        return await self._ledger.read(read)

    async def confirm(self, request: Request, code: str) -> None:
        await self._ledger.read(partial(self._confirm, request.user, code))

    async def forget(self, request: Request, code: str) -> Mapping[str, int]:
        user = request.user

        def silence(c: sa.Connection) -> None:
            self._confirm(user, code, c)
            _none_rings(c, user)
            belongings.silence(c, user)
            outbox.give_up_removed(c, self._now())

        def erase(c: sa.Connection) -> dict[str, int]:
            _none_rings(c, user)
            return belongings.erase(c, user)

        await self._ledger.write(silence)
        deadline = time.monotonic() + IN_FLIGHT_S
        while await self._ledger.read(lambda c: belongings.on_the_way(c, user)):
            await asyncio.sleep(LOOK_EVERY_S)
            late = time.monotonic() > deadline
            await self._ledger.write(partial(outbox.give_up_removed, now=self._now(), claimed=late))
        return await self._ledger.write(erase)

    def _confirm(self, user: User, code: str, c: sa.Connection) -> None:
        if code.lower() not in belongings.codes(c, user, self._now()):
            raise BadRequest(
                "that code does not confirm it any more: it is good for some minutes, and for what you have as it was"
                " then. Write forget for another"
            )


def _none_rings(c: sa.Connection, user: User) -> None:
    if count := belongings.live_alerts(c, user):
        raise BadRequest(f"{count} of your alerts may still ring, so you were not removed: write forget again")


def _own_list(c: sa.Connection, owner_id: int, name: str) -> WatchList:
    there = keeping.watchlist_of(c, owner_id, name)
    if there is None:
        raise BadRequest(
            f"you have no list {name}: watch lists shows those that you have"
            if name
            else "your list is empty: watch gold silver fills it"
        )
    return there


def _own_lot(c: sa.Connection, owner_id: int, lot_id: int, *, removed: bool = False) -> Lot:
    lot = keeping.lot_of(c, owner_id, lot_id, removed=removed)
    if lot is None:
        what = "removed no lot" if removed else "have no lot"
        raise BadRequest(f"you {what} {lot_id}: portfolio shows those that you have")
    return lot


def _own_digests(c: sa.Connection, user: User, number: int | None) -> list[Digest]:
    there = keeping.digests_of(c, user.owner_id)
    found = [each for each in there if number in (None, each.id)]
    if not found:
        what = "no digest" if number is None else f"no digest {number}"
        raise BadRequest(f"you have {what}: digest 08:00 makes one, digest shows what you have")
    return found


def _plan(digest: Digest) -> tuple[object, ...]:
    """What makes two digests the same one."""
    return digest.at_s, digest.weekdays, digest.about, digest.destination_id


def _changed(before: Lot, after: Lot) -> dict[str, Any]:
    names = keeping.LOT_COLUMNS
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
