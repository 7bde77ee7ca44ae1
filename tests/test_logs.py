"""The log: its shape, its secrets, and its silence about what repeats."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import structlog

from hub import logs
from hub.model import Destination

Lines = Callable[[], list[dict[str, Any]]]

TELEGRAM = "123456789:AAHkz0TnFAKEfakeFAKEfakeFAKEfake12345"
SLACK = "-".join(("xoxb", "111122223333", "444455556666", "aBcDeFgHiJkL"))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Logging is global to the process: what a test sets up is taken back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    logs._hidden.clear()
    structlog.reset_defaults()


def started(kind: Literal["auto", "text", "json"], level: str = "debug") -> io.StringIO:
    stream = io.StringIO()
    logs.setup(kind, level, process="core", stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_its_time_level_event_and_process_first() -> None:
    """One event is one JSON line with UTC time, and its facts are fields."""
    stream = started("json")
    structlog.get_logger("bus").info("the bus is back", after_s=1.5, feeds=("a", "b"))
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "process", "logger", "after_s", "feeds"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["process"], line["logger"]) == ("info", "the bus is back", "core", "bus")
    assert (line["after_s"], line["feeds"]) == (1.5, ["a", "b"])


def test_libraries_that_log_through_the_standard_library_go_the_same_way() -> None:
    """nats, aiohttp and the others give the same JSON lines."""
    stream = started("json")
    logging.getLogger("nats.aio").error("cannot reach %s", "h:4222")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["process"]) == ("cannot reach h:4222", "nats.aio", "core")


def test_libraries_are_quiet_below_a_warning_even_at_debug() -> None:
    """Debug is about the hub, not about every byte that a library moves."""
    stream = started("json", "debug")
    logging.getLogger("aiohttp.access").info("GET /")
    structlog.get_logger("bus").debug("sent")
    assert [line["event"] for line in lines(stream)] == ["sent"]


def test_the_level_holds_for_our_own_loggers() -> None:
    """What is below the level is not written."""
    stream = started("json", "warning")
    structlog.get_logger("bus").info("routine")
    structlog.get_logger("bus").warning("trouble")
    assert [line["event"] for line in lines(stream)] == ["trouble"]


def test_auto_is_json_where_the_stream_is_no_terminal_and_text_where_it_is() -> None:
    """A pipe gets JSON, a person gets readable lines."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    piped = started("auto")
    structlog.get_logger().info("hello")
    assert lines(piped)[0]["event"] == "hello"
    terminal = Terminal()
    logs.setup("auto", "info", process="core", stream=terminal)
    structlog.get_logger().info("hello", n=1)
    assert "hello" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_an_exception_is_one_structured_field_in_json() -> None:
    """A trace never breaks a log into several lines, and carries no local variables."""
    stream = started("json")
    try:
        password_of_ann = "hunter2hunter2"
        raise ValueError(f"bad price {len(password_of_ann)}")
    except ValueError:
        structlog.get_logger("feed").exception("a feed failed")
    (line,) = lines(stream)
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert line["exception"][0]["exc_value"] == "bad price 14"
    assert "hunter2" not in stream.getvalue()


SECRETS = [
    ("a field named token", "tok-5ecret", {"token": "tok-5ecret"}),
    ("a field named like a token", "tok-5ecret", {"bot_token": "tok-5ecret"}),
    ("a password within a table", "pa55word", {"settings": {"inner": [{"password": "pa55word"}]}}),
    ("the user part of an address", "s3cret", {"url": "nats://user:s3cret@host:4222"}),
    ("a token before the host", "onlytoken", {"server": "nats://onlytoken@host:4222,nats://onlytoken@other:4222"}),
    ("a key in a query", "abc123", {"url": "wss://ws.example.com/?apikey=abc123&symbols=XAU"}),
    ("a token in a query", "abc123", {"url": "wss://ws.example.com/?x=1&token=abc123"}),
    ("a bearer header in running text", "eyJhbGciOi", {"reason": "401 for Authorization: Bearer eyJhbGciOi"}),
    ("a setting quoted in running text", "s3cretttt", {"line": 'token = "s3cretttt"'}),
    ("a Telegram token in an address", TELEGRAM, {"url": f"https://api.telegram.org/bot{TELEGRAM}/getMe"}),
    ("a Slack token", SLACK, {"reason": f"invalid_auth for {SLACK}"}),
    ("a Slack webhook", "T0/B0/XyZ", {"url": "https://hooks.slack.com/services/T0/B0/XyZ"}),
    ("a Discord webhook", "99/w3bh00k", {"url": "https://discord.com/api/webhooks/99/w3bh00k"}),
    ("an address of apprise", "my-secret-topic", {"target": "ntfys://my-secret-topic"}),
    ("an object that prints a secret", "s3cret", {"error": OSError("cannot reach redis://:s3cret@h:1")}),
    ("a destination", "my-topic", {"to": Destination(id=1, owner_id=1, platform="p", address="my-topic", label="me")}),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["json", "text"])
