"""One bot in a process of its own: messages from the bus to the platform, receipts back.

Serves `send.<platform>` and `check.<platform>` in a queue group for each platform of the bot's module and runs the
bot's listening side beside it. Remembers the newest notifications it has sent with their receipts and sends none of
them twice, also when the asker gave up waiting and asks again while the first try is still under way: messages of one
address go one after the other. The memory is this process's own: it does not outlive it. Depends on hub.bus, hub.load
and hub.plugin.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import structlog

from hub import bus as names
from hub import load, outgoing
from hub.bus import Bus
from hub.config import BotSection, Config
from hub.logs import Repeats
from hub.model import Checked, Destination, Line, Menu, Message, Receipt, Reply
from hub.plugin import Bot, GiveUp, Gone, TryLater
from hub.retry import backoff

log = structlog.get_logger("bot")

REMEMBERED = 10_000  # notifications
ASK_S = 15.0
SEND_S = 60.0
"""A send that hangs holds its address and one of the few places of the bot; longer than any library needs."""


class BusHub:
    """A bot's way into the hub."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def ask(self, line: Line) -> Reply:
        return await self._bus.request(names.LINE, line, Reply, ASK_S)

    async def menu(self) -> Menu:
        return await self._bus.request(names.MENU, b"", Menu, ASK_S)

    async def publish(self, subject: str, payload: bytes) -> None:
        await self._bus.client.publish(subject, payload)


class Sender:
    """Messages through one bot. Notifications are told apart by number and time, so that a ledger made anew under a
    running bot is not taken for the old one."""

    def __init__(self, bot: Bot, remembered: int = REMEMBERED) -> None:
        self.counts: Counter[str] = Counter()
        self._bot = bot
        self._remembered = remembered
        self._sent: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._locks: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    async def send(self, message: Message) -> Receipt:
        async with self._alone((message.platform, message.address)):
            receipt = await self._send_new(message)
        self.counts[receipt.outcome] += 1
        return receipt

    @asynccontextmanager
    async def _alone(self, address: tuple[str, str]) -> AsyncIterator[None]:
        lock, users = self._locks.get(address, (asyncio.Lock(), 0))
        self._locks[address] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(address)
            if users > 1:
                self._locks[address] = (lock, users - 1)

    async def _send_new(self, message: Message) -> Receipt:
        new = [n for n in message.notifications if (n.id, n.created_at) not in self._sent]
        if message.notifications and not new:
            last = message.notifications[-1]
            return Receipt(outcome="sent", text=self._sent[last.id, last.created_at])
        if len(new) < len(message.notifications):
            title, text = outgoing.worded(new)
            message = msgspec.structs.replace(
                message, id=outgoing.message_id(new), title=title, text=text, notifications=tuple(new)
            )
        receipt = await self._try(message)
        if receipt.outcome == "sent":
            self._remember(message, receipt.text)
        return receipt

    async def _try(self, message: Message) -> Receipt:
        try:
            async with asyncio.timeout(SEND_S):
                text = await self._bot.send(message)
        except TryLater as error:
            return Receipt(outcome="later", text=error.reason, retry_after_s=error.retry_after_s)
        except Gone as error:
            return Receipt(outcome="gone", text=error.reason, moved_to=error.moved_to)
        except GiveUp as error:
            return Receipt(outcome="never", text=error.reason)
        except TimeoutError:
            return Receipt(outcome="later", text=f"{message.platform} did not take it within {SEND_S:g} s")
        except Exception as error:
            log.exception("a bug in the bot", platform=message.platform, message=message.id)
            return Receipt(outcome="later", text=f"a bug in the {message.platform} bot ({type(error).__name__})")
        return Receipt(outcome="sent", text=text)

    def _remember(self, message: Message, text: str) -> None:
        for notification in message.notifications:
            self._sent[notification.id, notification.created_at] = text
        while len(self._sent) > self._remembered:
            self._sent.popitem(last=False)


