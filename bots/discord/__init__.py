"""Discord: slash commands, buttons, forms, and alerts in channels and private messages.

One folder along the flow: `menus`, `forms`, `words`, `limits` and `render` are pure and say what Discord is shown;
`wire` makes its objects of it and names its errors; `courier` sends; `listen` hears and `answers` answers; `bot` holds
them together. The library is called `discord` too: inside this package `import discord` is the library, as imports are
absolute. It is imported when the bot is opened. docs/discord.md says how to make the bot on Discord's side.

An address is "channel:<id>" (a channel or a thread) or "user:<id>" (private messages).
"""

from typing import TYPE_CHECKING

import msgspec

from hub.load import missing_library
from hub.plugin import GiveUp

if TYPE_CHECKING:
    from bots.discord.bot import DiscordBot

PLATFORMS = ("discord",)

TOKEN = "TOCSIN_BOTS__DISCORD__TOKEN"
NO_TOKEN = (
    f"the Discord bot has no token. Make one under Bot, Reset Token at discord.com/developers/applications and put it "
    f"into {TOKEN}, or its file's path into {TOKEN}_FILE"
)
API = "https://discord.com/api/v10"
GATEWAY = "wss://gateway.discord.gg/"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: str = ""  # from TOCSIN_BOTS__DISCORD__TOKEN or …_FILE only
    charts_with_alerts: bool = True  # a chart of the last day is added to each alert once it is sent
    read_channels: bool = False  # for $gold where `place detect on` was said; needs the message content intent
    api: str = API  # or of a proxy of one's own
    gateway: str = GATEWAY  # likewise


def open_bot(settings: Settings) -> "DiscordBot":
    try:
        from bots.discord.bot import DiscordBot
    except ImportError as error:
        raise GiveUp(f"the Discord bot cannot start: {missing_library(error)}") from error
    return DiscordBot(settings)
