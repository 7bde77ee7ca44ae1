"""The bots against real servers on this machine, and the host that runs one in a process of its own."""

import asyncio
import base64
import contextlib
import io
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog.testing
from aiohttp import web

from bots import console, push
from bots.push.places import AT_ONCE
from hub import bothost, bus, outgoing
from hub.bothost import Sender
from hub.bus import Bus
from hub.config import BotSection, Config, DeliverySection
from hub.model import Checked, Destination, Line, Menu, Message, Notification, Receipt, Reply
from hub.plugin import GiveUp, Gone, Hub, TryLater
from hub.testing import check_bot

if TYPE_CHECKING:
    from tests.conftest import NatsServer

# apprise's mail module imports one that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOW = 1_800_000_000_000_000


def notification(number: int, **facts: Any) -> Notification:
    return Notification(
        **{
            "id": number,
            "alert_id": number,
            "title": f"Gold crossed above {number}",
            "text": f"evidence {number}",
            "created_at": NOW,
            "ticked_at": NOW,
            **facts,
        }
    )


def message(address: str, *numbers: int, platform: str = "push") -> Message:
    destination = Destination(id=1, owner_id=1, platform=platform, address=address, label="phone")
    return outgoing.message(destination, [notification(n) for n in numbers or (1,)])


class Server:
    """What was asked of it, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.silent = asyncio.Event()
        self.silent.set()
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, dict(request.headers), json.loads(await request.text())))
        await self.silent.wait()
        return web.Response(status=self.status, headers=self.headers)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    made.silent.set()
    await runner.cleanup()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_push(**settings: Any) -> push.Push:
    return push.Push(push.Settings(**{"allow_private": True, **settings}), send_s=2.0)


async def refusal(sending: Awaitable[str]) -> tuple[type[Exception], str, float | None]:
    try:
        said = await sending
    except (TryLater, GiveUp) as error:
        return type(error), error.reason, getattr(error, "retry_after_s", None)
    raise AssertionError(f"it was sent: {said}")


# ------------------------------------------------------------------------------------------------- push


async def test_a_push_arrives_with_its_title_and_text(server: Server) -> None:
    """json:// posts what apprise users know: title and message."""
    assert await open_push().send(message(f"json://127.0.0.1:{server.port}/hook/secret", 1, 2)) == "json: accepted"
    (path, _, body) = server.requests[0]
    assert path == "/hook/secret"
    assert body["title"] == "2 alerts"
    assert body["message"].splitlines()[:2] == ["Gold crossed above 1", "evidence 1"]


@pytest.mark.parametrize(
    ("status", "kind"), [(429, TryLater), (500, TryLater), (503, TryLater), (404, GiveUp), (403, GiveUp)]
)
async def test_what_a_service_answers_decides_what_follows(server: Server, status: int, kind: type) -> None:
    """429 and 5xx come again, other 4xx are the end; the reason names the status and never the URL."""
    server.status = status
    got, reason, _ = await refusal(open_push().send(message(f"json://127.0.0.1:{server.port}/secret")))
    assert got is kind
    assert str(status) in reason and "secret" not in reason
    assert len(server.requests) == 1


async def test_a_service_that_refuses_connections_is_tried_later() -> None:
    """Nothing listens: no end, and no address in the reason."""
    port = closed_port()
    got, reason, _ = await refusal(open_push().send(message(f"json://127.0.0.1:{port}/secret")))
    assert got is TryLater and "secret" not in reason and str(port) not in reason


async def test_a_service_that_hangs_is_left_after_the_limit(server: Server) -> None:
    """The loop does not wait for the thread, and the next push is not held up by it."""
    server.silent.clear()
    bot = push.Push(push.Settings(allow_private=True), send_s=0.3)
    got, reason, _ = await refusal(bot.send(message(f"json://127.0.0.1:{server.port}/")))
    assert got is TryLater and "0.3 s" in reason
    server.silent.set()
    assert await open_push().send(message(f"json://127.0.0.1:{server.port}/")) == "json: accepted"


