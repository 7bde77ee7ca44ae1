"""A conversation with a hub: lines and replies, its newest prices, its alerts as they ring.

The chat finds its hub again when that was restarted, wherever it then listens, and says so when it is away and
back. What rang while no chat was open is shown at the next start. Prices are of the newest kind: they may skip.
`talk_in_lines` holds it without a terminal, hub.terminal on one; hub.talk says how a hub is found.
"""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from nats.aio.msg import Msg

from hub import bus as subjects
from hub import wording
from hub.bus import Bus, connect
from hub.config import Config
from hub.model import SECOND_US, Message, Nature, Quote, Reply
from hub.plugin import TryLater
from hub.render import message_lines, plain, safe
from hub.talk import CONNECT_TIMEOUT_S, HubAddress, address_of, kept_in_chat, put, say

if TYPE_CHECKING:
    from rich.text import Text

REFRESH_S = 0.5
FIRST_CONNECT_S = 10.0
MISSED_AT_FIRST = 5
"""How many alerts are shown to somebody who never had a chat open here."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument in the line of prices."""

    name: str
    decimals: int
    price: float
    day: float  # the day's change as a share
    nature: Nature = Nature.LIVE
    market_open: bool = True
    stale: bool = False
    received_at: int = 0
    stale_after_s: float = 60.0

    def remark(self, now: int) -> str:
        if not self.market_open:
            return "closed"
        silent = self.nature != Nature.RECORDING and now - self.received_at > self.stale_after_s * SECOND_US
        return "stale" if self.stale or silent else ""


class Vocabulary(msgspec.Struct):
    """What can be completed, each with a word on what it is. Filled from the hub's own answers."""

    commands: dict[str, str] = {}
    instruments: dict[str, str] = {}
    alerts: dict[str, str] = {}

    def learn(self, facts: Mapping[str, Any]) -> None:
        """From the facts of any reply. Other commands may mean other things by the same names: what does not
        look as expected is passed over."""
        for command in _dicts(facts.get("commands")):
            if "name" in command:
                self.commands[str(command["name"])] = str(command.get("summary", ""))
        for instrument in _dicts(facts.get("instruments")):
            if "id" in instrument:
                for word in (instrument["id"], *instrument.get("aliases", ())):
                    self.instruments[str(word)] = str(instrument.get("name", ""))
        if isinstance(facts.get("alerts"), (list, tuple)):
            alerts = _dicts(facts["alerts"])
            self.alerts = {str(alert["id"]): str(alert["words"]) for alert in alerts if {"id", "words"} <= set(alert)}
        elif "id" in facts and "text" in facts:
            self.alerts[str(facts["id"])] = str(facts["text"])


# -------------------------------------------------------------------------------------------------- seen


class Seen:
    """The newest trigger that this person was shown in a chat, kept in a file: what is newer was missed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.newest: int | None = int(path.read_text())
        except (OSError, ValueError):
            self.newest = None

    def missed(self, alerts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Alerts (facts of the command `alerts`) that rang since, the oldest first."""
        rung = [alert for alert in alerts if alert.get("last_trigger")]
        rung.sort(key=lambda alert: alert["last_trigger"]["id"])
        if self.newest is None:
            return rung[-MISSED_AT_FIRST:]
        return [alert for alert in rung if alert["last_trigger"]["id"] > self.newest]

    def note(self, trigger_ids: Iterable[int]) -> None:
        newest = max([self.newest or 0, *trigger_ids])
        if newest != self.newest:
            self.newest = newest
            with suppress(OSError):  # a folder that cannot be written costs the memory, not the chat
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.path.write_text(str(newest))


# -------------------------------------------------------------------------------------------------- chat


