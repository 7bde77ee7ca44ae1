"""plugins.feeds.swissquote: one quote per change, and as few requests as the server asks for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from hub.model import Kind, Refused, Tick
from hub.plugin import GiveUp, TryLater
from plugins.feeds import swissquote
from plugins.feeds.network import refusal, retry_after_s

ANSWER = (
    b'[{"topo":{"platform":"SwissquoteLtd","server":"Live5"},"spreadProfilePrices":['
    b'{"spreadProfile":"premium","bidSpread":25.60,"askSpread":25.60,"bid":4389.049,"ask":4389.711},'
    b'{"spreadProfile":"prime","bidSpread":24.20,"askSpread":24.20,"bid":4389.063,"ask":4389.697},'
    b'{"spreadProfile":"elite","bidSpread":17.70,"askSpread":17.70,"bid":4389.128,"ask":4389.632}],'
    b'"ts":1787059781075},{"topo":{"platform":"AT","server":"AT"},"spreadProfilePrices":['
    b'{"spreadProfile":"standard","bidSpread":27.00,"askSpread":27.00,"bid":4389.000,"ask":4389.760},'
    b'{"spreadProfile":"prime","bidSpread":27.00,"askSpread":27.00,"bid":4389.010,"ask":4389.750}],'
    b'"ts":1787059781000}]'
)
SYMBOLS = {"XAU-USD": "XAU/USD"}
THE_QUOTE = Tick(
    instrument="XAU-USD",
    kind=Kind.QUOTE,
    bid=4389.0,
    ask=4389.76,
    venue_time=1_787_059_781_000_000,
    number=1_787_059_781_000,
)


def later(by_ms: int) -> bytes:
    return ANSWER.replace(b"1787059781000", str(1_787_059_781_000 + by_ms).encode())


# ---------------------------------------------------------------------------------------------- parsing


def test_the_profile_asked_for_is_quoted_with_its_stamp() -> None:
    """The standard profile stands on one platform here."""
    assert swissquote.parse(ANSWER, "XAU-USD", "", "standard") == ("AT", THE_QUOTE)


@pytest.mark.parametrize(("platform", "bid"), [("", 4389.01), ("AT", 4389.01), ("SwissquoteLtd", 4389.063)])
def test_one_platform_speaks_whatever_the_order_of_the_answer(platform: str, bid: float) -> None:
    """Without a setting it is the first by name, so that two runs agree."""
    books = msgspec.json.decode(ANSWER)
    for body in (ANSWER, msgspec.json.encode(books[::-1])):
        found = swissquote.parse(body, "XAU-USD", platform, "prime")
        assert not isinstance(found, Refused)
        assert found[1].bid == bid


def test_the_newer_of_two_servers_of_a_platform_is_quoted() -> None:
    """A server that fell behind does not hold the price."""
    books = msgspec.json.decode(ANSWER)
    stale = {**books[1], "ts": 1_787_059_700_000}
    found = swissquote.parse(msgspec.json.encode([stale, *books]), "XAU-USD", "AT", "standard")
    assert found == ("AT", THE_QUOTE)


def test_a_profile_is_found_whatever_its_case() -> None:
    """The service has written both."""
    found = swissquote.parse(ANSWER.replace(b"standard", b"Standard"), "XAU-USD", "", "standard")
    assert not isinstance(found, Refused)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ANSWER[:-7], "broken JSON"),
        (b"", "broken JSON"),
        (b"<html>", "broken JSON"),
        (b'[{"topo":{},"ts":1}]', "broken JSON"),
        (ANSWER.replace(b"4389.000", b"null"), "broken JSON"),
        (b"[]", "no such platform and profile"),
        (ANSWER.replace(b"standard", b"gold"), "no such platform and profile"),
    ],
)
def test_an_answer_without_the_quote_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    """Nothing is guessed from another profile."""
    refused = swissquote.parse(body, "XAU-USD", "", "standard")
    assert isinstance(refused, Refused)
    assert refused.reason == reason


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("public, max-age=30", 30.0),
        ("Max-Age=2", 2.0),
        ("s-maxage=60", 0.0),
        ("no-cache, max-age=30", 0.0),
        ("max-age=999999999", swissquote.LONGEST_PAUSE_S),
        ("", 0.0),
    ],
)
def test_an_answer_is_kept_for_as_long_as_the_server_calls_it_fresh(control: str, expected: float) -> None:
    """Shared caches' rules are not ours; an absurd age is cut."""
    assert swissquote.pause_s({"Cache-Control": control}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("120", 120.0), ("Wed, 18 Nov 2026 12:00:30 GMT", 30.0), ("Wed, 18 Nov 2026 11:00:00 GMT", 0.0), ("soon", None)],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    """Both forms of RFC 9110; anything else is as if it were not there."""
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    assert retry_after_s({"Retry-After": value}, now) == expected
    assert retry_after_s({}, now) is None