async def test_services_that_hang_delay_no_other(server: Server) -> None:
    """Twenty that take a connection and say nothing, more than have a place: one that answers is done while all of them
    hang; and the next time they begin where they are in nobody's way."""
    bot = push.Push(push.Settings(allow_private=True), send_s=5.0, quick_s=0.2)
    good = message(f"json://127.0.0.1:{server.port}/")
    with contextlib.ExitStack() as stack:
        hanging = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(20)]
        urls = [f"json://127.0.0.1:{each.getsockname()[1]}/" for each in hanging]
        sends = [asyncio.create_task(refusal(bot.send(message(url)))) for url in urls]
        await asyncio.sleep(0)
        assert await bot.send(good) == "json: accepted"
        assert not any(send.done() for send in sends)
        async with asyncio.timeout(5):  # until each of them was found to be slow
            while len(bot._places._was_slow) < 20:
                await asyncio.sleep(0.01)
        assert not bot._places._quick.locked()
        again = asyncio.create_task(refusal(bot.send(message(urls[0]))))
        for _ in range(AT_ONCE):
            assert await bot.send(good) == "json: accepted"
        assert not again.done()
    assert {(await send)[0] for send in (*sends, again)} == {TryLater}


class Charts:
    """A hub that draws, at once or never."""

    def __init__(self, image: bytes | None = b"\x89PNG picture") -> None:
        self.image = image
        self.lines: list[str] = []

    async def ask(self, line: Line) -> Reply:
        self.lines.append(line.text)
        if self.image is None:
            await asyncio.Event().wait()
        return Reply(lines=("a chart",), image=self.image)


@pytest.mark.parametrize("drawn", [True, False])
async def test_a_picture_comes_along_and_holds_nothing_back(server: Server, drawn: bool) -> None:
    """From memory, under a name of ours; where none comes in time, and for several alerts at once, words go alone."""
    bot, charts = open_push(images=True), Charts() if drawn else Charts(None)
    bot._hub = charts  # type: ignore[assignment]
    destination = Destination(id=1, owner_id=1, platform="push", address=f"json://127.0.0.1:{server.port}/", label="p")
    alert = outgoing.message(destination, [notification(1, instrument="XAU-USD")])
    assert await bot.send(alert) == "json: accepted"
    assert charts.lines == ["chart XAU-USD 24h"]
    sent = server.requests[0][2]["attachments"]
    assert [(each["filename"], each["mimetype"]) for each in sent] == ([("chart.png", "image/png")] if drawn else [])
    if drawn:
        assert base64.b64decode(sent[0]["base64"]) == charts.image
    assert await bot.send(message(destination.address, 2, 3)) == "json: accepted"
    assert len(charts.lines) == 1


async def test_no_picture_is_asked_for_unless_the_setting_says_so(server: Server) -> None:
    """By default words alone."""
    bot, charts = open_push(), Charts()
    bot._hub = charts  # type: ignore[assignment]
    assert await bot.send(message(f"json://127.0.0.1:{server.port}/")) == "json: accepted"
    assert charts.lines == []


@pytest.mark.parametrize(
    "url", ["syslog://", "dbus://", "macosx://", "windows://", "file:///etc/x", "exec://x", "nonsense"]
)
async def test_schemes_that_touch_this_machine_are_refused(url: str) -> None:
    """Also where private addresses are allowed; the reason names the scheme alone."""
    got, reason, _ = await refusal(open_push().send(message(url)))
    assert got is GiveUp
    assert url.partition("://")[0] in reason or "(no scheme)" in reason
    assert "etc" not in reason


@pytest.mark.parametrize(
    "query", ["template=/etc/passwd", "x=1&KEYFILE=/k", "attach=/etc/passwd", "%74emplate=/e", "retry=9"]
)
async def test_keys_that_name_files_or_prolong_a_send_are_refused(server: Server, query: str) -> None:
    """However they are written."""
    got, _, _ = await refusal(open_push().send(message(f"json://127.0.0.1:{server.port}/?{query}")))
    assert got is GiveUp and server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("platform", ["push", "webhook"])
async def test_private_addresses_are_not_connected_to(server: Server, host: str, platform: str) -> None:
    """By number and by name; the reason says which setting permits it."""
    scheme = "json" if platform == "push" else "http"
    url = f"{scheme}://{host}:{server.port}/secret"
    got, reason, _ = await refusal(open_push(allow_private=False).send(message(url, platform=platform)))
    assert (got, "allow_private" in reason, server.requests) == (GiveUp, True, [])


async def test_a_url_that_apprise_cannot_read_is_given_up() -> None:
    """A known scheme with a senseless rest names the scheme only."""
    got, reason, _ = await refusal(open_push().send(message("tgram://secret")))
    assert got is GiveUp and "tgram" in reason and "secret" not in reason


