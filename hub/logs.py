"""The log: JSON lines for machines, coloured lines on a terminal, and no secret in either.

`setup` is called once by each process. Everything that logs goes the same way, the libraries' stdlib loggers
too, and passes the scrubber: fields with a secret's name, the user part of URLs, secret query parameters,
tokens by their look, and every value given to `hide`. Writing blocks, so what repeats on a hot path goes
through `Repeats`. Depends on structlog and msgspec.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, Processor, WrappedLogger

MASK = "***"
FIRST = ("timestamp", "level", "event", "process", "logger")
CHATTY = ("nats", "aiohttp", "sqlalchemy", "asyncio", "alembic", "aiosqlite", "apprise", "urllib3")
LONGEST = 4_000  # characters of one text field; a whole message body has no place in a log
MAX_KEYS = 1_000  # that Repeats remembers


def setup(kind: Literal["auto", "text", "json"], level: str, *, process: str, stream: TextIO | None = None) -> None:
    """Sends every log line of this process to `stream` (stderr). May be called again; the last call counts."""
    stream = stream or sys.stderr
    as_text = kind == "text" or (kind == "auto" and stream.isatty())
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(as_text, stream)],
        )
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
    )


def _rendering(as_text: bool, stream: TextIO) -> list[Processor]:
    if as_text:
        return [
            structlog.processors.format_exc_info,
            scrub,
            ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain_traceback, sort_keys=False),
        ]
    trace = ExceptionDictTransformer(show_locals=False, max_frames=20)  # local variables may hold secrets
    return [ExceptionRenderer(trace), scrub, in_order, structlog.processors.JSONRenderer(serializer=_json)]


def _named(process: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add


def _json(event: object, **_: object) -> str:
    return msgspec.json.encode(event).decode()


def in_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The fields that every line has come first."""
    head = {key: event.pop(key) for key in FIRST if key in event}
    return {**head, **event}


# ---------------------------------------------------------------------------------------------- secrets

SECRET_NAME = re.compile(
    r"(^|[_\-.])(token|secret|password|passwd|api_?key|authorization|credentials?|cookie)s?$", re.IGNORECASE
)
SECRET_WORD = r"(?:token|secret|passw(?:or)?d|api_?key)"
HARMLESS_SCHEME = r"(?:https?|wss?|nats|tls|file|sqlite|postgres(?:ql)?|rediss?)(?:\+\w+)?://"
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # user, password or token before the host
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{MASK}@"),
    # secrets in a query, and "token: abc" or "Authorization: Bearer abc" in running text
    (re.compile(rf"(?i)([?&;](?:[\w-]*{SECRET_WORD}|key|sig|signature|auth)=)[^&\s\"']+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)\b([\w-]*{SECRET_WORD}[\"']?\s*[:=]\s*[\"']?)[^\s\"',&;]+"), rf"\1{MASK}"),
    # tokens by their look: Telegram, Slack, Discord, and webhook addresses that are secrets as a whole
    (re.compile(r"\d{6,12}:[\w-]{30,}"), MASK),
    (re.compile(r"\bx(?:ox[a-z]|app)-[\w-]{8,}"), MASK),
    (re.compile(r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}"), MASK),
    (re.compile(r"(hooks\.slack\.com/services/|/api/(?:v\d+/)?webhooks/)\S+"), rf"\1{MASK}"),
    # a destination that was printed
    (re.compile(r"\b(address=)(?:'[^']*'|\"[^\"]*\")"), rf"\1{MASK}"),
    # a push address (ntfy://topic, tgram://token/chat) is a secret as a whole
    (re.compile(rf"(?i)\b(?!{HARMLESS_SCHEME})([a-z][a-z0-9+.-]*://)[^\s\"']+"), rf"\1{MASK}"),
)

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """From now on this very text is masked wherever it would be logged (shorter than 6 characters: ignored,
    it would black out ordinary words)."""
    if len(secret) >= 6:
        _hidden.add(secret)


def clean(text: str) -> str:
    """`text` without what looks like a secret, cut to a sane length."""
    for secret in _hidden:
        text = text.replace(secret, MASK)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    half = LONGEST // 2  # a trace has its cause at the end
    return text if len(text) <= LONGEST else f"{text[:half]} … ({len(text)} characters) … {text[-half:]}"


def scrub(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {key: _scrubbed(key, value) for key, value in event.items()}


def _scrubbed(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return MASK if SECRET_NAME.search(name) and type(value) is int else value
    if SECRET_NAME.search(name):
        return MASK
    if isinstance(value, msgspec.Struct):
        value = {**msgspec.structs.asdict(value), **({"address": MASK} if hasattr(value, "address") else {})}
    if isinstance(value, Mapping):
        return {str(key): _scrubbed(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed("", inner) for inner in value]
    return clean(value if isinstance(value, str) else str(value))


# ---------------------------------------------------------------------------------------------- repeats


class Repeats:
    """Logs a repeated failure when it changes. The event and the fields are what is compared: keep counters
    and durations out of them. Remembers the newest MAX_KEYS keys."""

    def __init__(self, logger: Any, level: str = "warning") -> None:
        self._logger = logger
        self._level = level
        self._last: MutableMapping[str, tuple[str, dict[str, object]]] = {}
        self._silent: dict[str, int] = {}

    def log(self, key: str, event: str, **fields: object) -> bool:
        """Whether it was new, and so was logged."""
        if self._last.get(key) == (event, fields):
            self._silent[key] += 1
            return False
        repeated = self._forget(key)
        self._last[key] = (event, fields)
        self._silent[key] = 0
        if len(self._last) > MAX_KEYS:
            self._forget(next(iter(self._last)))
        self._write(self._level, event, fields, repeated)
        return True

    def over(self, key: str, event: str, **fields: object) -> bool:
        """Success after trouble, at info; nothing where there was no trouble."""
        if key not in self._last:
            return False
        self._write("info", event, fields, self._forget(key))
        return True

    def _forget(self, key: str) -> int:
        self._last.pop(key, None)
        return self._silent.pop(key, 0)

    def _write(self, level: str, event: str, fields: dict[str, object], repeated: int) -> None:
        extra = {"repeated_before": repeated} if repeated else {}
        getattr(self._logger, level)(event, **fields, **extra)
