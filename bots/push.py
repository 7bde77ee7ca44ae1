"""Push: a phone or a service by its apprise URL, and plain webhooks.

`push` sends through apprise, one thread a message, AT_ONCE of them and SEND_S each; what does not answer in time is
left to end by itself. `webhook` posts JSON {"title", "text", "notifications"} with an Idempotency-Key.

Promises: only SCHEMES, none of which touches this machine; nothing in a URL that names a file; no redirects; and no
connection to a private, loopback or link-local address unless `allow_private`: the address that is connected to is
the one that is checked, so a name that changes its mind after a check gains nothing. URLs are secrets: no reason,
log line or error here holds one, only its scheme. Depends on hub.outgoing, aiohttp and (on first use) apprise.
"""

import asyncio
import ipaddress
import logging
import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec

from hub.model import Destination, Message
from hub.outgoing import private
from hub.plugin import GiveUp, Hub, TryLater

PLATFORMS = ("push", "webhook")

SEND_S = 15.0
AT_ONCE = 16
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
PRIVATE = "the address is private: allow_private under [delivery] in config.toml permits it"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allow_private: bool = False  # targets on loopback and in private networks; [delivery] sets it for all bots
    schemes: tuple[str, ...] = ()  # apprise schemes to accept beyond those that are known to be safe


class PrivateAddress(OSError):
    """A connection that was refused before it was begun."""


class Push:
    def __init__(self, settings: Settings, *, send_s: float = SEND_S) -> None:
        self._settings = settings
        self._send_s = send_s
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="push")
        self._busy = asyncio.Semaphore(AT_ONCE)

    async def run(self, hub: Hub) -> None:
        """Nobody answers a push."""
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
        """A thread that is still busy with a service that hangs keeps its place: the others wait, then try later."""
        check(message.address, self._settings.schemes)
        deadline = time.monotonic() + self._send_s
        try:
            await asyncio.wait_for(self._busy.acquire(), self._send_s)
        except TimeoutError:
            raise TryLater("too many services hang at once") from None
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, notify, message, self._settings.allow_private)
        future.add_done_callback(lambda done: self._free(done))
        try:
            done, _ = await asyncio.wait({future}, timeout=max(deadline - time.monotonic(), 0.1))
        except asyncio.CancelledError:
            future.cancel()
            raise
        if not done:
            raise TryLater(f"{scheme_of(message.address)}: no answer within {self._send_s:g} s")
        return future.result()

    def _free(self, done: "asyncio.Future[str]") -> None:
        self._busy.release()
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


def notify(message: Message, allow_private: bool) -> str:
    """One blocking send through apprise, in a thread of its own."""
    scheme = scheme_of(message.address)
    service = understood(message.address)
    with guarded(allow_private) as refused:
        result = service.notify(title=message.title, body=message.text or message.title, body_format="text")
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
    asset = apprise.AppriseAsset(app_id="Tocsin", app_desc="Tocsin", async_mode=False, http_redirects=False)
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        raise GiveUp(f"{scheme_of(url)}: apprise does not understand this URL")
    return service


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


_refused_here: ContextVar[list[str] | None] = ContextVar("refused_here", default=None)
"""A list where private addresses are refused; apprise carries the context on into threads of its own."""


@contextmanager
def guarded(allow_private: bool) -> Iterator[list[str]]:
    """Refuses connections to private addresses in this context, and lists them. apprise gives no hold on its
    sockets, so this asks the interpreter: its audit event names the very address of each connect."""
    refused: list[str] = []
    if allow_private:
        yield refused
        return
    _install_audit()
    token = _refused_here.set(refused)
    try:
        yield refused
    finally:
        _refused_here.reset(token)


@cache
def _install_audit() -> None:
    """Once a process: the interpreter has no way to take an audit hook back."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto"):
        return
    refused = _refused_here.get()
    if refused is None:
        return
    address = arguments[1]
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    if private(host):
        refused.append(host)
        raise PrivateAddress(PRIVATE)


# ---------------------------------------------------------------------------------------------- webhook


async def post(message: Message, allow_private: bool, limit_s: float = SEND_S) -> str:
    """A connection of its own a message: targets are many and calls are few."""
    scheme = urlsplit_scheme(message.address)
    if scheme not in ("http", "https"):
        raise GiveUp(f"a webhook is an http or https URL, not {scheme}")
    body = msgspec.json.encode({"title": message.title, "text": message.text, "notifications": message.notifications})
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": message.id,
        "User-Agent": "Tocsin",
    }
    connector = aiohttp.TCPConnector(
        socket_factory=None if allow_private else _public_socket, force_close=True, use_dns_cache=False
    )
    timeout = aiohttp.ClientTimeout(total=limit_s)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(message.address, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return answered(response.status, response.headers.get("Retry-After"), time.time())
    except TimeoutError as error:
        raise TryLater(f"webhook: no answer within {limit_s:g} s") from error
    except (aiohttp.InvalidURL, ValueError) as error:
        raise GiveUp("webhook: the URL is not a valid one") from error
    except (aiohttp.ClientError, OSError) as error:
        if _refused(error):
            raise GiveUp(f"webhook: {PRIVATE}") from error
        raise TryLater(f"webhook: {_plainly(error)}") from error


def answered(status: int, retry_after: str | None, now_s: float) -> str:
    """What an HTTP status means for a webhook: the receipt, or TryLater, or GiveUp."""
    if 200 <= status < 300:
        return f"webhook: {status}"
    if status in (408, 425, 429) or status >= 500:
        raise TryLater(f"webhook: the server answered {status}", seconds_of(retry_after, now_s))
    if 300 <= status < 400:
        raise GiveUp(f"webhook: the server answered {status}, redirects are not followed: give the final URL")
    raise GiveUp(f"webhook: the server answered {status}")


def seconds_of(retry_after: str | None, now_s: float) -> float | None:
    """Retry-After as seconds from now: a number, or an HTTP date (RFC 9110 §10.2.3). None for anything else."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now_s, 0.0)
    except ValueError:
        return None


def urlsplit_scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower() or "(no scheme)"
    except ValueError:
        return "(no scheme)"


def _public_socket(address: Any) -> socket.socket:
    """The socket for an address that was resolved: made only where the address may be called."""
    family, kind, protocol, _, target = address
    if private(str(target[0])):
        raise PrivateAddress(PRIVATE)
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def _refused(error: BaseException) -> bool:
    """Whether this, or what it was raised from, is our own refusal."""
    seen: list[BaseException] = [error]
    while seen:
        one = seen.pop()
        if isinstance(one, PrivateAddress):
            return True
        if isinstance(one, BaseExceptionGroup):
            seen += one.exceptions
        seen += [inner for inner in (one.__cause__, getattr(one, "os_error", None)) if inner is not None]
    return PRIVATE in str(error)


def _plainly(error: BaseException) -> str:
    """The kind of trouble without host or path."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the server's name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "no secure connection"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return f"the connection broke ({type(error).__name__})"