def test_a_refusal_names_the_status_and_what_it_means() -> None:
    """A person reads it in the status line."""
    assert refusal(503, "example.com") == "example.com answered HTTP 503: its servers have trouble"
    assert refusal(429, "example.com") == "example.com answered HTTP 429: asked too often"


def test_a_request_a_second_is_the_most_that_can_be_configured() -> None:
    """Politeness is in the type."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"every_s": 0.5}, swissquote.Settings)
    assert msgspec.convert({"every_s": 1}, swissquote.Settings).every_s == 1.0


# --------------------------------------------------------------------------------------------- polling

Answer = Callable[[web.Request], web.Response]


class Vendor:
    """Answers request after request with what it was given, and then with the last of it."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.settings = swissquote.Settings()

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, dict(request.headers)))
        return self.answers[min(len(self.requests), len(self.answers)) - 1](request)


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[Vendor]:
    vendor = Vendor(*answers)
    app = web.Application()
    app.router.add_get("/instrument/{a}/{b}", vendor.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        vendor.settings = swissquote.Settings(url=str(server.make_url("/instrument")), every_s=0.005)
        yield vendor


def ok(body: bytes, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.Response(body=body, headers=named, content_type="application/json")


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.Response(status=code, headers=named)


async def poll(
    settings: swissquote.Settings, symbols: dict[str, str] = SYMBOLS, last: dict[str, int] | None = None
) -> tuple[list[Tick | Refused], TryLater]:
    """What is emitted until the feed gives up for now, and why it did."""
    got: list[Tick | Refused] = []

    async def emit(update: Tick | Refused) -> None:
        got.append(update)

    async with asyncio.timeout(10):
        with pytest.raises(TryLater) as caught:
            await swissquote.run(settings, symbols, emit, last or {})
    return got, caught.value


async def test_each_change_is_emitted_once() -> None:
    """The same stamp again is the same quote; an older one is a cache that fell behind."""
    async with serving(ok(ANSWER), ok(ANSWER), ok(later(1000)), ok(ANSWER), ok(later(2000)), status(500)) as vendor:
        got, error = await poll(vendor.settings)
    assert [update.number for update in got] == [1_787_059_781_000, 1_787_059_782_000, 1_787_059_783_000]
    assert got[0] == THE_QUOTE
    assert error.reason == "127.0.0.1 answered HTTP 500: its servers have trouble"
    assert vendor.requests[0][0] == "/instrument/XAU/USD"


async def test_a_restart_does_not_repeat_the_last_quote() -> None:
    """The number last settled is where it goes on."""
    async with serving(ok(ANSWER), ok(later(1000)), status(500)) as vendor:
        got, _ = await poll(vendor.settings, last={"XAU-USD/quote": 1_787_059_781_000})
    assert [update.number for update in got] == [1_787_059_782_000]


async def test_a_version_named_by_the_server_is_asked_for_and_304_is_no_news() -> None:
    """Both validators go back as the conditions that belong to them, and stay after a 304 without any."""
    dated = "Wed, 18 Nov 2026 12:00:00 GMT"
    async with serving(
        ok(ANSWER, ETag='"a1"', Last_Modified=dated), status(304), ok(later(1000)), status(500)
    ) as vendor:
        got, _ = await poll(vendor.settings)
    assert len(got) == 2
    first, second, third, _ = (headers for _, headers in vendor.requests)
    assert "If-None-Match" not in first
    for headers in (second, third):
        assert (headers["If-None-Match"], headers["If-Modified-Since"]) == ('"a1"', dated)


async def test_a_fresh_answer_is_not_asked_for_again_before_its_time() -> None:
    """`max-age` is longer than the interval here, so it rules."""
    async with serving(ok(ANSWER, Cache_Control="max-age=1"), status(500)) as vendor:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await poll(vendor.settings)
        assert loop.time() - start >= 1.0
    assert len(vendor.requests) == 2


async def test_asked_too_often_is_try_later_with_the_servers_time() -> None:
    """Ingest waits as long as it says."""
    async with serving(status(429, Retry_After="120")) as vendor:
        _, error = await poll(vendor.settings)
    assert error.retry_after_s == 120.0
    assert "asked too often" in error.reason


async def test_a_broken_answer_is_refused_and_polling_goes_on() -> None:
    """A page of HTML under status 200 costs one poll."""
    async with serving(ok(b"<html>"), ok(ANSWER), status(500)) as vendor:
        got, _ = await poll(vendor.settings)
    assert [update.reason if isinstance(update, Refused) else "tick" for update in got] == ["broken JSON", "tick"]


async def test_a_wrong_symbol_is_refused_and_the_others_are_quoted() -> None:
    """404 names the symbol; gold does not suffer for it."""

    def by_path(request: web.Request) -> web.Response:
        return (status(404) if "XXX" in request.path else ok(ANSWER))(request)

    async with serving(by_path, by_path, status(500)) as vendor:
        got, _ = await poll(vendor.settings, {"XXX-USD": "XXX/USD", "XAU-USD": "XAU/USD"})
    assert got[0] == Refused(reason="unknown symbol", sample="XXX/USD", instrument="XXX-USD")
    assert got[1] == THE_QUOTE


async def test_instruments_are_asked_in_turn() -> None:
    """Each has its own address, interval and number."""
    async with serving(ok(ANSWER), ok(ANSWER), ok(ANSWER), ok(ANSWER), status(500)) as vendor:
        got, _ = await poll(vendor.settings, {"XAU-USD": "XAU/USD", "XAG-USD": "XAG/USD"})
    assert [update.instrument for update in got] == ["XAU-USD", "XAG-USD"]
    assert [path for path, _ in vendor.requests[:4]] == ["/instrument/XAU/USD", "/instrument/XAG/USD"] * 2


async def test_an_answer_without_end_is_cut_and_refused() -> None:
    """Memory is bounded by the longest answer that is taken."""
    async with serving(ok(b"[" + b" " * (2 * swissquote.MAX_ANSWER_BYTES) + b"]"), status(500)) as vendor:
        got, _ = await poll(vendor.settings)
    assert [update.reason for update in got if isinstance(update, Refused)] == ["broken JSON"]


async def test_no_network_is_said_plainly() -> None:
    """A refused connection names the host."""
    settings = swissquote.Settings(url=f"http://127.0.0.1:{unused_port()}/instrument")
    _, error = await poll(settings)
    assert error.reason.startswith("no network: cannot connect to 127.0.0.1")


async def test_no_symbols_is_a_sentence_with_an_example() -> None:
    """An empty section cannot work."""

    async def emit(update: Tick | Refused) -> None:
        raise AssertionError("nothing can be emitted")

    with pytest.raises(GiveUp, match='XAU-USD = "XAU/USD"'):
        await swissquote.run(swissquote.Settings(), {}, emit, {})