@pytest.mark.parametrize(("secret", "fields"), [row[1:] for row in SECRETS], ids=[row[0] for row in SECRETS])
def test_no_secret_reaches_a_log(kind: Literal["json", "text"], secret: str, fields: dict[str, Any]) -> None:
    """Whatever field it hides in, a secret is masked, from our loggers and from a library's."""
    stream = started(kind)
    structlog.get_logger("bus").warning("trouble", **fields)
    logging.getLogger("nats").error("trouble with %s", str(fields), extra={"more": fields})
    assert secret not in stream.getvalue()
    assert stream.getvalue().count(logs.MASK) >= 2


@pytest.mark.parametrize("kind", ["json", "text"])
def test_no_secret_reaches_a_log_by_way_of_an_exception(kind: Literal["json", "text"]) -> None:
    """The text of an exception is scrubbed like any other."""
    stream = started(kind)
    try:
        raise OSError("no answer from wss://feed.example.com/?token=abc123")
    except OSError:
        structlog.get_logger("feed").exception("a feed failed")
    assert "no answer from wss://feed.example.com/?token=" in stream.getvalue()
    assert "abc123" not in stream.getvalue()


def test_a_hidden_value_is_masked_wherever_it_stands() -> None:
    """A token that looks like nothing is masked once the process has said that it is one."""
    stream = started("json")
    logs.hide("correcthorse")
    structlog.get_logger("bus").info("said correcthorse", reason="no correcthorse here")
    assert "correcthorse" not in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "BTC-USDT went from 60000.5 to 61000",
        "https://forex-data-feed.swissquote.com/public-quotes/bboquotes/instrument/XAU/USD",
        "nats://127.0.0.1:4222",
        "sqlite:///data/ledger.db",
        "wss://data-stream.binance.vision/stream?streams=btcusdt@bookTicker/ethusdt@aggTrade",
        "the keyboard is under the token ring",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    """A log that masks everything tells nothing."""
    assert logs.clean(text) == text


def test_a_long_text_is_cut_in_its_middle() -> None:
    """A whole message body has no place in a log; its start and its end stay."""
    cut = logs.clean("a" * 50_000 + "the cause")
    assert len(cut) < logs.LONGEST + 100
    assert cut.startswith("aaa")
    assert cut.endswith("the cause")


def test_a_repeated_failure_is_logged_when_it_changes() -> None:
    """The same failure is written once; another reason, and the end of it, are written."""
    stream = started("json")
    repeats = logs.Repeats(structlog.get_logger("ingest"))
    wrote = [repeats.log("binance", "a feed failed", reason=reason) for reason in ("a", "a", "a", "b", "b")]
    assert wrote == [True, False, False, True, False]
    assert repeats.over("binance", "a feed is back", feed="binance")
    assert not repeats.over("binance", "a feed is back", feed="binance")
    assert [(line["level"], line.get("reason"), line.get("repeated_before")) for line in lines(stream)] == [
        ("warning", "a", None),
        ("warning", "b", 2),
        ("info", None, 1),
    ]


def test_what_repeats_is_told_apart_by_its_key() -> None:
    """Two feeds with the same trouble are two lines."""
    stream = started("json")
    repeats = logs.Repeats(structlog.get_logger("ingest"), level="error")
    assert repeats.log("a", "a feed failed")
    assert repeats.log("b", "a feed failed")
    assert [line["level"] for line in lines(stream)] == ["error", "error"]


def test_repeats_remember_a_bounded_number_of_keys() -> None:
    """A key from outside cannot fill the memory: the oldest is forgotten, and logs again."""
    started("json")
    repeats = logs.Repeats(structlog.get_logger("ingest"))
    for number in range(logs.MAX_KEYS + 1):
        repeats.log(str(number), "trouble")
    assert not repeats.log(str(logs.MAX_KEYS), "trouble")
    assert repeats.log("0", "trouble")
