"""Swissquote's public quotes of gold, silver and currencies, polled politely, without a key.

    [feeds.swissquote]
    symbols = { XAU-USD = "XAU/USD", XAG-USD = "XAG/USD" }

Emits a quote tick per change, its venue_time the vendor's own stamp, which is its number too. One platform
and one spread profile speak for as long as the feed runs: mixing them would make a price that nobody offers.
A request is conditional where the server names a version, waits for `Cache-Control: max-age` where that is
longer than `every_s`, and obeys `Retry-After`. The service keeps no history to fill gaps from, is undocumented and
grants no licence: for looking at, not for trading on.

    GET https://forex-data-feed.swissquote.com/public-quotes/bboquotes/instrument/XAU/USD
    [{"topo":{"platform":"SwissquoteLtd","server":"Live5"},"spreadProfilePrices":[{"spreadProfile":"premium",
    "bidSpread":25.60,"askSpread":25.60,"bid":4389.049,"ask":4389.711},…],"ts":1787059781075},
    {"topo":{"platform":"AT","server":"AT"},"spreadProfilePrices":[{"spreadProfile":"standard",…}],…}]
"""

import asyncio
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import aiohttp
import msgspec
from yarl import URL

from hub.model import Kind, Nature, Refused, Tick
from hub.plugin import Emit, GiveUp, Last, TryLater
from plugins.feeds.network import NETWORK_ERRORS, refusal, retry_after_s, why

NATURE = Nature.POLLED
LONGEST_PAUSE_S = 3600.0
MAX_ANSWER_BYTES = 1 << 20
SAMPLE_CHARS = 200
BAD_JSON = (msgspec.MsgspecError, RecursionError, ValueError)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = "https://forex-data-feed.swissquote.com/public-quotes/bboquotes/instrument"
    every_s: Annotated[float, msgspec.Meta(ge=1.0)] = 5.0  # between two requests for the same instrument
    platform: str = ""  # "AT", "MT5", …; the first by name that has the profile, if empty
    profile: Literal["standard", "premium", "prime", "elite"] = "standard"
    timeout_s: float = 10.0


async def run(settings: Settings, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    """Polls for ever; TryLater on the first request that the network or the server does not answer."""
    if not symbols:
        raise GiveUp('no symbols: name some in the feed\'s section, like symbols = { XAU-USD = "XAU/USD" }')
    pages = [Page(settings, name, symbol, last.get(f"{name}/quote", 0)) for name, symbol in symbols.items()]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.timeout_s)) as session:
        while True:
            page = min(pages, key=lambda page: page.due_s)
            await asyncio.sleep(max(0.0, page.due_s - time.monotonic()))
            update = await page.poll(session)
            if update is not None:
                await emit(update)


class Page:
    """One instrument's address, with what its last answer said: version, stamp, platform, when to ask again."""

    def __init__(self, settings: Settings, instrument: str, symbol: str, last_ms: int) -> None:
        self.due_s = 0.0
        self._settings = settings
        self._instrument = instrument
        self._symbol = symbol
        self._url = URL(f"{settings.url.rstrip('/')}/{symbol.strip('/')}")
        self._last_ms = last_ms
        self._platform = settings.platform
        self._versions: dict[str, str] = {}

    async def poll(self, session: aiohttp.ClientSession) -> Tick | Refused | None:
        """The change since the last poll, if any."""
        host = self._url.host or self._settings.url
        try:
            async with session.get(self._url, headers=self._versions) as answer:
                body = await _body(answer) if answer.status == 200 else b""
        except NETWORK_ERRORS as error:
            raise TryLater(why(error, host)) from error
        self.due_s = time.monotonic() + max(self._settings.every_s, pause_s(answer.headers))
        if answer.status == 404:
            return Refused(reason="unknown symbol", sample=self._symbol, instrument=self._instrument)
        if answer.status not in (200, 304):
            raise TryLater(refusal(answer.status, host), retry_after_s(answer.headers, datetime.now(UTC)))
        self._versions = versions(answer.headers) or self._versions
        return self._changed(body) if answer.status == 200 else None

    def _changed(self, body: bytes) -> Tick | Refused | None:
        update = parse(body, self._instrument, self._platform, self._settings.profile)
        if isinstance(update, Refused):
            return update
        platform, tick = update
        self._platform = platform
        if (tick.number or 0) <= self._last_ms:
            return None
        self._last_ms = tick.number or 0
        return tick


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body; one longer than any answer of this vendor is cut there, and so does not parse."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body)


def versions(headers: Mapping[str, str]) -> dict[str, str]:
    """The request headers that ask for an answer only if it is not the one with these headers."""
    known = {"If-None-Match": headers.get("ETag"), "If-Modified-Since": headers.get("Last-Modified")}
    return {name: value for name, value in known.items() if value}


def pause_s(headers: Mapping[str, str]) -> float:
    """For how long the server calls its answer fresh (RFC 9111, section 5.2.2.1)."""
    control = headers.get("Cache-Control", "").lower()
    found = re.search(r"(?<![\w-])max-age=(\d{1,9})", control)
    return min(LONGEST_PAUSE_S, float(found.group(1))) if found and "no-cache" not in control else 0.0


# ---------------------------------------------------------------------------------------------- messages


class _Topo(msgspec.Struct):
    platform: str = ""


class _Price(msgspec.Struct):
    spreadProfile: str
    bid: float
    ask: float


class _Book(msgspec.Struct):
    topo: _Topo
    spreadProfilePrices: list[_Price]
    ts: int


_books = msgspec.json.Decoder(list[_Book]).decode


def parse(body: bytes, instrument: str, platform: str, profile: str) -> tuple[str, Tick] | Refused:
    """The quote of a platform and profile, and the platform's name; an empty `platform` is the first by name
    that has the profile."""
    try:
        books = _books(body)
    except BAD_JSON:
        return _refused("broken JSON", body, instrument)
    offers = [
        (book.topo.platform, book.ts, price)
        for book in books
        for price in book.spreadProfilePrices
        if price.spreadProfile.lower() == profile and platform in ("", book.topo.platform)
    ]
    if not offers:
        return _refused("no such platform and profile", body, instrument)
    name = min(offers, key=lambda offer: offer[0])[0]
    # A platform on two servers is shown twice; the newer stamp is the quote.
    _, stamp_ms, price = max((offer for offer in offers if offer[0] == name), key=lambda offer: offer[1])
    tick = Tick(
        instrument=instrument,
        kind=Kind.QUOTE,
        bid=price.bid,
        ask=price.ask,
        venue_time=stamp_ms * 1000,
        number=stamp_ms,
    )
    return name, tick


def _refused(reason: str, body: bytes, instrument: str) -> Refused:
    return Refused(reason=reason, sample=body[:SAMPLE_CHARS].decode(errors="replace"), instrument=instrument)