def test_every_scheme_is_one_that_apprise_knows() -> None:
    """The list holds no misspelt scheme and none that was forbidden."""
    from apprise import NotificationManager

    known = set(NotificationManager().schemas())  # type: ignore[no-untyped-call]
    assert known >= push.SCHEMES
    assert not push.SCHEMES & {
        "syslog",
        "rsyslog",
        "dbus",
        "gnome",
        "kde",
        "glib",
        "macosx",
        "windows",
        "blink1",
        "mqtt",
    }


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", False), ("2606:4700::1111", False), ("127.0.0.1", True), ("10.1.2.3", True), ("172.16.0.1", True),
        ("192.168.1.1", True), ("169.254.169.254", True), ("100.64.0.1", True), ("0.0.0.0", True), ("::1", True),
        ("::", True), ("fe80::1%eth0", True), ("fd00::1", True), ("::ffff:127.0.0.1", True), ("::ffff:8.8.8.8", False),
        ("2002:7f00:1::", True), ("64:ff9b::7f00:1", True), ("64:ff9b::808:808", False), ("224.0.0.1", True),
        ("not an address", True),
    ],
)  # fmt: skip
def test_private_addresses_are_known_in_every_form(address: str, expected: bool) -> None:
    """Also where an IPv4 address is wrapped in an IPv6 one."""
    assert outgoing.private(address) is expected


# ---------------------------------------------------------------------------------------------- webhook


async def test_a_webhook_gets_the_whole_notification(server: Server) -> None:
    """Title, text and notifications as JSON, with the message's id to tell a repeat."""
    sent = message(f"http://127.0.0.1:{server.port}/hook", 1, 2, platform="webhook")
    assert await open_push().send(sent) == "webhook: 200"
    (path, headers, body) = server.requests[0]
    assert path == "/hook" and headers["Idempotency-Key"] == sent.id
    assert body["title"] == "2 alerts"
    assert msgspec.convert(body["notifications"], tuple[Notification, ...]) == sent.notifications


@pytest.mark.parametrize(
    ("status", "headers", "kind", "after_s"),
    [
        (429, {"Retry-After": "17"}, TryLater, 17.0),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, TryLater, 0.0),
        (500, {}, TryLater, None),
        (429, {"Retry-After": "soon"}, TryLater, None),
        (404, {}, GiveUp, None),
        (410, {}, Gone, None),
        (302, {"Location": "/elsewhere"}, GiveUp, None),
    ],
)
async def test_a_webhooks_answer_decides_what_follows(
    server: Server, status: int, headers: dict[str, str], kind: type, after_s: float | None
) -> None:
    """Retry-After is passed on; redirects are not followed."""
    server.status, server.headers = status, headers
    url = f"http://127.0.0.1:{server.port}/secret"
    got, reason, retry_after_s = await refusal(open_push().send(message(url, platform="webhook")))
    assert (got, retry_after_s) == (kind, after_s)
    assert str(status) in reason and "secret" not in reason
    assert len(server.requests) == 1


async def test_a_slow_or_absent_webhook_is_tried_later(server: Server) -> None:
    """No answer in time, and no connection."""
    server.silent.clear()
    bot = push.Push(push.Settings(allow_private=True), send_s=0.2)
    slow = await refusal(bot.send(message(f"http://127.0.0.1:{server.port}/", platform="webhook")))
    absent = await refusal(bot.send(message(f"http://127.0.0.1:{closed_port()}/", platform="webhook")))
    assert slow[:2] == (TryLater, "webhook: no answer within 0.2 s")
    assert absent[:2] == (TryLater, "webhook: no connection")


@pytest.mark.parametrize("url", ["ftp://x/", "json://x/", "http://", "", "http://[::1", "http://127.1/"])
async def test_what_is_no_webhook_is_given_up(url: str) -> None:
    """Senseless URLs do not come round again for a day."""
    got, _, _ = await refusal(open_push().send(message(url, platform="webhook")))
    assert got is GiveUp


def test_retry_after_may_be_a_date() -> None:
    """RFC 9110: seconds or an HTTP date."""
    assert push.seconds_of("Thu, 01 Jan 1970 00:02:00 GMT", 60.0) == 60.0
    assert push.seconds_of("120", 0.0) == 120.0
    assert push.seconds_of(None, 0.0) is None and push.seconds_of("-3", 0.0) is None


# ---------------------------------------------------------------------------------------------- console


