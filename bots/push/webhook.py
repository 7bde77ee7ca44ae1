"""Plain webhooks: JSON {"title", "text", "notifications"} with an Idempotency-Key, posted over a checked connection.

No redirects, and no private address unless that is allowed; a reason never holds the URL. Depends on aiohttp.
"""

import re
import socket
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from bots.push.guard import PRIVATE, PrivateAddress
from hub.model import Message
from hub.outgoing import private
from hub.plugin import GiveUp, Gone, TryLater

SEND_S = 15.0


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
    if status == 410:
        raise Gone("webhook: the server answered 410, it is gone for good")
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
