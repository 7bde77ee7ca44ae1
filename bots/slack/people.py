"""Who somebody is, and where: a Who from Slack's ids.

Names, languages and who administers a place are asked of Slack and remembered for FRESH_S; where Slack does not say (a
scope is missing), the id stands for the name and nobody administers. An admin of a place is an admin or owner of the
workspace, or who made the channel. Depends on bots.slack.wire.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from bots.slack.wire import Wire
from hub.logs import Repeats
from hub.model import Who
from hub.plugin import GiveUp, Gone, TryLater

FRESH_S = 600.0
REMEMBERED = 4_096
PLATFORM = "slack"

log = structlog.get_logger("slack")
Fact = dict[str, Any]


class People:
    def __init__(self, wire: Wire, clock: Callable[[], float] = time.monotonic) -> None:
        self._wire = wire
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Fact]] = OrderedDict()
        self._troubles = Repeats(log)

    async def who(self, user: str, channel: str = "", thread: str = "", channel_name: str = "") -> Who:
        """`thread` is where what concerns this place should go to; empty: into the channel."""
        person = await self._fact(user, self._wire.person)
        place = "" if is_direct(channel) else channel
        about = await self._fact(channel, self._wire.channel) if place else {}
        reached = about.get("is_member") is not False
        staff = any(person.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner"))
        return Who(
            platform=PLATFORM,
            id=user,
            name=name_of(person) or user,
            place=place,
            place_name=str(about.get("name") or channel_name) if place else "",
            address=_address(place if reached else "", thread) if place else user,
            admin=bool(place) and (staff or about.get("creator") == user),
            language=str(person.get("locale", "")),
        )

    def forget(self, key: str) -> None:
        self._known.pop(key, None)

    async def _fact(self, key: str, ask: Callable[[str], Awaitable[Fact]]) -> Fact:
        known = self._known.get(key)
        if known and known[0] > self._clock():
            return known[1]
        try:
            fact = await ask(key)
        except Gone:  # a private channel that the bot is not in is none to Slack
            fact = {"is_member": False}
        except (TryLater, GiveUp) as error:
            self._troubles.log(ask.__name__, "Slack does not say who or where that is", reason=error.reason)
            return known[1] if known else {}
        self._known[key] = (self._clock() + FRESH_S, fact)
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return fact


def _address(place: str, thread: str) -> str:
    """Empty where the bot is not in that place and so sends nothing."""
    return f"{place}:{thread}" if place and thread else place


def is_direct(channel: str) -> bool:
    """Nobody but two people is there; or it is no channel at all, as in the App Home."""
    return not channel or channel.startswith("D")


def name_of(person: Fact) -> str:
    profile = person.get("profile") or {}
    names = (profile.get("display_name"), profile.get("real_name"), person.get("real_name"), person.get("name"))
    return next((str(name) for name in names if name), "")
