"""Push: a phone or a service by its apprise URL, and plain webhooks.

`push` sends through apprise, one thread a message and SEND_S each; what does not answer in time is left to end by
itself. A service that is slow gives up its place among the quick ones, and begins among the slow the next time, so that
dead ones delay no other (`places`). Where `images` says so and the service takes pictures, an alert brings a chart
along, which is waited for PICTURE_S. `webhook` posts JSON (`webhook`).

Promises: only SCHEMES, none of which touches this machine; nothing in a URL that names a file; no redirects; and no
connection to a private, loopback or link-local address unless `allow_private`: the address that is connected to is
the one that is checked, so a name that changes its mind after a check gains nothing (`guard`). URLs are secrets: no
reason, log line or error here holds one, only its scheme. Depends on hub.outgoing, aiohttp and (on first use) apprise.
"""

import asyncio
import ipaddress
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from bots.push.guard import PRIVATE, guarded
from bots.push.places import AT_ONCE, QUICK_S, SLOW, Place, Places
from bots.push.webhook import SEND_S, post, seconds_of
from hub.model import Destination, Line, Message, Who
from hub.outgoing import private
from hub.plugin import GiveUp, Hub, TryLater

__all__ = ["PLATFORMS", "SCHEMES", "Push", "Settings", "open_bot", "says_private", "seconds_of"]

PLATFORMS = ("push", "webhook")

PICTURE_S = 1.5
ASKER = Who(platform="push", id="pictures", name="pictures of push")
SAFE = """
    bark barks bluesky bsky brevo bulksms chanify clickatell clicksend d7sms dingtalk discord feishu flock form forms
    freemobile gchat goalert goalerts gotify gotifys groupme hassio hassios ifttt join json jsons kavenegar lametric
    lametrics lark line mailersend mailgun mailto mailtos mastodon mastodons matrix matrixs misskey misskeys mmost
    mmosts msg91 msgbird ncloud nclouds nctalk nctalks nexmo notica noticas notifiarr notifico ntfy ntfys onesignal
    opsgenie pagerduty pagertree pbul plivo postmark pover prowl psafer psafers pushdeer pushdeers pushed pushme
    pushplus pushy push resend revolt ringc rocket rockets ryver schan sendgrid serwersms seven signal signals signl4
    simplepush sinch slack smseagle smseagles smtp2go sns sparkpost spush synology synologys telnyx tgram threema
    toot toots twilio twist voipms vonage webex wecombot whatsapp wxpusher wxteams xml xmls zulip
"""
SCHEMES = frozenset(SAFE.split())
"""Of apprise's: those that talk HTTP or SMTP to the service they name, and to nothing else."""
FORBIDDEN_KEYS = frozenset(("template", "keyfile", "subfile", "attach", "attachment", "file", "path", "pgp", "pgpkey",
                            "pgppub", "pgpprv", "retry", "wait", "redirect", "store", "cto", "rto"))  # fmt: skip
"""Keys of an apprise URL that name files of this machine, or that lengthen or widen a send."""
STATUS = re.compile(r"\berror\s*[=:]\s*(\d{3})\b")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allow_private: bool = False  # targets on loopback and in private networks; [delivery] sets it for all bots
    schemes: tuple[str, ...] = ()  # apprise schemes to accept beyond those that are known to be safe
    images: bool = False  # a chart of the last day comes with an alert, where the service takes pictures


class Push:
    def __init__(self, settings: Settings, *, send_s: float = SEND_S, quick_s: float = QUICK_S) -> None:
        self._settings = settings
        self._send_s = send_s
        self._places = Places(quick_s)
        self._threads = ThreadPoolExecutor(AT_ONCE + SLOW, thread_name_prefix="push")
        self._hub: Hub | None = None

    async def run(self, hub: Hub) -> None:
        """Nobody answers a push."""
        self._hub = hub
        await asyncio.Event().wait()

    async def send(self, message: Message) -> str:
        if message.platform == "webhook":
            return await post(message, self._settings.allow_private, self._send_s)
        return await self._push(message)

    async def check(self, destination: Destination) -> None:
        """Whether it would be sent to, as far as the URL alone tells: what a name resolves to is seen at each send."""
        url = destination.address
        if destination.platform == "push":
            check(url, self._settings.schemes)
            await asyncio.get_running_loop().run_in_executor(self._threads, understood, url)
        if not self._settings.allow_private and says_private(url):
            raise GiveUp(f"{destination.platform}: {PRIVATE}")

    async def _push(self, message: Message) -> str:
        check(message.address, self._settings.schemes)
        deadline = time.monotonic() + self._send_s
        image = await self._picture(message) if self._settings.images else None
        place = await self._places.take(message.address, self._send_s)
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, notify, message, self._settings.allow_private, image)
        future.add_done_callback(lambda done: _seen(done, place))
        try:
            done, _ = await asyncio.wait({future}, timeout=self._places.quick_s)
            if done:
                self._places.answered(message.address)
            else:
                self._places.slow(place)
                done, _ = await asyncio.wait({future}, timeout=max(deadline - time.monotonic(), 0.1))
        except asyncio.CancelledError:
            future.cancel()
            raise
        if not done:
            raise TryLater(f"{scheme_of(message.address)}: no answer within {self._send_s:g} s")
        return future.result()

    async def _picture(self, message: Message) -> bytes | None:
        """A chart for one alert. The words are not held back by it for longer than PICTURE_S."""
        instrument = message.notifications[0].instrument if len(message.notifications) == 1 else ""
        if not instrument or self._hub is None:
            return None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PICTURE_S):
                if not await loop.run_in_executor(self._threads, takes_pictures, message.address):
                    return None
                return (await self._hub.ask(Line(text=f"chart {instrument} 24h", who=ASKER))).image
        except (TryLater, TimeoutError):
            return None


