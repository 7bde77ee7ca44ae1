"""Who wrote a line, and for whom they act: a person, and in a group or channel the place that owns what is there.

People and places are made at their first line; a private chat is a destination from then on, which is said once. Rights
in a place are decided here, and held where something is changed (`permitted`), not in each command. Depends on the
ledger.
"""

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from hub.config import Config
from hub.i18n import _
from hub.ledger import Ledger, people, places
from hub.model import Place, Request, Role, User, Who
from hub.plugin import BadRequest

RANKS = (Role.GUEST, Role.MEMBER, Role.ADMIN, Role.OPERATOR)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a line, and where. `keeper` holds what the place settled. `news` is said once."""

    person: User
    place: Place | None = None
    keeper: User | None = None
    admin: bool = False  # of the place, by its platform
    news: tuple[str, ...] = ()

    @property
    def may_change(self) -> bool:
        """What belongs to the place."""
        if self.place is None or self.place.who_may == "everyone":
            return True
        return self.admin or rank(self.person.role) >= rank(Role.ADMIN)

    def user(self, *, private: bool) -> User:
        """For whom the line acts."""
        if private or self.place is None or self.keeper is None:
            return self.person
        spoken = self.keeper.language or self.person.language
        return msgspec.structs.replace(
            self.keeper, name=self.person.name, role=self.person.role, language=spoken, quiet=""
        )

    def request(self, name: str, arguments: str, who: Who, *, private: bool) -> Request:
        user = self.user(private=private)
        if private or self.place is None:
            return Request(name=name, arguments=arguments, user=user, who=who)
        return Request(name=name, arguments=arguments, user=user, who=who, place=self.place, may_change=self.may_change)


def rank(role: Role) -> int:
    return RANKS.index(role)


class Callers:
    def __init__(self, ledger: Ledger, config: Config, clock: Callable[[], int], account: Callable[[], str]) -> None:
        """`account` names the hub's own account on this machine."""
        self._ledger = ledger
        self._config = config
        self._now = clock
        self._account = account

    async def find(self, who: Who) -> Caller | None:
        """Whoever is known and has nothing new about them."""
        return await self._ledger.read(lambda c: self._known(c, who))

    async def meet(self, who: Who) -> Caller:
        """The person and the place, made where they are new."""
        return await self._ledger.write(lambda c: self._met(c, who))

    def _known(self, c: sa.Connection, who: Who) -> Caller | None:
        person = people.find_user(c, who)
        if person is None or people.meeting(c, person, who) != "known":
            return None
        if not who.place:
            return Caller(person=person)
        place = places.find_place(c, who)
        renamed = place is not None and who.place_name and place.name != who.place_name[: people.LONGEST_NAME]
        if place is None or renamed or not places.reachable(c, who, place):
            return None
        return Caller(person=person, place=place, keeper=people.user(c, place.user_id), admin=who.admin)

    def _met(self, c: sa.Connection, who: Who) -> Caller:
        now, known = self._now(), people.find_user(c, who)
        person = known or people.user_of(
            c,
            who,
            now,
            default_role=Role(self._config.hub.default_role),
            time_zone=self._config.hub.time_zone,
            local_name=self._account(),
        )
        met = people.meeting(c, person, who) if known else "new" if people.private_address(who) else "known"
        if met != "known":
            people.settle_talk(c, person, who, now)
        caller = Caller(person=person, news=_news(met, who))
        if not who.place:
            return caller
        place = places.place_of(c, who, now, time_zone=self._config.hub.time_zone)
        keeper = people.user(c, place.user_id)
        return msgspec.structs.replace(caller, place=place, keeper=keeper, admin=who.admin)


def _news(met: str, who: Who) -> tuple[str, ...]:
    if who.platform == people.CONSOLE:
        return ()
    return {
        "new": (
            _("Alerts that you set go here, to this chat; push shows where else, and off N there keeps it silent."),
        ),
        "again": (_("This chat can be reached again: alerts go here as before."),),
    }.get(met, ())


def permitted(request: Request) -> None:
    """BadRequest where the asker may not change what belongs to the group or channel that they write in."""
    if not request.may_change:
        raise BadRequest(_("in this group its admins set alerts: they can write  place everyone  to let all do it"))
