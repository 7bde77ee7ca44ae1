"""A line of text → authorised, limited, run → Reply. Whatever a person can do comes through here.

`line` on the bus takes a Line from any bot, page or terminal; each command module also answers by itself on
`command.<name>`, and a name that no module here has may be answered by another process, in any language.
Promises: every line gets a Reply; what a person got wrong is explained, a command that fails is logged, counted
and told, and stops nothing else. What the modules may use is hub.context. Depends on the bus, the ledger, and what
`app` hands it: quotes, catalogue, counters.
"""

import asyncio
import getpass
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from difflib import get_close_matches
from math import ceil
from typing import Any, Protocol

import msgspec
import nats.errors
import structlog

from hub import bus as subjects
from hub import wording
from hub.bus import Bus
from hub.cache import keys
from hub.callers import RANKS, Caller, Callers
from hub.config import Config
from hub.context import HubContext
from hub.context.alerts import Backtests, Quotes
from hub.i18n import LANGUAGES, _, speaking
from hub.ledger import Ledger, LedgerTrouble, alerts
from hub.model import (
    SECOND_US,
    Argument,
    Line,
    Menu,
    MenuEntry,
    Reply,
    Request,
    Role,
    User,
)
from hub.people import People
from hub.plugin import BadRequest, Catalogue, Command, Market, Personal, TryLater

QUEUE = "commands"
LONGEST_LINE = 500
COMMAND_TIMEOUT_S = 10.0
SAID_AT = 0.8
"""The share of a limit at which it is said."""
TAKES_ROOM = ("alert", "again", "edit", "snooze")
"""Commands after which a person's alerts may count more than before."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
CONDITION = re.compile(
    r"[<>↑↓]"
    r"|\b(?:crosses|above|below|over|under|enters|leaves|inside|outside|within|trails|every|moves|drops|falls|rises)\b"
    r"|[-+]\s*[\d.,]+\s*%?\s+in\b",
    re.IGNORECASE,
)
"""What a line has that is an alert, whatever else is wrong with it."""
SERIES = ("portfolio",)
"""Commands whose name is that of a series as well: "portfolio > 50000"."""

log = structlog.get_logger("commands")


class Counters(Protocol):
    """What limits count with. See hub.cache."""

    async def add(self, key: str, amount: int, ttl_s: float) -> int: ...


class Routed(msgspec.Struct, frozen=True):
    name: str
    arguments: str


def route(text: str, names: Sequence[str], is_instrument: Callable[[str], bool]) -> Routed:
    """Which command a line means. A line that begins with no command is an alert if it holds a condition, a
    price if its first word is an instrument, and else a command of somebody else's. Pure."""
    line = text.strip()
    if len(line) > LONGEST_LINE:
        raise BadRequest(
            _("that line has {length} characters; {most} is the most that is read").format(
                length=len(line), most=LONGEST_LINE
            )
        )
    first, _space, arguments = line.partition(" ")
    word = first.lstrip("/$").partition("@")[0].lower()
    if not word:
        raise BadRequest(_("that line is empty: help says what can be asked"))
    if word in names and not (word in SERIES and CONDITION.match(arguments.strip())):
        return Routed(word, arguments.strip())
    plain = line.lstrip("/$")
    if CONDITION.search(plain):
        return Routed("alert", plain)
    if is_instrument(first.lstrip("/$").strip(",")) or is_instrument(plain):
        return Routed("price", plain)
    return Routed(word, arguments.strip())


def may(role: Role, module: Command) -> bool:
    """Whether a role may run a command. A module says the least that it needs in ROLE; the default is member."""
    return RANKS.index(role) >= RANKS.index(Role(getattr(module, "ROLE", Role.MEMBER)))


def menu_of(modules: Sequence[Command], catalogue: Catalogue) -> Menu:
    """A command without ARGUMENTS takes one text. Summaries are in every language that has them."""
    text = Argument(name="text", about="what stands behind the command's name")
    entries = (
        MenuEntry(
            name=module.NAME,
            usage=module.USAGE,
            summary=module.SUMMARY,
            summaries=translations(module.SUMMARY),
            examples=tuple(module.EXAMPLES),
            arguments=tuple(getattr(module, "ARGUMENTS", (text,) if " " in module.USAGE else ())),
            role=Role(getattr(module, "ROLE", Role.MEMBER)),
            private=bool(getattr(module, "PRIVATE", False)),
        )
        for module in modules
    )
    return Menu(commands=tuple(entries), instruments=tuple(catalogue.served()))