def _seen(done: "asyncio.Future[str]", place: Place) -> None:
    place.leave()
    if not done.cancelled():
        done.exception()  # of one that was given up: looked at, so that asyncio does not complain


def open_bot(settings: Settings) -> Push:
    logging.getLogger("apprise").propagate = False  # its lines name topics and tokens; `failure` keeps what they tell
    return Push(settings)


# ------------------------------------------------------------------------------------------------- push


def scheme_of(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator and re.fullmatch(r"[A-Za-z0-9+.-]{1,20}", scheme) else "(no scheme)"


def check(url: str, more_schemes: tuple[str, ...] = ()) -> None:
    """GiveUp for what is not to be sent to, before apprise sees it."""
    scheme = scheme_of(url)
    if scheme not in SCHEMES and scheme not in more_schemes:
        raise GiveUp(f"the push scheme {scheme} is not one that this hub sends to")
    for key, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if key.strip().lower() in FORBIDDEN_KEYS:
            raise GiveUp(f"a push URL must not set {key.strip().lower()!r} ({scheme})")


def notify(message: Message, allow_private: bool, image: bytes | None = None) -> str:
    """One blocking send through apprise, in a thread of its own."""
    scheme = scheme_of(message.address)
    service = understood(message.address)
    with guarded(allow_private) as refused:
        result = service.notify(
            title=message.title,
            body=message.text or message.title,
            body_format="text",
            attach=attached(image) if image else None,
        )
    if result:
        return f"{scheme}: accepted"
    if refused:
        raise GiveUp(f"{scheme}: {PRIVATE}")
    raise failure(scheme, [entry.message for one in result for attempt in one.attempts for entry in attempt.logs])


def understood(url: str) -> Any:
    """apprise with that URL in it; GiveUp where it makes nothing of it. The first call imports apprise."""
    try:
        import apprise
    except ImportError as error:
        raise TryLater(f'the library {error.name} is not installed: pip install "tocsin[push]"') from error
    asset = apprise.AppriseAsset(
        app_id="Tocsin",
        app_desc="Tocsin",
        async_mode=False,
        http_redirects=False,
        service_timeout=0,  # with one, apprise sends in its own few threads, where six dead services stop all others
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        raise GiveUp(f"{scheme_of(url)}: apprise does not understand this URL")
    return service


def attached(image: bytes) -> Any:
    """From memory: apprise would take a path or a URL as well, and fetch them."""
    from apprise.attachment.memory import AttachMemory

    return AttachMemory(  # type: ignore[no-untyped-call]  # apprise declares no types here
        content=image, name="chart.png", mimetype="image/png"
    )


def takes_pictures(url: str) -> bool:
    """Whether the service behind that URL does, as far as apprise knows."""
    try:
        return any(getattr(each, "attachment_support", False) for each in understood(url))
    except (GiveUp, TryLater):
        return False


def says_private(url: str) -> bool:
    """Whether the URL itself names this machine or a private address."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host == "localhost" or host.endswith(".localhost") or (is_ip(host) and private(host))


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def failure(scheme: str, told: list[str]) -> TryLater | GiveUp:
    """apprise says only in its log what the service answered; of that text nothing but the status is kept, the rest
    may hold topics and tokens."""
    codes = [int(match[1]) for text in told for match in STATUS.finditer(text)]
    if not codes:
        return TryLater(f"{scheme}: no connection or no answer")
    code = codes[-1]
    if 400 <= code < 500 and code not in (408, 425, 429):
        return GiveUp(f"{scheme}: the service answered {code}")
    return TryLater(f"{scheme}: the service answered {code}")
