"""What a command may use: quotes, its person's alerts and destinations, changes through the engine, the hub's status.

Everything is for the request's person: another person's alerts and destinations are not there. No alert is changed
without the engine having said so, and what is not known of a change is said. Depends on the bus and the ledger.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog

from hub import bus as subjects
from hub import wording
from hub.bus import Bus
from hub.callers import permitted
from hub.config import Config
from hub.i18n import _
from hub.ledger import Ledger, outbox, people
from hub.ledger import alerts as engines
from hub.ledger import alerts_view as view
from hub.model import (
    Alert,
    AlertAnswer,
    AlertChange,
    Armed,
    Checked,
    Destination,
    Look,
    Quote,
    Request,
    State,
    User,
)
from hub.plugin import (
    Added,
    AlertView,
    BadRequest,
    Catalogue,
    Command,
    DestinationView,
    Market,
    People,
    Personal,
    Tried,
    TryLater,
)
from hub.rules.language import Clock, canonical, parse
from hub.waiting import waits_for

ENGINE_TIMEOUT_S = 9.0  # below a command's own limit, so that the person hears which of the two it was
LOOK_TIMEOUT_S = 2.0
HANDED_OVER_S = (0.1, 0.2, 0.4, 0.8)
STATUS_WAIT_S = 0.25
CHECK_TIMEOUT_S = 5.0  # the first check of a push bot imports its library
TEST_WAIT_S = 8.0
IN_FLIGHT_S = 5.0  # how long a removal waits for what is on its way
LOOK_EVERY_S = 0.05
MOST_DESTINATIONS = 20  # of one person: each is a message more at every alert
MOST_LINES = 200
ON = (State.ARMED, State.FIRED, State.DWELLING, State.COOLING)
ADDABLE = ("push", "webhook")
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{0,31})://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
FIRE_NOW = re.compile(r"\s+now\s*$", re.IGNORECASE)

T = TypeVar("T")
log = structlog.get_logger("commands")


class Quotes(Protocol):
    """The newest quotes. See hub.quotes."""

    def get(self, instrument_id: str) -> Quote | None: ...
    def all(self) -> Sequence[Quote]: ...


class HubContext:
    """Implements hub.plugin.Context."""

    def __init__(
        self,
        *,
        bus: Bus,
        ledger: Ledger,
        quotes: Quotes,
        catalogue: Catalogue,
        config: Config,
        modules: Sequence[Command],
        market: Market,
        personal: Personal,
        people: People,
        clock: Callable[[], int],
    ) -> None:
        self.market = market
        self.personal = personal
        self.people = people
        self.catalogue = catalogue
        self.now = clock
        self.decimals_of: Callable[[str], int] = self._decimals_of
        self.theme = config.charts.theme
        self._bus = bus
        self._ledger = ledger
        self._quotes = quotes
        self._config = config
        self._modules = modules

    def _decimals_of(self, instrument_id: str) -> int:
        instrument = self.catalogue.get(instrument_id)
        return instrument.decimals if instrument else 2

    def commands(self) -> Sequence[Command]:
        return self._modules

    async def quote(self, instrument_id: str) -> Quote | None:
        return self._quotes.get(instrument_id)

    async def quotes(self) -> Sequence[Quote]:
        return list(self._quotes.all())

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

    async def alerts(self, request: Request, *, finished: bool = False) -> Sequence[AlertView]:
        stored = await self._ledger.read(
            lambda connection: view.alerts_of(connection, request.user.owner_id, finished=finished)
        )
        looks = await self._looks(request, stored)
        return [self._view(each, request.user, looks.get(each.alert.id)) for each in stored]

    async def alert(self, request: Request, alert_id: int) -> AlertView:
        owner_id, zone, now = request.user.owner_id, request.user.time_zone, self.now()

        def read(connection: Any) -> AlertView | None:
            stored = view.alert_of(connection, owner_id, alert_id)
            if stored is None:
                return None
            found.append(stored)
            return AlertView(
                alert=stored.alert,
                deliveries=view.deliveries_of(connection, alert_id, zone, now),
                history=view.history_of(connection, alert_id, zone, now),
            )

        found: list[view.StoredAlert] = []
        told = await self._ledger.read(read)
        if told is None:
            raise BadRequest(
                _("you have no alert {alert_id}: alerts lists those that you have").format(alert_id=alert_id)
            )
        looks = await self._looks(request, found[-1:], alert_id)
        return msgspec.structs.replace(
            self._view(found[-1], request.user, looks.get(alert_id)), deliveries=told.deliveries, history=told.history
        )

    async def life(self, request: Request, alert_id: int) -> Sequence[str]:
        zone, now = request.user.time_zone, self.now()
        await self.alert(request, alert_id)  # it is theirs
        return await self._ledger.read(lambda c: view.history_of(c, alert_id, zone, now, MOST_LINES))

    async def _looks(
        self, request: Request, stored: Sequence[view.StoredAlert], alert_id: int = 0
    ) -> Mapping[int, Look]:
        """What the engine sees of those that watch more than a price; nothing where it does not answer."""
        asked = [each for each in stored if each.alert.state in ON and not self._is_plain(each.alert.text)]
        if not asked:
            return {}
        try:
            answer = await self._ask_engine(request, "look", LOOK_TIMEOUT_S, alert_id=alert_id)
        except TryLater:
            return {}
        return {look.alert_id: look for look in answer.looks or ()}

    def _is_plain(self, text: str) -> bool:
        try:
            spec = parse(text, self.catalogue.find)
        except BadRequest:
            return True
        return spec.plain is not None and not spec.hold_us and spec.sources < 2

    async def create_alert(self, request: Request, line: str) -> Armed:
        """`line` in the alert language; a last word "now" asks to ring at once where it holds already."""
        condition, fire_now = FIRE_NOW.subn("", line)
        return await self._change(request, "create", line=self._read(request, condition), fire_now=bool(fire_now))

    def _read(self, request: Request, line: str) -> str:
        """The canonical line: times are those of the person's clock, and a portfolio is in their currency."""
        spec = parse(line.strip(), self.catalogue.find, Clock(now_us=self.now(), zone=request.user.time_zone))
        return canonical(spec)

    async def again(self, request: Request, alert_id: int) -> Armed:
        return await self._change(request, "again", alert_id=alert_id)

    async def edit_alert(self, request: Request, alert_id: int, line: str, was: str = "") -> Armed:
        return await self._change(request, "edit", alert_id=alert_id, line=self._read(request, line), was=was)

    async def pause(self, request: Request, alert_id: int, *, off: bool = False) -> Alert:
        return (await self._change(request, "wake" if off else "pause", alert_id=alert_id)).alert

    async def mute(
        self, request: Request, instrument_id: str, until: int | None, *, off: bool = False
    ) -> Sequence[Alert]:
        action = "unmute" if off else "mute"
        answer = await self._engine(request, action, instrument=instrument_id, until=until)
        return answer.alerts or ()

    async def snooze(self, request: Request, alert_id: int, until: int | None) -> Alert:
        if until is None:
            return (await self._change(request, "wake", alert_id=alert_id)).alert
        return (await self._change(request, "snooze", alert_id=alert_id, until=until)).alert

    async def delete(self, request: Request, alert_id: int, *, undo: bool = False) -> Alert:
        return (await self._change(request, "restore" if undo else "delete", alert_id=alert_id)).alert

    async def status(self) -> Mapping[str, Any]:
        """By service name; where several answer to one name, a list. `children` is what the supervisor wrote."""
        told: dict[str, Any] = {}
        for answer in await self._bus.scatter(subjects.STATUS, b"", STATUS_WAIT_S):
            try:
                said = msgspec.json.decode(answer, type=dict[str, Any])
            except msgspec.MsgspecError:
                log.warning("a service's status could not be read", length=len(answer))
                continue
            name = str(said.get("service", "unnamed"))
            if name not in told:
                told[name] = said
            elif isinstance(told[name], list):
                told[name].append(said)
            else:
                told[name] = [told[name], said]
        children = await asyncio.to_thread(self._children)
        return {**told, "children": children} if children else told

    async def _change(self, request: Request, action: Any, **details: Any) -> Armed:
        answer = await self._engine(request, action, **details)
        if answer.armed is None:
            raise BadRequest(_("the alert engine gave no answer, nothing was changed; try again"))
        return answer.armed

    async def _engine(self, request: Request, action: Any, **details: Any) -> AlertAnswer:
        """What the engine says of it. A timeout leaves it open whether the change was made."""
        permitted(request)
        try:
            answer = await self._ask_engine(request, action, ENGINE_TIMEOUT_S, **details)
        except TryLater as error:
            if isinstance(error.__cause__, nats.errors.NoRespondersError):
                raise BadRequest(_("the alert engine does not answer now, nothing was changed; try again")) from error
            raise BadRequest(
                _("the alert engine did not answer ({reason}): alerts shows whether it was changed").format(
                    reason=error.reason
                )
            ) from error
        if answer.error:
            raise BadRequest(answer.error)
        return answer

    async def _ask_engine(self, request: Request, action: Any, timeout_s: float, **details: Any) -> AlertAnswer:
        user = request.user
        change = AlertChange(action=action, owner_id=user.owner_id, user_id=user.id, user_name=user.name, **details)
        group = engines.group_of(user.owner_id, shared=self._ledger.shared)
        for wait_s in HANDED_OVER_S if self._ledger.shared else ():
            try:
                return await self._bus.request(subjects.alerts(group), change, AlertAnswer, timeout_s)
            except TryLater as error:
                if not isinstance(error.__cause__, nats.errors.NoRespondersError):
                    raise
            await asyncio.sleep(wait_s)  # its owners are on their way from one engine to another
        return await self._bus.request(subjects.alerts(group), change, AlertAnswer, timeout_s)

    def _view(self, stored: view.StoredAlert, user: User, look: Look | None) -> AlertView:
        alert = stored.alert
        quote = self._quotes.get(alert.instrument)
        try:
            spec = parse(alert.text, self.catalogue.find)
        except BadRequest as error:
            waits = _("nothing: its line is not understood any more ({reason})").format(
                reason=error.text.splitlines()[0]
            )
        else:
            waits = waits_for(
                alert,
                spec,
                (stored.up_armed, stored.down_armed),
                quote,
                look,
                get=self.catalogue.get,
                band_percent=self._config.alerts.band_percent,
                zone=user.time_zone,
                now=self.now(),
            )
        return AlertView(alert=alert, quote=quote, look=look, last_trigger=stored.last_trigger, waits_for=waits)

    def _children(self) -> Any:
        try:
            return msgspec.json.decode((self._config.folder / "run" / "children.json").read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None  # no supervisor of ours, or it is just writing


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
