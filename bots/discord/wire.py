"""Between plain values and the library: cards → its objects, its errors → TryLater, GiveUp or Gone.

Views are sent stopped, so that the library remembers none of them: a button carries its line, and `listen` reads it
from there. No reason here holds a text that was sent. Depends on discord.py.
"""

import io
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import yarl

from bots.discord import API, GATEWAY, TOKEN
from bots.discord.forms import Input, Modal
from bots.discord.render import Card, Control
from hub.plugin import GiveUp, Gone, TryLater

NOBODY = discord.AllowedMentions.none()
LATER_S = 60.0
MESSAGES = re.compile(r"/channels/(\d+)/messages$")

GONE = {
    10003: "the channel does not exist any more",
    10004: "the server does not exist any more",
    10013: "Discord knows no such user",
    50001: "Tocsin cannot see the channel: invite it to the server, and allow it View Channel there",
    50007: "that person does not take messages from Tocsin: they blocked it, or allow no private messages",
    50013: "Tocsin may not write in the channel: allow it Send Messages, Embed Links and Attach Files there",
    50083: "the thread is archived",
    50278: "Tocsin shares no server with that person, who has not added it to their account either",
    160005: "the thread is locked",
}
"""Discord's error codes (documentation, "JSON Error Codes") after which a destination is switched off."""
WAIT = frozenset((20016, 20022, 20026, 20028, 40062, 130000, 500))
"""Codes that ask for patience: slow mode, write limits, an overloaded service."""
UNAUTHORISED = (
    f"Discord refuses the token. Make a new one under Bot, Reset Token at discord.com/developers/applications and put "
    f"it into {TOKEN}"
)


class Limited(TryLater):
    """Discord answered 429. `everywhere`: it holds for all channels."""

    def __init__(self, retry_after_s: float, everywhere: bool) -> None:
        super().__init__(f"Discord's rate limit: {retry_after_s:g} s to wait", retry_after_s)
        self.everywhere = everywhere


def trouble(error: BaseException) -> TryLater | GiveUp:
    """What a failed call means for what was to be sent."""
    if isinstance(error, TryLater | GiveUp):
        return error
    if isinstance(error, discord.LoginFailure):
        return GiveUp(UNAUTHORISED)
    if isinstance(error, discord.RateLimited):
        return Limited(error.retry_after, everywhere=False)
    if isinstance(error, discord.HTTPException):
        return _answered(error)
    if isinstance(error, TimeoutError):
        return TryLater("Discord did not answer in time")
    return TryLater(f"no connection to Discord ({type(error).__name__})")


def _answered(error: discord.HTTPException) -> TryLater | GiveUp:
    if error.code in GONE:
        return Gone(f"{GONE[error.code]} (Discord's error {error.code})")
    if error.status == 401:
        return TryLater(UNAUTHORISED, LATER_S)
    if error.status in (408, 425, 429) or error.status >= 500 or error.code in WAIT:
        return TryLater(f"Discord answered {error.status} (error {error.code})")
    return GiveUp(f"Discord refused it: {error.status}, error {error.code}")


EXPECTED = (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, TryLater, GiveUp)
"""What a call may raise; anything else is a bug."""


class Unhurried(discord.http.Ratelimit):
    """In the place of the library's own waiting for the end of a limit, which happens within a call, behind one that
    was answered as well: whoever sends would not know that it was sent."""

    async def __aenter__(self) -> "Unhurried":
        return self

    async def __aexit__(self, *raised: object) -> None:
        return None


def quick(pause: Callable[[str, float], None]) -> discord.Client:
    """A client that calls at once and says at once that Discord wants a pause or is in trouble: left to itself the
    library would sleep, up to 25 s, and hold an alert that can be put back. `pause` is told each channel that may take
    no more for some seconds."""

    async def look(session: Any, context: SimpleNamespace, ended: aiohttp.TraceRequestEndParams) -> None:
        response = ended.response
        if response.status == 429:
            retry_after_s = _seconds(response.headers.get("Retry-After"))
            everywhere = response.headers.get("X-RateLimit-Scope") == "global" or "Via" not in response.headers
            response.close()
            raise Limited(retry_after_s, everywhere)
        if response.status >= 500:
            response.close()
            raise TryLater(f"Discord answered {response.status}")
        channel = MESSAGES.search(ended.url.path)
        if channel and ended.method == "POST" and response.headers.get("X-RateLimit-Remaining") == "0":
            pause(channel[1], _seconds(response.headers.get("X-RateLimit-Reset-After")))

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(look)
    client = discord.Client(intents=discord.Intents.none(), http_trace=trace)
    client.http.get_ratelimit = lambda key: Unhurried(None)  # type: ignore[method-assign]  # it takes no other way
    return client


def point(api: str, gateway: str) -> None:
    """Has every client of this process go by a proxy of one's own: the library's addresses are globals of it."""
    for setting, value, begins in (("api", api, "http"), ("gateway", gateway, "ws")):
        if not value.startswith((f"{begins}://", f"{begins}s://")):
            raise GiveUp(f"{setting} of the Discord bot is {value!r}: it begins with {begins}s:// or {begins}://")
    if api != API:
        discord.http.Route.BASE = api.rstrip("/")
    if gateway != GATEWAY:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)


async def shut(client: discord.Client) -> None:
    """Closes it whole: behind a login that failed the library forgets its session and leaves the sockets open."""
    await client.close()
    connector = client.http.connector
    if isinstance(connector, aiohttp.BaseConnector):
        await connector.close()


def _seconds(text: str | None) -> float:
    try:
        return max(float(text or ""), 0.1)
    except ValueError:
        return LATER_S


# ---------------------------------------------------------------------------------------------- objects


def embeds_of(card: Card) -> list[discord.Embed]:
    return [discord.Embed.from_dict(embed) for embed in card.embeds]


def files_of(card: Card) -> list[discord.File]:
    return [discord.File(io.BytesIO(file.content), filename=file.name) for file in card.files]


def view_of(card: Card) -> discord.ui.View | None:
    if not card.rows:
        return None
    view = discord.ui.View(timeout=None)
    for place, row in enumerate(card.rows):
        for control in row:
            view.add_item(discord.ui.Button(label=control.label, custom_id=control.custom_id, row=place))
    view.stop()
    return view


def controls_of(message: discord.Message) -> list[Control]:
    """The buttons of a message that stands."""
    rows = [row for row in message.components if isinstance(row, discord.ActionRow)]
    buttons = [child for row in rows for child in row.children if isinstance(child, discord.Button)]
    return [Control(button.label or "…", button.custom_id) for button in buttons if button.custom_id]


def modal_object(modal: Modal) -> discord.ui.Modal:
    made = discord.ui.Modal(title=modal.title, custom_id=modal.custom_id)
    if modal.text:
        made.add_item(discord.ui.TextDisplay(modal.text))
    for field in modal.inputs:
        made.add_item(discord.ui.Label(text=field.label, description=field.about or None, component=_field(field)))
    made.stop()
    return made


def _field(field: Input) -> "discord.ui.Item[Any]":
    if field.choices:
        options = [
            discord.SelectOption(label=choice, value=choice, default=choice == field.value) for choice in field.choices
        ]
        return discord.ui.Select(
            custom_id=field.custom_id, options=options, required=field.required, min_values=int(field.required)
        )
    return discord.ui.TextInput(
        custom_id=field.custom_id,
        default=field.value or None,
        placeholder=field.placeholder or None,
        required=field.required,
        max_length=400,
    )