class HeardHub:
    """A Hub that keeps what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    async def menu(self) -> Menu:
        raise AssertionError("this bot shows no menu")

    async def ask(self, line: Line) -> Reply:
        raise AssertionError("the console asks nothing")

    async def publish(self, subject: str, payload: bytes) -> None:
        self.published.append((subject, payload))


@contextlib.asynccontextmanager
async def running(bot: Any, hub: Hub) -> AsyncIterator[None]:
    task = asyncio.create_task(bot.run(hub))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_console_shows_an_alert_and_passes_it_on() -> None:
    """One log line without control characters, and the whole message for open chats."""
    hub, bot = HeardHub(), console.open_bot(console.Settings())
    nasty = msgspec.structs.replace(message("anna", platform="console"), title="Gold \x1b[2J up", text="one\ntwo")
    async with running(bot, hub):
        with structlog.testing.capture_logs() as logs:
            assert await bot.send(nasty) == "shown"
    assert hub.published == [("console.anna", msgspec.json.encode(nasty))]
    assert [(line["event"], line["title"], line["lines"]) for line in logs] == [
        ("alert", "Gold  [2J up", ["one", "two"])
    ]


async def test_the_console_colours_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the alert is printed itself."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    hub, bot = HeardHub(), console.open_bot(console.Settings())
    async with running(bot, hub):
        await bot.send(message("anna", platform="console"))
    assert "Gold crossed above 1" in terminal.getvalue() and "\n  evidence 1" in terminal.getvalue()


async def test_a_closed_terminal_holds_no_alert_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing fails, publishing does not."""
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stdout", gone)
    hub, bot = HeardHub(), console.open_bot(console.Settings())
    async with running(bot, hub):
        assert await bot.send(message("anna", platform="console")) == "shown"
    assert len(hub.published) == 1


@pytest.mark.parametrize("module", [console, push])
async def test_each_bot_keeps_the_contract(module: ModuleType) -> None:
    """What hub.testing asks of every bot."""
    await check_bot(module)


# ------------------------------------------------------------------------------------------ the sender


class Scripted:
    """A bot that does what it is told, and keeps what it sent."""

    def __init__(self, *steps: Callable[[], str]) -> None:
        self.steps = list(steps)
        self.sent: list[Message] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, hub: Hub) -> None:
        await asyncio.Event().wait()

    async def send(self, message: Message) -> str:
        await self.gate.wait()
        if self.steps:
            said = self.steps.pop(0)()
            self.sent.append(message)
            return said
        self.sent.append(message)
        return f"id-{len(self.sent)}"


def raising(error: Exception) -> Callable[[], str]:
    def step() -> str:
        raise error

    return step


async def test_a_notification_is_sent_once_however_often_it_is_asked() -> None:
    """A lost receipt alone repeats nothing: the remembered one is the answer, and only what is new goes out."""
    bot = Scripted()
    sender = Sender(bot)
    assert (await sender.send(message("a", 1, 2))).text == "id-1"
    assert await sender.send(message("a", 1, 2)) == Receipt(outcome="sent", text="id-1")
    assert (await sender.send(message("a", 2, 3))).text == "id-2"
    assert [[n.id for n in sent.notifications] for sent in bot.sent] == [[1, 2], [3]]
    assert bot.sent[1].title == "Gold crossed above 3"
    assert bot.sent[1].id == message("a", 3).id


async def test_a_repeat_during_the_first_try_waits_for_it() -> None:
    """An asker that timed out and asks again gets the first try's receipt."""
    bot = Scripted()
    bot.gate.clear()
    sender = Sender(bot)
    first = asyncio.create_task(sender.send(message("a", 1)))
    second = asyncio.create_task(sender.send(message("a", 1)))
    await asyncio.sleep(0)
    bot.gate.set()
    assert [(await first).text, (await second).text] == ["id-1", "id-1"]
    assert len(bot.sent) == 1


async def test_the_outcomes_of_a_send_become_receipts() -> None:
    """TryLater with its time, GiveUp with its reason, and a bug as later; none of them is remembered as sent."""
    bot = Scripted(raising(TryLater("slow down", 7.0)), raising(GiveUp("blocked")), raising(KeyError("oops")))
    sender = Sender(bot)
    with structlog.testing.capture_logs() as logs:
        receipts = [await sender.send(message("secret-address", 1)) for _ in range(4)]
    assert receipts[0] == Receipt(outcome="later", text="slow down", retry_after_s=7.0)
    assert receipts[1] == Receipt(outcome="never", text="blocked")
    assert receipts[2].outcome == "later" and "KeyError" in receipts[2].text
    assert receipts[3].outcome == "sent"
    assert sender.counts == {"later": 2, "never": 1, "sent": 1}
    assert [line["event"] for line in logs] == ["a bug in the bot"] and "secret-address" not in str(logs)