def translations(text: str) -> dict[str, str]:
    """By language, where it is another text there."""
    told = {}
    for language in LANGUAGES:
        with speaking(language):
            if _(text) != text:
                told[language] = _(text)
    return told


def refused(text: str) -> Reply:
    return Reply(ok=False, lines=tuple(text.splitlines()) or (_("that was refused"),))


class Commands:
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
        backtests: Backtests,
        counters: Counters,
        clock: Callable[[], int],
    ) -> None:
        self.bus = bus
        self.ledger = ledger
        self.catalogue = catalogue
        self.config = config
        self.now = clock
        self.lines = 0
        self.refused = 0
        self.failed: Counter[str] = Counter()
        self._counters = counters
        self._callers = Callers(ledger, config, clock, _account)
        self._people = People(bus=bus, ledger=ledger, counters=counters, clock=clock)
        self._modules = {module.NAME: module for module in sorted(modules, key=lambda module: module.NAME)}
        self._context = HubContext(
            bus=bus,
            ledger=ledger,
            quotes=quotes,
            catalogue=catalogue,
            config=config,
            modules=list(self._modules.values()),
            market=market,
            personal=personal,
            people=self._people,
            backtests=backtests,
            clock=clock,
        )

    # ------------------------------------------------------------------------------------------ service

    async def run(self) -> None:
        """Serves until it is cancelled."""
        await self._people.begin()
        async with self.serving():
            await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for module in self._modules.values():
                subject = subjects.command(module.NAME)
                await stack.enter_async_context(self.bus.serve(subject, self._serve_command(module), QUEUE))
            await stack.enter_async_context(self.bus.serve(subjects.LINE, self._serve_line, QUEUE))
            await stack.enter_async_context(self.bus.serve(subjects.MENU, self._serve_menu, QUEUE))
            yield

    async def _serve_menu(self, _: bytes) -> bytes:
        return msgspec.json.encode(menu_of(list(self._modules.values()), self.catalogue))

    async def _serve_line(self, payload: bytes) -> bytes:
        try:
            line = msgspec.json.decode(payload, type=Line)
        except msgspec.MsgspecError as error:
            self.refused += 1
            log.warning("a line was refused", reason=str(error))
            return msgspec.json.encode(refused(f"that is not a line for the hub: {error}"))
        return msgspec.json.encode(await self.answer(line))

    def _serve_command(self, module: Command) -> Callable[[bytes], Awaitable[bytes]]:
        async def serve(payload: bytes) -> bytes:
            try:
                request = msgspec.json.decode(payload, type=Request)
            except msgspec.MsgspecError as error:
                log.warning("a request was refused", command=module.NAME, reason=str(error))
                return msgspec.json.encode(refused(f"that is not a request for {module.NAME}: {error}"))
            return msgspec.json.encode(await self._run(module, request))

        return serve

    def status(self) -> dict[str, Any]:
        """What this service says of itself; `app` answers with it."""
        return {"service": "commands", "lines": self.lines, "refused": self.refused, "failed": dict(self.failed)}

    # --------------------------------------------------------------------------------------------- lines

    async def answer(self, line: Line) -> Reply:
        """The reply to one line; never raises."""
        self.lines += 1
        try:
            caller = await self._callers.find(line.who)
            with speaking((caller.person.language if caller else "") or line.who.language):
                return await self._answer(line, caller)
        except LedgerTrouble as error:
            self.failed["line"] += 1
            return refused(str(error))
        except Exception:
            self.failed["line"] += 1
            log.exception("a line failed", platform=line.who.platform)
            return refused(_("that failed inside the hub: it was logged"))

    async def _answer(self, line: Line, caller: Caller | None) -> Reply:
        news: tuple[str, ...] = ()
        try:
            routed = route(line.text, list(self._modules), self._is_instrument)
            caller = caller or await self._callers.meet(line.who)
            news = caller.news
            self._authorise(caller.person, routed.name)
            warning = await self._limit(caller.person)
            private = bool(getattr(self._modules.get(routed.name), "PRIVATE", False))
            request = caller.request(routed.name, routed.arguments, line.who, private=private)
            reply = await self._ask(request)
            warnings = [
                warning,
                await self._alert_limit(request.user) if reply.ok and routed.name in TAKES_ROOM else "",
            ]
            lines = (*reply.lines, *filter(None, warnings), *news)
            return msgspec.structs.replace(reply, lines=lines, private=reply.private or private)
        except BadRequest as error:
            self.refused += 1
            reply = refused(error.text)
            return msgspec.structs.replace(reply, lines=(*reply.lines, *news))

    def _authorise(self, user: User, name: str) -> None:
        module = self._modules.get(name)
        if not (may(user.role, module) if module else user.role != Role.GUEST):
            text = _("{command} is not for the role {role}: ask the operator of this hub")
            raise BadRequest(text.format(command=name, role=user.role.value))

    async def _limit(self, user: User) -> str:
        """A warning once 80 % of the minute's lines are used, and at the last; BadRequest above."""
        most, now = self.config.alerts.lines_per_minute, self.now()
        if most <= 0:
            return ""
        minute = now // wording.MINUTE_US
        used = await self._counters.add(keys.lines(user.id, minute), 1, 120)
        left_s = ceil(((minute + 1) * wording.MINUTE_US - now) / SECOND_US)
        if used > most:
            raise BadRequest(
                _("{most} lines a minute are answered; ask again in {left_s} s").format(most=most, left_s=left_s)
            )
        if used in (ceil(most * SAID_AT), most):
            return _("({used} of the {most} lines that are answered in a minute; it starts anew in {left_s} s)").format(
                used=used, most=most, left_s=left_s
            )
        return ""

    async def _alert_limit(self, user: User) -> str:
        """A warning from 80 % of a person's alerts on; the engine holds the limit itself."""
        most = self.config.alerts.per_person
        count = await self.ledger.read(lambda connection: alerts.used(connection, user.owner_id))
        return (
            _("({count} of the {most} alerts that one person can have)").format(count=count, most=most)
            if count >= most * SAID_AT
            else ""
        )

    async def _ask(self, request: Request) -> Reply:
        """Over the bus, so that a command may live in any process."""
        if not NAME.fullmatch(request.name):
            raise BadRequest(self._unknown(request.name))
        subject = subjects.command(request.name)
        try:
            return await self.bus.request(subject, request, Reply, COMMAND_TIMEOUT_S + 1)
        except TryLater as error:
            if not isinstance(error.__cause__, nats.errors.NoRespondersError):
                raise BadRequest(
                    _("{command} does not answer now ({reason}); try again").format(
                        command=request.name, reason=error.reason
                    )
                ) from error
            if request.name in self._modules:
                raise BadRequest(_("{command} is not served now; try again").format(command=request.name)) from error
            raise BadRequest(self._unknown(request.name)) from error
        except msgspec.MsgspecError as error:
            self.failed[request.name] += 1
            log.error("a command's answer could not be read", command=request.name, reason=str(error))
            raise BadRequest(
                _("{command} answered what is not a reply: it was logged").format(command=request.name)
            ) from error

    async def _run(self, module: Command, request: Request) -> Reply:
        """One module's reply; what it raises ends here."""
        try:
            with speaking(request.user.language or request.who.language):
                async with asyncio.timeout(COMMAND_TIMEOUT_S) as limit:
                    return await module.run(self._context, request)
        except BadRequest as error:
            self.refused += 1
            return refused(error.text)
        except LedgerTrouble as error:
            self.failed[module.NAME] += 1
            return refused(str(error))
        except TimeoutError:
            self.failed[module.NAME] += 1
            if not limit.expired():
                log.exception("a command failed", command=module.NAME)
                return refused(_("{name} failed: it was logged").format(name=module.NAME))
            log.error("a command took too long", command=module.NAME, limit_s=COMMAND_TIMEOUT_S)
            return refused(
                _("{name} took longer than {limit_s:g} s and was stopped").format(
                    name=module.NAME, limit_s=COMMAND_TIMEOUT_S
                )
            )
        except Exception:
            self.failed[module.NAME] += 1
            log.exception("a command failed", command=module.NAME)
            return refused(_("{name} failed: it was logged").format(name=module.NAME))

    def _is_instrument(self, word: str) -> bool:
        try:
            self.catalogue.find(word)
        except BadRequest:
            return False
        return True

    def _unknown(self, name: str) -> str:
        close = get_close_matches(name, list(self._modules), n=1, cutoff=0.6)
        if close:
            return _('there is no command "{name}": did you mean {close}?').format(name=name, close=close[0])
        try:
            self.catalogue.find(name)
        except BadRequest as error:
            return _('there is no command "{name}", and as an instrument: {error}\nhelp says what can be asked').format(
                name=name, error=error.text
            )
        return _('there is no command "{name}": help says what can be asked').format(name=name)


def _account() -> str:
    """The name of the account that runs the hub; empty where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