async def main(name: str, config: Config, bus_url: str, bus_token: str, stop: asyncio.Event) -> int:
    """Runs the configured bot `name` until `stop`; the process's exit code. PluginProblem, TryLater (no bus) and
    GiveUp (settings that are wrong, a platform that refuses us for good) are for the caller to show."""
    section = section_of(name, config)
    module = load.bot(section.module)
    try:
        settings = _permitted(load.settings_of(module, section.settings), config)
    except load.SettingsProblems as problems:
        raise GiveUp(f"[bots.{name}] {problems}") from problems
    bot = module.open_bot(settings)
    async with names.connect(bus_url, bus_token or None, f"bot.{name}") as bus:
        sender = Sender(bot)
        async with AsyncExitStack() as stack:
            for platform in module.PLATFORMS:
                await stack.enter_async_context(bus.serve(names.send(platform), _answering(sender), queue="bots"))
                await stack.enter_async_context(bus.serve(names.check(platform), _checking(bot), queue="bots"))
            await stack.enter_async_context(bus.serve(names.STATUS, _telling(name, module.PLATFORMS, sender, bot)))
            log.info("bot serves", bot=name, platforms=list(module.PLATFORMS))
            return await _until(stop, bot, BusHub(bus), name)


def section_of(name: str, config: Config) -> BotSection:
    """The bot's section; without one, the module of that name with its defaults."""
    return next((bot for bot in config.bots if bot.name == name), BotSection(name=name, module=name))


def _permitted(settings: Any, config: Config) -> Any:
    """The hub's own word on private addresses, for bots that know the setting."""
    if config.delivery.allow_private and hasattr(settings, "allow_private"):
        return msgspec.structs.replace(settings, allow_private=True)
    return settings


def _answering(sender: Sender) -> names.Handler:
    decoder = msgspec.json.Decoder(Message)
    encoder = msgspec.json.Encoder()

    async def answer(payload: bytes) -> bytes:
        try:
            message = decoder.decode(payload)
        except msgspec.MsgspecError as error:
            log.warning("a malformed message was refused", reason=str(error))
            return encoder.encode(Receipt(outcome="never", text=f"no message: {error}"))
        return encoder.encode(await sender.send(message))

    return answer


def _checking(bot: Bot) -> names.Handler:
    """What the bot says of an address. A bot without `check` refuses none."""
    check = getattr(bot, "check", None)

    async def answer(payload: bytes) -> bytes:
        try:
            destination = msgspec.json.decode(payload, type=Destination)
            if check is not None:
                await check(destination)
        except msgspec.MsgspecError as error:
            return msgspec.json.encode(Checked(refused=f"no destination: {error}"))
        except GiveUp as error:
            return msgspec.json.encode(Checked(refused=error.reason))
        except TryLater as error:
            return msgspec.json.encode(Checked(unsure=error.reason))
        except Exception as error:
            log.exception("a bug in the bot", platform=destination.platform)
            return msgspec.json.encode(Checked(unsure=f"a bug in the bot ({type(error).__name__})"))
        return msgspec.json.encode(Checked())

    return answer


def _telling(name: str, platforms: Any, sender: Sender, bot: Bot) -> names.Handler:
    async def tell(_: bytes) -> bytes:
        counts = {outcome: sender.counts[outcome] for outcome in ("sent", "later", "never", "gone")}
        invite = {"invite": found} if (found := getattr(bot, "invite", "")) else {}
        return msgspec.json.encode({"service": f"bot.{name}", "platforms": list(platforms), **counts, **invite})

    return tell


async def _until(stop: asyncio.Event, bot: Bot, hub: BusHub, name: str) -> int:
    """The bot's listening side until `stop`; TryLater starts it again, and sending goes on meanwhile."""
    stopped = asyncio.create_task(stop.wait())
    attempt = 0
    troubles = Repeats(log)
    try:
        while True:
            running = asyncio.create_task(bot.run(hub))
            try:
                await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
                if stopped.done():
                    return 0
                await running
                raise RuntimeError(f"the bot {name} returned from run(), which ends only when it is cancelled")
            except TryLater as error:
                attempt += 1
                wait_s = error.retry_after_s or backoff(attempt, cap_s=60.0)
                troubles.log(name, "a bot's listening side failed", bot=name, reason=error.reason)
            except GiveUp as error:
                raise GiveUp(f"the bot {name} gave up: {error.reason}") from error
            finally:
                running.cancel()
                await asyncio.wait({running})
            await asyncio.wait({stopped}, timeout=wait_s)
    finally:
        stopped.cancel()