async def test_a_place_that_is_gone_is_told_apart_from_a_message_that_is_refused() -> None:
    """Gone says that the destination is to be switched off, or where it is now."""
    sender = Sender(Scripted(raising(Gone("blocked")), raising(Gone("upgraded", moved_to="-100"))))
    receipts = [await sender.send(message("a", number)) for number in (1, 2)]
    assert receipts[0] == Receipt(outcome="gone", text="blocked")
    assert receipts[1] == Receipt(outcome="gone", text="upgraded", moved_to="-100")
    assert sender.counts == {"gone": 2}


async def test_the_memory_is_bounded() -> None:
    """The oldest is forgotten, the newest kept; so is no lock of an address that is quiet."""
    bot = Scripted()
    sender = Sender(bot, remembered=2)
    for number in (1, 2, 3, 3, 1):
        await sender.send(message("a", number))
    assert [sent.notifications[0].id for sent in bot.sent] == [1, 2, 3, 1]
    assert sender._locks == {}


# -------------------------------------------------------------------------------------------- the host


@pytest.fixture
async def connection(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with bus.connect(nats_server.url, nats_server.token, "test") as opened:
        yield opened


async def answered(connection: Bus, subject: str, sent: Message) -> Receipt:
    """Asks until somebody serves the subject."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(TryLater):
                return await connection.request(subject, sent, Receipt, 5.0)
            await asyncio.sleep(0.02)


async def test_a_hosted_bot_serves_until_it_is_stopped(
    nats_server: "NatsServer", connection: Bus, server: Server
) -> None:
    """Messages, malformed ones, status and the hub's word on private addresses, through a real broker."""
    config = Config(bots=(BotSection(name="push", module="push"),), delivery=DeliverySection(allow_private=True))
    stop = asyncio.Event()
    host = asyncio.create_task(bothost.main("push", config, nats_server.url, nats_server.token, stop))
    sent = message(f"http://127.0.0.1:{server.port}/", platform="webhook")
    assert await answered(connection, "send.webhook", sent) == Receipt(outcome="sent", text="webhook: 200")
    assert await answered(connection, "send.webhook", sent) == Receipt(outcome="sent", text="webhook: 200")
    assert len(server.requests) == 1
    malformed = await connection.request("send.push", b"{", Receipt, 5.0)
    assert malformed.outcome == "never"
    (status,) = await connection.scatter(bus.STATUS, b"", 0.1)
    assert json.loads(status)["service"] == "bot.push" and json.loads(status)["sent"] == 2
    stop.set()
    assert await asyncio.wait_for(host, 10) == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GiveUp("no such scheme"), Checked(refused="no such scheme")),
        (TryLater("no library"), Checked(unsure="no library")),
        (KeyError("s3cret"), Checked(unsure="a bug in the bot (KeyError)")),
    ],
)
async def test_what_a_bot_says_of_an_address_is_passed_on(error: Exception, said: Checked) -> None:
    """Its reasons as they are, its bug as one; a bot that cannot tell refuses nothing."""

    class Choosy(Scripted):
        async def check(self, destination: Destination) -> None:
            raise error

    place = msgspec.json.encode(Destination(id=0, owner_id=1, platform="push", address="a", label="phone"))
    with structlog.testing.capture_logs() as logs:
        answer = bothost._checking(Choosy())
        assert msgspec.json.decode(await answer(place) or b"", type=Checked) == said
        assert "no destination" in msgspec.json.decode(await answer(b"{}") or b"", type=Checked).refused
    assert [line["event"] for line in logs] == ["a bug in the bot"] * isinstance(error, KeyError)
    assert msgspec.json.decode(await bothost._checking(Scripted())(place) or b"", type=Checked) == Checked()


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("http://[::ffff:10.0.0.1]/x", True),
        ("http://[fe80::1%25eth0]/x", True),
        ("https://LOCALHOST./x", True),
        ("json://user:pass@192.168.1.5/x", True),
        ("https://hooks.example.org/127.0.0.1", False),
        ("https://8.8.8.8/x", False),
        ("tgram://123456789:secret/1", False),
        ("http://[broken/x", False),
    ],
)
def test_a_url_that_names_this_machine_is_known_before_it_is_called(url: str, private: bool) -> None:
    """Addresses and localhost; what a name leads to is seen when it is sent to."""
    assert push.says_private(url) is private


async def test_wrong_settings_end_the_host_with_a_sentence(nats_server: "NatsServer") -> None:
    """The key is named, the process is not restarted for ever."""
    config = Config(bots=(BotSection(name="push", module="push", settings={"allow_privat": True}),))
    with pytest.raises(GiveUp, match="allow_privat"):
        await bothost.main("push", config, nats_server.url, nats_server.token, asyncio.Event())
