"""A person's alerts as commands see them, and every change of them: a request to the engine.

No alert is changed without the engine having said so, and what is not known of a change is said. Depends on the bus and
the ledger.
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
from hub.callers import permitted
from hub.config import Config
from hub.history import HistoryTrouble
from hub.i18n import _
from hub.ledger import Ledger
from hub.ledger import alerts as engines
from hub.ledger import alerts_view as view
from hub.model import Alert, AlertAnswer, AlertChange, Armed, Backtest, Look, Quote, Request, State, User
from hub.plugin import AlertView, BadRequest, Catalogue, Market, TryLater
from hub.rules.language import AlertSpec, Clock, canonical, parse
from hub.waiting import waits_for
from hub.wording import DAY_US

ENGINE_TIMEOUT_S = 9.0  # below a command's own limit, so that the person hears which of the two it was
LOOK_TIMEOUT_S = 2.0
HANDED_OVER_S = (0.1, 0.2, 0.4, 0.8)
MOST_LINES = 200
MOST_SPECS = 4_096
MOST_LOOKS = 200
ON = (State.ARMED, State.FIRED, State.DWELLING, State.COOLING)
PREVIEW_US = 30 * DAY_US
PREVIEW_LEAST_US = DAY_US // 24
"""What is stored of less time says nothing about how often an alert rings."""
PREVIEW_S, PREVIEW_MOST = 0.3, 40_000
"""What a back-test may take beside the reply to a new alert: seconds, and prices."""
TEST_S, TEST_MOST = 6.0, 300_000
AGAIN_S, AGAIN_MOST = 2.5, 80_000
"""And where somebody asks for it; and once more, on less, where that was not enough."""
FIRE_NOW = re.compile(r"\s+now\s*$", re.IGNORECASE)


log = structlog.get_logger("commands")


class Quotes(Protocol):
    """The newest quotes. See hub.quotes."""

    def get(self, instrument_id: str) -> Quote | None: ...
    def all(self) -> Sequence[Quote]: ...


class Backtests(Protocol):
    """See hub.backtest."""

    async def run(
        self, spec: AlertSpec, owner_id: int, start_us: int, end_us: int, *, most: int, within_s: float, cut: bool
    ) -> Backtest | None: ...
    @property
    def busy(self) -> bool: ...


class Alerts:
    """The part of hub.plugin.Context that is about alerts."""

    catalogue: Catalogue
    market: Market
    now: Callable[[], int]
    _bus: Bus
    _ledger: Ledger
    _quotes: Quotes
    _config: Config
    _backtests: Backtests
    _specs: dict[str, AlertSpec]  # by their stored lines: reading one with the grammar takes a third of a millisecond

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
        looks = await self._looks(request, found[-1:])
        return msgspec.structs.replace(
            self._view(found[-1], request.user, looks.get(alert_id)), deliveries=told.deliveries, history=told.history
        )

    async def life(self, request: Request, alert_id: int) -> Sequence[str]:
        zone, now = request.user.time_zone, self.now()
        await self.alert(request, alert_id)  # it is theirs
        return await self._ledger.read(lambda c: view.history_of(c, alert_id, zone, now, MOST_LINES))

    async def _looks(self, request: Request, stored: Sequence[view.StoredAlert]) -> Mapping[int, Look]:
        """What the engine sees of those that watch more than a price; nothing where it does not answer."""
        alerts = (each.alert for each in stored)
        asked = tuple(each.id for each in alerts if each.state in ON and not self._is_plain(each.text))
        if not asked:
            return {}
        try:
            answer = await self._ask_engine(request, "look", LOOK_TIMEOUT_S, alert_ids=asked[:MOST_LOOKS])
        except TryLater:
            return {}
        return {look.alert_id: look for look in answer.looks or ()}

    def _spec(self, text: str) -> AlertSpec:
        """Of a stored line; BadRequest where it cannot be read any more."""
        spec = self._specs.get(text)
        if spec is None:
            if len(self._specs) >= MOST_SPECS:
                self._specs.clear()
            spec = self._specs[text] = parse(text, self.catalogue.find)
        return spec

    def _is_plain(self, text: str) -> bool:
        try:
            spec = self._spec(text)
        except BadRequest:
            return True
        return spec.plain is not None and not spec.hold_us and spec.sources < 2

    async def create_alert(self, request: Request, line: str) -> Armed:
        """`line` in the alert language; a last word "now" asks to ring at once where it holds already."""
        condition, fire_now = FIRE_NOW.subn("", line)
        return await self._change(request, "create", line=self._read(request, condition), fire_now=bool(fire_now))

    async def backtest(self, request: Request, line: str, start_us: int, end_us: int) -> Backtest:
        spec, owner_id, run = self._spec(self._read(request, line)), request.user.owner_id, self._backtests.run
        try:
            found = await run(spec, owner_id, start_us, end_us, most=TEST_MOST, within_s=TEST_S, cut=True)
            if found is None:
                found = await run(spec, owner_id, start_us, end_us, most=AGAIN_MOST, within_s=AGAIN_S, cut=True)
        except HistoryTrouble as error:
            raise BadRequest(str(error)) from error
        if found is None:
            raise BadRequest(_("that takes too long now: try again, or a shorter time (last 7d)"))
        return found

    async def preview(self, request: Request, line: str) -> Backtest | None:
        """Whatever goes wrong, the alert that it stands beside has been set: it is left out then."""
        if self._backtests.busy:
            return None
        try:
            spec = self._spec(self._read(request, line))
            end_us = self.market.now(next(iter(spec.instruments), ""))
            found = await self._backtests.run(
                spec, request.user.owner_id, end_us - PREVIEW_US, end_us,
                most=PREVIEW_MOST, within_s=PREVIEW_S, cut=False,
            )  # fmt: skip
            return found if found is not None and found.end - found.start >= PREVIEW_LEAST_US else None
        except BadRequest:
            return None
        except Exception:
            log.exception("a back-test failed", line=line)
            return None

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
            spec = self._spec(alert.text)
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