class Chat:
    """A conversation that survives its hub. `show(lines, ring)` puts lines on the screen."""

    def __init__(
        self,
        find: Callable[[], HubAddress | None],
        name: str,
        seen: Seen,
        show: Callable[[Sequence["Text"], bool], None],
        clock: Callable[[], int],
    ) -> None:
        self.words = Vocabulary()
        self.prices: dict[str, Shown] = {}
        self.now = clock
        self._find = find
        self._name = name
        self._seen = seen
        self._show = show
        self._facts: dict[str, Mapping[str, Any]] = {}  # by instrument: name, decimals, stale_after_s
        self._told: set[int] = set()  # triggers shown as missed, so that their late message is not shown again
        self._bus: Bus | None = None
        self.connected = asyncio.Event()

    def shown(self) -> list[Shown]:
        """The newest prices, in the order in which the hub serves them."""
        order = {instrument: index for index, instrument in enumerate(self._facts)}
        return [self.prices[each] for each in sorted(self.prices, key=lambda each: (order.get(each, len(order)), each))]

    async def say(self, text: str) -> Reply | None:
        """The hub's reply, or None: what is wrong was shown then."""
        bus = self._bus
        if bus is None or not bus.client.is_connected:
            self._tell("The hub is away; this line was not sent.", "yellow")
            return None
        try:
            reply = await say(bus, text, self._name)
        except TryLater as error:
            self._tell(f"The hub does not answer: {error.reason}.", "yellow")
            return None
        self.words.learn(reply.facts)
        return reply

    async def keep(self) -> None:
        """Holds a connection to whatever hub there is, for ever; told when it goes and comes."""
        was_away = False
        while True:
            address = self._find()
            try:
                if address is None:
                    raise TryLater("no hub runs")
                await self._be_with(address, was_away)
            except TryLater:
                pass
            self._bus = None
            if self.connected.is_set() or not was_away:
                self._tell("The hub is away. Waiting for it …", "yellow")
            self.connected.clear()
            was_away = True
            await asyncio.sleep(REFRESH_S)

    async def _be_with(self, address: HubAddress, was_away: bool) -> None:
        """Returns once that hub is gone, or another one has taken its place."""
        token = address.bus_token or None
        async with (
            connect(address.bus_url, token, "chat", patience_s=CONNECT_TIMEOUT_S) as bus,
            self._listening(bus),
        ):
            self._bus = bus
            await self._greet(bus)
            self.connected.set()
            if was_away:
                self._tell("The hub is back.", "green")
            while bus.client.is_connected and self._find() == address:  # a file has no event
                await asyncio.sleep(REFRESH_S)

    @asynccontextmanager
    async def _listening(self, bus: Bus) -> AsyncIterator[None]:
        quotes = await bus.client.subscribe("quote.*", cb=self._take_quote)
        alerts = await bus.client.subscribe(subjects.console(self._name), cb=self._take_message)
        try:
            yield
        finally:
            if not bus.client.is_closed:
                await quotes.unsubscribe()
                await alerts.unsubscribe()

    async def _greet(self, bus: Bus) -> None:
        """What the chat has to know of the hub, and what rang while nobody was here. TryLater while the hub
        itself is still starting: the bus may be there first."""
        for line in ("help", "price", "alerts all"):
            reply = await say(bus, line, self._name)
            self.words.learn(reply.facts)
            for instrument in _dicts(reply.facts.get("instruments")):
                self._facts[instrument["id"]] = instrument
            for quote in _dicts(reply.facts.get("quotes")):
                self._take_fact(quote)
            if "alerts" in reply.facts:
                self._tell_missed(_dicts(reply.facts["alerts"]))

    def _tell_missed(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        from rich.text import Text

        missed = self._seen.missed(alerts)
        if not missed:
            return
        lines = [Text("Rang while no chat was open:", style="bold yellow")]
        lines += [Text(safe(f"  {alert['id']}  {alert['words']}: {alert['rang']}")) for alert in missed]
        self._show(lines, False)
        ids = [int(alert["last_trigger"]["id"]) for alert in missed]
        self._told.update(ids)
        self._seen.note(ids)

    def _take_fact(self, quote: Mapping[str, Any]) -> None:
        self._facts.setdefault(quote["instrument"], quote)
        self.prices[quote["instrument"]] = Shown(
            name=quote["name"],
            decimals=quote["decimals"],
            price=quote["price"],
            day=quote["change_percent"] / 100,
            nature=Nature(quote["nature"]),
            market_open=quote["market_open"],
            stale=quote["stale"],
            received_at=self.now(),
            stale_after_s=self._facts[quote["instrument"]].get("stale_after_s", 60.0),
        )

    async def _take_quote(self, received: Msg) -> None:
        try:
            quote = msgspec.json.decode(received.data, type=Quote)
        except msgspec.MsgspecError:
            return  # of a newer hub, perhaps; the price then grows stale on the screen and says so
        facts = self._facts.get(quote.instrument, {})
        self.prices[quote.instrument] = Shown(
            name=facts.get("name", quote.instrument),
            decimals=facts.get("decimals", 2),
            price=quote.price,
            day=quote.price / (quote.previous or quote.open) - 1,
            nature=quote.nature,
            market_open=quote.market_open,
            stale=quote.stale_since is not None,
            received_at=self.now(),
            stale_after_s=facts.get("stale_after_s", 60.0),
        )

    async def _take_message(self, received: Msg) -> None:
        from rich.text import Text

        try:
            message = msgspec.json.decode(received.data, type=Message)
        except msgspec.MsgspecError as error:
            self._tell(f"An alert came that this chat cannot read ({error}); `alerts` shows what rang.", "red")
            return
        ids = {each.trigger.id for each in message.notifications if each.trigger}
        if ids and ids <= self._told:
            return
        head, *rest = message_lines(message)
        lines = [Text(f"● {head}", style="bold black on yellow"), *(Text(f"  {line}") for line in rest)]
        self._show([*lines, Text(f"  {footer(message, self.now())}", style="dim")], True)
        self._seen.note(ids)

    def _tell(self, text: str, style: str) -> None:
        from rich.text import Text

        self._show([Text(text, style=style)], False)


def footer(message: Message, now: int) -> str:
    """When it was told, and what can be said next."""
    told = f"rang {wording.clock(now, 'UTC', now)} UTC"
    if any(each.held_until is not None for each in message.notifications):
        told = f"told {wording.clock(now, 'UTC', now)} UTC"
    ids = {each.alert_id for each in message.notifications if each.alert_id is not None}
    return f"{told}; more: why {ids.pop()}" if len(ids) == 1 else told


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def _now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def kept(chat: Chat) -> AsyncIterator[None]:
    """Runs the connection beside the conversation; a bug in it ends both."""
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(chat.keep())
        try:
            yield
        finally:
            keeper.cancel()


def chat_of(config: Config, name: str, show: Callable[[Sequence["Text"], bool], None]) -> Chat:
    seen = Seen(config.folder / "chat" / f"{subjects.token(name)}.seen")
    return Chat(lambda: address_of(config), name, seen, show, _now_us)


# ------------------------------------------------------------------------------------------- plain lines


async def talk_in_lines(config: Config, name: str, on_start: str, stop: asyncio.Event) -> int:
    """Without a terminal: every line of stdin is answered in plain text; alerts come in between. Ends with
    stdin; 2 where no hub answers at the start."""
    chat = chat_of(config, name, lambda lines, _: put("\n".join(line.plain for line in lines)))
    if on_start:
        put(on_start)
    async with kept(chat):
        try:
            await asyncio.wait_for(chat.connected.wait(), FIRST_CONNECT_S)
        except TimeoutError:
            print(f"no hub answers on {config.folder} within {FIRST_CONNECT_S:g} s", file=sys.stderr)
            return 2
        async for line in _lines_until(stop):
            reply = await chat.say(line.strip()) if line.strip() else None
            if reply:
                put(plain(reply))
                if kept_where := kept_in_chat(reply, config):
                    put(kept_where)
    return 0


async def _lines_until(stop: asyncio.Event) -> AsyncIterator[str]:
    """The lines of stdin. Read in a thread of its own, which a blocked read may keep: it ends with the process."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue(100)

    def read() -> None:
        with suppress(RuntimeError):  # the loop has ended first
            for line in sys.stdin:
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(lines.put(""), loop).result()

    threading.Thread(target=read, name="stdin", daemon=True).start()
    ended = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            line = asyncio.ensure_future(lines.get())
            await asyncio.wait((line, ended), return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                return
            if not line.result():
                return
            yield line.result()
    finally:
        ended.cancel()
