"""What can be asked: the hub's Menu, kept fresh, and Telegram's own menu of commands made from it.

Telegram keeps one menu for each scope and language; each is read first and written only where it differs, so most
starts write nothing. Commands that need a higher role than a member's stand in no menu of everybody; they work when
they are typed. In groups, commands that answer the asker alone are ephemeral: nobody else sees them asked. Depends on
bots.telegram.api.
"""

from collections.abc import Sequence

import msgspec
import structlog
from aiogram.methods import GetMyCommands, SetMyCommands
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
)

from bots.telegram import limits
from bots.telegram.api import Api
from hub.model import Instrument, Menu, MenuEntry, Role
from hub.plugin import Hub

log = structlog.get_logger("telegram")

EMPTY = Menu(commands=(), instruments=())


class Scope(msgspec.Struct, frozen=True):
    """Which commands a menu of Telegram's holds."""

    roles: tuple[Role, ...]
    groups: bool


SCOPES = {
    BotCommandScopeAllPrivateChats: Scope(roles=(Role.GUEST, Role.MEMBER), groups=False),
    BotCommandScopeAllGroupChats: Scope(roles=(Role.GUEST, Role.MEMBER), groups=True),
    BotCommandScopeAllChatAdministrators: Scope(roles=(Role.GUEST, Role.MEMBER, Role.ADMIN), groups=True),
}
BOARD = BotCommand(command="board", description="A live board of your watch list, pinned; board off ends it.")


class Known:
    """The newest Menu. Until the hub has answered once, nothing is known, and everything typed is passed on."""

    def __init__(self) -> None:
        self.menu = EMPTY
        self._words: frozenset[str] = frozenset()

    def take(self, menu: Menu) -> None:
        self.menu = menu
        self._words = frozenset(
            word.casefold() for one in menu.instruments for word in (one.id, one.name, *one.aliases)
        )

    @property
    def names(self) -> frozenset[str]:
        return frozenset(entry.name for entry in self.menu.commands) | {BOARD.command}

    def is_instrument(self, word: str) -> bool:
        return word.casefold() in self._words

    def entry(self, name: str) -> MenuEntry | None:
        return next((entry for entry in self.menu.commands if entry.name == name), None)

    @property
    def instruments(self) -> Sequence[Instrument]:
        return self.menu.instruments


def languages(menu: Menu) -> list[str]:
    """Those that the hub speaks, "" first: English, and for whom there is no other."""
    return ["", *sorted({language for entry in menu.commands for language in entry.summaries})]


def commands_of(menu: Menu, scope: Scope, language: str = "") -> list[BotCommand]:
    """Those that may be run, by name, as Telegram takes them."""
    commands = []
    for entry in menu.commands:
        name = entry.name.replace("-", "_")
        if entry.role in scope.roles and limits.COMMAND.fullmatch(name):
            summary = limits.cut(entry.summaries.get(language, entry.summary), limits.DESCRIPTION)
            ephemeral = True if scope.groups and entry.private else None
            commands.append(BotCommand(command=name, description=summary, is_ephemeral=ephemeral))
    commands = [*commands, BOARD] if any(one.command == "watch" for one in commands) else commands
    return sorted(commands, key=lambda one: one.command)[: limits.COMMANDS]


async def refresh(hub: Hub, known: Known) -> bool:
    """Asks the hub; whether anything is new."""
    menu = await hub.menu()
    new = menu != known.menu
    if new:
        known.take(menu)
    return new


async def publish(api: Api, menu: Menu) -> int:
    """Telegram's menus, where they differ; how many were written."""
    written = 0
    for kind, scope in SCOPES.items():
        for language in languages(menu):
            wanted = commands_of(menu, scope, language)
            there: list[BotCommand] = await api.call(GetMyCommands(scope=kind(), language_code=language or None))
            if _plain(there) != _plain(wanted):
                await api.call(SetMyCommands(commands=wanted, scope=kind(), language_code=language or None))
                written += 1
    if written:
        log.info("Telegram's menu of commands was written", menus=written)
    return written


def _plain(commands: Sequence[BotCommand]) -> list[tuple[str, str, bool]]:
    return [(one.command, one.description, bool(one.is_ephemeral)) for one in commands]
