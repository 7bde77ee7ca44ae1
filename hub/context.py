"""What a command may use: quotes, its person's alerts, changes through the engine, the hub's own status.

Everything is for the request's person: another person's alerts are not there. Nothing is changed without the engine
having said so, and what is not known of a change is said. Depends on the bus and the ledger.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import nats.errors
import structlog

from hub import bus as subjects
from hub.bus import Bus
from hub.config import Config
from hub.ledger import Ledger, people
from hub.ledger import alerts_view as view
from hub.model import Alert, AlertAnswer, AlertChange, Armed, Destination, Quote, Request, User
from hub.plugin import AlertView, BadRequest, Catalogue, Command, TryLater
from hub.rules.language import band_of, parse

ENGINE_TIMEOUT_S = 9.0  # below a command's own limit, so that the person hears which of the two it was
STATUS_WAIT_S = 0.25
FIRE_NOW = re.compile(r"\s+now\s*$", re.IGNORECASE)

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
        clock: Callable[[], int],
    ) -> None:
        self.catalogue = catalogue
        self.now = clock
        self.decimals_of: Callable[[str], int] = self._decimals_of
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

    async def alerts(self, request: Request, *, finished: bool = False) -> Sequence[AlertView]:
        stored = await self._ledger.read(
            lambda connection: view.alerts_of(connection, request.user.owner_id, finished=finished)
        )
        return [self._view(each, request.user) for each in stored]

    async def alert(self, request: Request, alert_id: int) -> AlertView:
        owner_id, zone, now = request.user.owner_id, request.user.time_zone, self.now()

        def read(connection: Any) -> AlertView | None:
            stored = view.alert_of(connection, owner_id, alert_id)
            if stored is None:
                return None
            return msgspec.structs.replace(
                self._view(stored, request.user),
                deliveries=view.deliveries_of(connection, alert_id, zone, now),
                history=view.history_of(connection, alert_id, zone, now),
            )

        found = await self._ledger.read(read)
        if found is None:
            raise BadRequest(f"you have no alert {alert_id}: alerts lists those that you have")
        return found

    async def create_alert(self, request: Request, line: str) -> Armed:
        """`line` in the alert language; a last word "now" asks to ring at once where it holds already."""
        condition, fire_now = FIRE_NOW.subn("", line)
        return await self._change(request, "create", line=condition.strip(), fire_now=bool(fire_now))

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
        """What the engine says of it. A timeout leaves it open whether the change was made."""
        user = request.user
        change = AlertChange(action=action, owner_id=user.owner_id, user_id=user.id, user_name=user.name, **details)
        try:
            answer = await self._bus.request(subjects.ENGINE_ALERTS, change, AlertAnswer, ENGINE_TIMEOUT_S)
        except TryLater as error:
            if isinstance(error.__cause__, nats.errors.NoRespondersError):
                raise BadRequest("the alert engine does not answer now, nothing was changed; try again") from error
            raise BadRequest(
                f"the alert engine did not answer ({error.reason}): alerts shows whether it was changed"
            ) from error
        if answer.armed is None:
            raise BadRequest(answer.error or "the alert engine gave no answer, nothing was changed; try again")
        return answer.armed

    def _view(self, stored: view.StoredAlert, user: User) -> AlertView:
        alert = stored.alert
        quote = self._quotes.get(alert.instrument)
        instrument = self.catalogue.get(alert.instrument)
        try:
            spec = parse(alert.text, self.catalogue.find)
        except BadRequest as error:
            waits = f"nothing: its line is not understood any more ({error.text.splitlines()[0]})"
        else:
            waits = "its instrument, which this hub knows no more"
            if instrument:
                band = band_of(spec, self._config.alerts.band_percent)
                waits = view.waits_for(stored, spec, instrument, quote, band=band, zone=user.time_zone, now=self.now())
        return AlertView(alert=alert, quote=quote, last_trigger=stored.last_trigger, waits_for=waits)

    def _children(self) -> Any:
        try:
            return msgspec.json.decode((self._config.folder / "run" / "children.json").read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None  # no supervisor of ours, or it is just writing
