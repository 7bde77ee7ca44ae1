"""Calls of Slack's Web API, in the platform's pace, with its refusals as our errors (bots.slack.trouble).

Every call takes its turn: a second a channel, some hundred a minute together, alerts before replies. What Slack asks to
wait is held for that channel and told as TryLater; nothing here sleeps over it. A call opens a connection of its own,
so nothing has to be closed. Depends on slack_sdk, which is imported at the first call.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from bots.pace import EVERYTHING, Pace, Rank, Turns
from bots.slack import limits, trouble
from bots.slack.render import Rendered
from hub.plugin import GiveUp, TryLater

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

CALL_S = 10
PATIENCE_S = {Rank.ALERT: 8.0, Rank.REPLY: 30.0, Rank.BOARD: 30.0}
QUIET: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False, "parse": "none", "link_names": False}
"""No previews of links, and no names or channels looked for in the text."""

Answer = dict[str, Any]
Made = Callable[[int, Any, Any], TryLater | GiveUp]


def library_log() -> logging.Logger:
    """The libraries log message bodies and addresses with tickets in them: what matters of it we say ourselves."""
    logger = logging.getLogger("slack_library")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


class Wire:
    def __init__(self, token: str, app_token: str, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._token, self._app_token, self._url = token, app_token, url
        self._clock = clock
        self._turns = Turns(Pace(limits.OVERALL, lambda _: limits.OF_CHANNEL), clock)
        self._client: AsyncWebClient | None = None

    @property
    def client(self) -> "AsyncWebClient":
        if self._client is None:
            try:
                from slack_sdk.web.async_client import AsyncWebClient
            except ImportError as error:
                raise TryLater(f'the library {error.name} is not installed: pip install "tocsin[slack]"') from error
            self._client = AsyncWebClient(
                token=self._token, base_url=self._url, timeout=CALL_S, logger=library_log(), retry_handlers=[]
            )
        return self._client

    # ------------------------------------------------------------------------------------------- starting

    async def whoami(self) -> Answer:
        """The bot's own `user_id`, `team` and so on; GiveUp where the bot token does not work."""
        return await self._call(self.client.auth_test(), trouble.of_start)

    async def socket_url(self) -> str:
        """Where Socket Mode is spoken; good for one connection. GiveUp where the app token does not work."""
        answer = await self._call(self.client.apps_connections_open(app_token=self._app_token), trouble.of_start)
        return str(answer["url"])

    # ------------------------------------------------------------------------------------------- messages

    async def post(self, channel: str, thread: str, shown: Rendered, rank: Rank = Rank.REPLY) -> tuple[str, str]:
        """The channel and the time stamp of the message, which together are its id."""
        answer = await self._paced(
            channel,
            rank,
            lambda: self.client.chat_postMessage(
                channel=channel, thread_ts=thread or None, text=shown.text, blocks=shown.blocks, **QUIET
            ),
        )
        return str(answer["channel"]), str(answer["ts"])

    async def whisper(self, channel: str, thread: str, user: str, shown: Rendered) -> None:
        """For that person's eyes, until they reload."""
        await self._paced(
            channel,
            Rank.REPLY,
            lambda: self.client.chat_postEphemeral(
                channel=channel,
                user=user,
                thread_ts=thread or None,
                text=shown.text,
                blocks=shown.blocks,
                parse="none",
                link_names=False,
            ),
        )

    async def update(self, channel: str, ts: str, shown: Rendered) -> None:
        await self._paced(
            channel,
            Rank.REPLY,
            lambda: self.client.chat_update(
                channel=channel, ts=ts, text=shown.text, blocks=shown.blocks, parse="none", link_names=False
            ),
        )

    async def respond(self, url: str, shown: Rendered | None, *, public: bool = False, instead: bool = False) -> None:
        """To the address that came with a command or a press: five times, within half an hour. Without anything to
        show, the message that was pressed goes away."""
        body: Answer = {"delete_original": True}
        if shown is not None:
            body = {"text": shown.text, "blocks": shown.blocks, "replace_original": instead}
            body |= {"response_type": "in_channel" if public else "ephemeral"} | QUIET
        timeout = aiohttp.ClientTimeout(total=CALL_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, json=body, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    name = (await response.text())[:60]
                    raise trouble.of(response.status, response.headers, {"error": _word(name)})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TryLater(f"slack: no answer ({type(error).__name__})") from None

    async def upload(self, channel: str, thread: str, name: str, content: bytes, title: str) -> None:
        await self._paced(
            channel,
            Rank.BOARD,
            lambda: self.client.files_upload_v2(
                channel=channel,
                thread_ts=thread or None,
                filename=limits.cut(name, limits.FILE_NAME),
                file=content,
                title=title,
                alt_txt=limits.cut(title, 1_000),
            ),
        )

    # ---------------------------------------------------------------------------------------------- views

    async def open_view(self, trigger: str, view: Answer) -> None:
        """Within ACK_S of what the person did."""
        await self._call(self.client.views_open(trigger_id=trigger, view=view))

    async def publish(self, user: str, view: Answer) -> None:
        await self._paced(EVERYTHING, Rank.BOARD, lambda: self.client.views_publish(user_id=user, view=view))

    # ------------------------------------------------------------------------------------- people and places

    async def person(self, user: str) -> Answer:
        answer = await self._call(self.client.users_info(user=user, include_locale=True))
        return dict(answer["user"])

    async def channel(self, channel: str) -> Answer:
        answer = await self._call(self.client.conversations_info(channel=channel))
        return dict(answer["channel"])

    async def direct(self, user: str) -> str:
        """The channel of the bot's own talk with that person."""
        answer = await self._call(self.client.conversations_open(users=user))
        return str(answer["channel"]["id"])

    # ---------------------------------------------------------------------------------------------- calls

    async def _paced(self, channel: str, rank: Rank, call: Callable[[], Awaitable[Any]]) -> Answer:
        await self._turns.turn(channel, rank, PATIENCE_S[rank])
        try:
            return await self._call(call())
        except TryLater as error:
            if error.retry_after_s:
                self._turns.pace.hold(channel, self._clock() + error.retry_after_s)
            raise

    async def _call(self, call: Awaitable[Any], made: Made = trouble.of) -> Answer:
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            response = await call
        except SlackApiError as error:
            answered = error.response
            body = answered.data if isinstance(getattr(answered, "data", None), dict) else {}
            status = getattr(answered, "status_code", 0) or getattr(answered, "status", 500)
            raise made(status, answered.headers, body) from None
        except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError) as error:
            raise TryLater(f"slack: no answer ({type(error).__name__})") from None
        return dict(response.data) if isinstance(response.data, dict) else {}


def _word(text: str) -> str:
    """The name of an error, where an answer is nothing but that."""
    word = text.strip().strip('"')
    return word if word.replace("_", "").isalnum() else "refused"
