"""A person's destinations as commands see and change them: added after a check, tried, switched, removed.

Depends on the bus and the ledger.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import nats.errors
import sqlalchemy as sa

from hub import bus as subjects
from hub import wording
from hub.bus import Bus
from hub.ledger import Ledger, outbox, people
from hub.ledger import alerts_view as view
from hub.model import Checked, Destination, Request
from hub.plugin import Added, BadRequest, DestinationView, Tried, TryLater

CHECK_TIMEOUT_S = 5.0  # the first check of a push bot imports its library
TEST_WAIT_S = 8.0
IN_FLIGHT_S = 5.0  # how long a removal waits for what is on its way
LOOK_EVERY_S = 0.05
MOST_DESTINATIONS = 20  # of one person: each is a message more at every alert
ADDABLE = ("push", "webhook")
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{0,31})://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)

T = TypeVar("T")


class Places:
    """The part of hub.plugin.Context that is about destinations."""

    now: Callable[[], int]
    _bus: Bus
    _ledger: Ledger

    async def destinations(self, request: Request) -> Sequence[Destination]:
        return await self._ledger.read(lambda connection: people.destinations_of(connection, request.user.owner_id))

    async def destination_views(self, request: Request) -> Sequence[DestinationView]:
        owner_id, zone, now = request.user.owner_id, request.user.time_zone, self.now()

        def read(connection: sa.Connection) -> list[DestinationView]:
            found = people.destinations_of(connection, owner_id)
            news = outbox.news_of(connection, [each.id for each in found])
            return [_destination_view(each, news.get(each.id), zone, now) for each in found]

        return await self._ledger.read(read)

    async def add_destination(self, request: Request, url: str) -> Added:
        platform = platform_of(url)
        owner_id, now = request.user.owner_id, self.now()
        wanted = Destination(
            id=0, owner_id=owner_id, platform=platform, address=url, label=people.label_of(platform, url)
        )
        bot, checked = await self._check(wanted)
        if checked.refused:
            raise BadRequest(f"nothing would ever arrive there, so it was not added: {checked.refused}")

        def write(connection: sa.Connection) -> tuple[Destination, bool]:
            there = people.destinations_of(connection, owner_id)
            for each in there:
                if (each.platform, each.address) == (platform, url):
                    return each, True
            if len(there) >= MOST_DESTINATIONS:
                raise BadRequest(f"you have {len(there)} destinations, no one can have more: push remove N frees one")
            return people.add_destination(connection, owner_id, platform, url, wanted.label, now), False

        destination, existed = await self._ledger.write(write)
        return Added(destination=destination, existed=existed, bot=bot, unsure=checked.unsure)

    async def switch_destination(self, request: Request, destination_id: int, *, on: bool) -> DestinationView:
        why = "" if on else people.OFF
        await self._own(request, destination_id, lambda connection, own: people.switch(connection, own.id, why))
        if on:
            await self._bus.client.publish(subjects.OUTBOX, b"")
        views = await self.destination_views(request)
        return next(each for each in views if each.destination.id == destination_id)

    async def remove_destination(self, request: Request, destination_id: int) -> tuple[Destination, int]:
        """What is on its way is waited for, so that what arrived is not called given up."""

        def write(connection: sa.Connection, own: Destination) -> int:
            if own.platform not in ADDABLE:
                raise BadRequest(f"the {own.label} stays; push off {own.id} keeps it silent")
            people.forget(connection, own.id)
            return outbox.give_up_removed(connection, self.now())

        removed, given_up = await self._own(request, destination_id, write)
        deadline = time.monotonic() + IN_FLIGHT_S
        while await self._ledger.read(lambda connection: outbox.head_of(connection, destination_id)) is not None:
            await asyncio.sleep(LOOK_EVERY_S)
            late = time.monotonic() > deadline
            given_up += await self._ledger.write(partial(outbox.give_up_removed, now=self.now(), claimed=late))
        return removed, given_up

    async def test_destination(self, request: Request, destination_id: int) -> Tried:
        now, zone = self.now(), request.user.time_zone
        text = f"A test that {request.user.name} asked for at {wording.clock(now, zone, now)} ({zone})."

        def write(connection: sa.Connection, own: Destination) -> int:
            if own.disabled:
                raise BadRequest(f"{own.label} is off ({own.disabled}): push on {own.id} switches it on")
            return outbox.add_test(connection, own.id, "Tocsin test", text, now)

        destination, notification_id = await self._own(request, destination_id, write)
        await self._bus.client.publish(subjects.OUTBOX, b"")
        deadline = time.monotonic() + TEST_WAIT_S
        while True:
            tried = await self._ledger.read(lambda connection: _tried(connection, destination, notification_id))
            if tried.outcome != "open" or time.monotonic() > deadline:
                return tried
            await asyncio.sleep(LOOK_EVERY_S)

    async def _own(
        self, request: Request, destination_id: int, write: Callable[[sa.Connection, Destination], T]
    ) -> tuple[Destination, T]:
        """`write` for one of the person's own destinations, in one transaction."""

        def look(connection: sa.Connection) -> tuple[Destination, T]:
            own = people.destination_of(connection, request.user.owner_id, destination_id)
            if own is None:
                raise BadRequest(f"you have no destination {destination_id}: push lists those that you have")
            return own, write(connection, own)

        return await self._ledger.write(look)

    async def _check(self, destination: Destination) -> tuple[bool, Checked]:
        """Whether a bot answers for that platform, and what it says."""
        try:
            return True, await self._bus.request(
                subjects.check(destination.platform), destination, Checked, CHECK_TIMEOUT_S
            )
        except TryLater as error:
            absent = isinstance(error.__cause__, nats.errors.NoRespondersError)
            return not absent, Checked() if absent else Checked(unsure=error.reason)


def platform_of(url: str) -> str:
    """Which bot sends to that URL; BadRequest, without the URL, for what is none."""
    found = ADDRESS.fullmatch(url)
    if not found:
        raise BadRequest("that is no URL: write push add https://… for a webhook, or an apprise URL such as ntfy://…")
    if found[1].lower() not in ("http", "https"):
        return "push"
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise BadRequest("that webhook names no server, or a port that cannot be: https://host/path is the form")
    return "webhook"


def _destination_view(destination: Destination, news: outbox.News | None, zone: str, now: int) -> DestinationView:
    if news is None:
        return DestinationView(destination=destination)
    last = view.became(news.newest, zone, now)
    return DestinationView(destination=destination, last=last, waiting=news.waiting, held=news.held)


def _tried(connection: sa.Connection, destination: Destination, notification_id: int) -> Tried:
    """A notification that nobody tried tells of the one that it waits behind."""
    own = outbox.state_of(connection, notification_id)
    if own.state == "sent":
        return Tried(destination=destination, outcome="sent", text=own.receipt)
    if own.state == "dead":
        return Tried(destination=destination, outcome="given up", text=own.reason)
    head = outbox.head_of(connection, destination.id)
    if head is None or not head.attempts:
        return Tried(destination=destination, outcome="open")
    return Tried(destination=destination, outcome="waits", text=head.reason, again_at=head.due_at)
