"""What feeds on HTTP and WebSocket say when the network fails, in one wording. Pure; depends on aiohttp."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


def why(error: BaseException, host: str) -> str:
    """A plain sentence for one of NETWORK_ERRORS: what could not be reached, and how it failed."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"no network: cannot resolve {host}"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return f"{host} shows a certificate that is not trusted: {error}"
        case aiohttp.ClientConnectorError():
            return f"no network: cannot connect to {host} ({error.os_error.strerror or 'refused'})"
        case aiohttp.WSServerHandshakeError() | aiohttp.ClientResponseError():
            return refusal(error.status, host)
        case TimeoutError():
            return f"{host} did not answer in time"
        case _:
            return f"{host} broke off: {error or type(error).__name__}"


def refusal(status: int, host: str) -> str:
    """The sentence for an HTTP status that is not what was asked for."""
    cause = {
        401: ": the key is missing or wrong",
        403: ": it refuses this key or this address",
        404: ": there is nothing at this address",
        418: ": this address is banned for asking too often",
        429: ": asked too often",
        451: ": it does not serve this country",
    }.get(status, ": its servers have trouble" if status >= 500 else "")
    return f"{host} answered HTTP {status}{cause}"


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by `Retry-After`, which is a number of seconds or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
