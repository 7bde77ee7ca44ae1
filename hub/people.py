"""Who is who: identities that are one person, roles, the operator, what holds in groups and channels.

Implements hub.plugin.People. A code that joins is good once
and for ten minutes, and is kept as a hash; wrong ones are counted. Whoever joins is asked first where they would take
something along, and nobody becomes less by it: the one with the lesser role joins the other. Depends on the bus (the
engine hands alerts over), the ledger, and counters from `app`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog

from hub import bus as subjects
from hub.bus import Bus
from hub.cache import keys
from hub.callers import rank
from hub.i18n import _
from hub.ledger import Ledger, LedgerTrouble, alerts, belongings, codes, outbox, people, places
from hub.model import SECOND_US, AlertAnswer, AlertChange, Place, Request, Role, User, Who
from hub.plugin import BadRequest, Identity, Joined, LinkCode, Person, TryLater

ENGINE_TIMEOUT_S = 9.0
STATUS_WAIT_S = 0.25
WINDOW_S = 600
CODE_LASTS_US = WINDOW_S * SECOND_US
OPERATOR_CODE_LASTS_US = 24 * 3600 * SECOND_US
MOST_MADE, MOST_WRONG = 10, 5
"""Codes that a person may make, and may get wrong, in ten minutes."""


log = structlog.get_logger("people")


class Counters(Protocol):
    """What limits count with. See hub.cache."""

    async def add(self, key: str, amount: int, ttl_s: float) -> int: ...


class People:
    def __init__(
        self,
        *,
        bus: Bus,
        ledger: Ledger,
        counters: Counters,
        clock: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._counters = counters
        self._now = clock
        self._operator_code = ""

    # ------------------------------------------------------------------------------------------ one person

    async def identities(self, request: Request) -> Sequence[Identity]:
        return await self._ledger.read(lambda c: people.identities_of(c, request.user.id))

    async def link_code(self, request: Request) -> LinkCode:
        await self._count("made", request.user, MOST_MADE)
        now, text = self._now(), codes.new()
        code = codes.Code(request.user.id, now + CODE_LASTS_US)
        await self._ledger.write(lambda c: codes.keep(c, text, code, now))
        return LinkCode(code=text, until=code.expires_at, ways=await self._ways(text))

    async def join(self, request: Request, code: str, *, sure: bool) -> Joined:
        user, now = request.user, self._now()
        found = await self._ledger.read(lambda c: codes.look(c, code, now))
        if found is None:
            await self._count("wrong", user, MOST_WRONG)
            raise BadRequest(_("that code is not good, or not any more: link, on the other side, gives another"))
        if found.user_id is None:
            return await self._operate(user, code)
        maker = found.user_id
        target, moves = await self._ledger.read(lambda c: (people.user(c, maker), belongings.kept(c, user)))
        if target is None:
            raise BadRequest(_("who made that code is not there any more: link, on the other side, gives another"))
        if target.id == user.id:
            raise BadRequest(_("that code is your own: say it where you want to be the same person"))
        if rank(user.role) > rank(target.role):
            raise BadRequest(
                _(
                    "you are {role} here and {name} is not: write link here, and say that code over there instead"
                ).format(role=user.role.value, name=target.name)
            )
        if moves and not sure:
            return Joined(person=target.name, asks=True, moves=moves)
        if not await self._ledger.write(lambda c: codes.take(c, code, now)):
            raise BadRequest(_("that code was used just now: link, on the other side, gives another"))
        try:
            moved = await self._adopt(user, target)
        except BadRequest:
            await self._ledger.write(lambda c: codes.keep(c, code, found, now))
            raise
        if target.role is Role.OPERATOR:
            await self._ledger.write(codes.void)
        log.info("two became one person", user=target.id, platform=request.who.platform)
        return Joined(person=target.name, moves=moved)

    async def part(self, request: Request, platform: str) -> Identity:
        def write(c: sa.Connection) -> Identity:
            own = people.identities_of(c, request.user.id)
            identity = _meant(own, platform.lower(), request.who)
            if len(own) == 1:
                raise BadRequest(_("you are known by one name only: there is nothing to take apart"))
            people.part(c, request.user, identity)
            outbox.give_up_removed(c, self._now())
            return identity

        return await self._ledger.write(write)

    async def _operate(self, user: User, code: str) -> Joined:
        def write(c: sa.Connection) -> bool:
            if taken := codes.take(c, code, self._now()):
                people.settle(c, user.id, "role", Role.OPERATOR.value)
            return taken

        if not await self._ledger.write(write):
            raise BadRequest(_("that code was used just now: the operator can give you a role"))
        self._operator_code = ""
        log.warning("somebody became the operator of this hub by its code", name=user.name)
        return Joined(person=user.name, operator=True)

    async def _adopt(self, source: User, target: User) -> Mapping[str, int]:
        change = AlertChange(
            action="adopt",
            owner_id=target.owner_id,
            user_id=target.id,
            user_name=target.name,
            from_owner_id=source.owner_id,
            from_user_id=source.id,
        )
        try:
            group = alerts.group_of(target.owner_id, shared=self._ledger.shared)
            answer = await self._bus.request(subjects.alerts(group), change, AlertAnswer, ENGINE_TIMEOUT_S)
        except TryLater as error:
            if isinstance(error.__cause__, nats.errors.NoRespondersError):
                raise BadRequest(_("the alert engine does not answer now, nothing was changed; try again")) from error
            raise BadRequest(
                _("the alert engine did not answer in time: alerts shows whether you are one person now")
            ) from error
        if answer.moved is None:
            raise BadRequest(answer.error or _("the alert engine gave no answer, nothing was changed; try again"))
        return answer.moved

    async def _count(self, what: str, user: User, most: int) -> None:
        window = self._now() // SECOND_US // WINDOW_S
        if await self._counters.add(keys.codes(what, user.id, window), 1, 2 * WINDOW_S) > most:
            raise BadRequest(_("that were too many codes in a short time: try again in ten minutes"))

    async def _ways(self, code: str) -> dict[str, str]:
        """Addresses of bots that take a code along, as they say in their status."""
        ways = {}
        for answer in await self._bus.scatter(subjects.STATUS, b"", STATUS_WAIT_S):
            try:
                said = msgspec.json.decode(answer, type=dict[str, Any])
            except msgspec.MsgspecError:
                continue
            if invite := said.get("invite"):
                name = str(said.get("service", "")).removeprefix("bot.")
                ways[name] = str(invite).replace("{code}", code.replace("-", ""))
        return ways

    # --------------------------------------------------------------------------------------------- operator

    async def begin(self) -> None:
        """Where nobody operates the hub, whoever sees its output may."""
        now, text = self._now(), codes.new()

        def write(c: sa.Connection) -> bool:
            if people.has_operator(c):
                return False
            codes.keep(c, text, codes.Code(None, now + OPERATOR_CODE_LASTS_US), now)
            return True

        try:
            new = await self._ledger.write(write)
        except LedgerTrouble as error:  # commands say so themselves; the next start makes one
            log.warning("whether somebody operates this hub is not known", reason=str(error))
            return
        if new:
            self._operator_code = text
            log.warning("nobody operates this hub: send its bot this line", line=f"link {text}", good_for_hours=24)

    async def operator_code(self) -> str:
        text = self._operator_code
        if text and await self._ledger.read(lambda c: codes.look(c, text, self._now())) is None:
            self._operator_code = text = ""
        return text

    async def everyone(self, request: Request) -> Sequence[Person]:
        return await self._ledger.read(lambda c: people.everyone(c))

    async def set_role(self, request: Request, whom: str, role: Role) -> Person:
        def write(c: sa.Connection) -> Person:
            person = _one_of(people.everyone(c), whom)
            _may_give(request.user, person, role)
            if person.role is Role.OPERATOR and role is not Role.OPERATOR and _operators(c) == 1:
                raise BadRequest(
                    _("{name} is the only operator: make somebody else one first").format(name=person.name)
                )
            people.settle(c, person.id, "role", role.value)
            if role is Role.OPERATOR:
                codes.void(c)
            return msgspec.structs.replace(person, role=role)

        changed = await self._ledger.write(write)
        log.info("a role was given", user=changed.id, role=role.value, by=request.user.id)
        return changed

    # ----------------------------------------------------------------------------------------------- places

    async def settle_place(self, request: Request, field: Any, value: str | bool) -> tuple[Place, User]:
        place = _place_to_settle(request)

        def write(c: sa.Connection) -> tuple[Place, User]:
            if field in ("time_zone", "language"):
                people.settle(c, place.user_id, field, str(value))
            else:
                places.settle_place(c, place, field, value)
            now, keeper = places.find_place(c, request.who), people.user(c, place.user_id)
            assert now is not None and keeper is not None
            return now, keeper

        return await self._ledger.write(write)

    async def place_here(self, request: Request) -> Place:
        place, address = _place_to_settle(request), request.who.address
        if not address:
            raise BadRequest(
                _("nothing can be sent to this place by the {platform} bot").format(platform=place.platform)
            )
        await self._ledger.write(lambda c: places.move_here(c, place, address, self._now()))
        await self._bus.client.publish(subjects.OUTBOX, b"")
        return place


def _meant(own: Sequence[Identity], platform: str, who: Who) -> Identity:
    """The identity that somebody means, by its platform; without a word the one they write from."""
    if not platform or platform == who.platform:
        found = [each for each in own if (each.platform, each.id) == (who.platform, who.id[: people.LONGEST_ID])]
    else:
        found = [each for each in own if each.platform == platform]
    if len(found) != 1:
        known = ", ".join(sorted({each.platform for each in own}))
        text = (
            _("you are not known on {platform}, but on: {known}")
            if not found
            else _("you are known on {platform} more than once: write unlink there, on: {known}")
        )
        raise BadRequest(text.format(platform=platform[:40], known=known))
    return found[0]


def _one_of(everyone: Sequence[Person], whom: str) -> Person:
    number = whom.lstrip("#")
    if number.isascii() and number.isdigit():
        found = [person for person in everyone if person.id == int(number)]
    else:
        found = [person for person in everyone if person.name.casefold() == whom.lstrip("@").casefold()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadRequest(_('there is nobody "{whom}" here: role lists all').format(whom=whom[:40]))
    numbers = ", ".join(str(person.id) for person in found)
    raise BadRequest(
        _('"{whom}" are several: say the number, one of {numbers}').format(whom=whom[:40], numbers=numbers)
    )


def _may_give(user: User, person: Person, role: Role) -> None:
    """An operator gives any role; an admin makes members and guests of each other."""
    if user.role is Role.OPERATOR:
        return
    if rank(user.role) < rank(Role.ADMIN) or rank(role) >= rank(Role.ADMIN) or rank(person.role) >= rank(Role.ADMIN):
        raise BadRequest(_("only an operator of this hub can do that"))


def _operators(c: sa.Connection) -> int:
    return sum(person.role is Role.OPERATOR for person in people.everyone(c))


def _place_to_settle(request: Request) -> Place:
    if request.place is None:
        raise BadRequest(_("this is no group or channel: write it in the one that you mean"))
    if not (request.who.admin or rank(request.user.role) >= rank(Role.ADMIN)):
        raise BadRequest(_("only the admins of this group, and of the hub, can change that"))
    return request.place
