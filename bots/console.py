"""The console: an alert on the hub's own terminal, and on to every open chat of that person.

`send` prints, and publishes the Message as JSON on `console.<address>` (core NATS, whoever listens). A closed
terminal does not hold an alert back. Depends on hub.bus for the subject.
"""

import asyncio
import sys
import unicodedata

import msgspec
import structlog

from hub.bus import console
from hub.model import Message
from hub.plugin import Hub, TryLater

PLATFORMS = ("console",)

log = structlog.get_logger("console")
READY_S = 2.0
YELLOW, PLAIN = "\x1b[1;33m", "\x1b[0m"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    show: bool = True  # print alerts in the hub's own output; open chats get them either way


class Console:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hub: Hub | None = None
        self._ready = asyncio.Event()

    async def run(self, hub: Hub) -> None:
        """Nothing is typed here: chats send their lines themselves."""
        self._hub = hub
        self._ready.set()
        await asyncio.Event().wait()

    async def send(self, message: Message) -> str:
        try:
            await asyncio.wait_for(self._ready.wait(), READY_S)
        except TimeoutError:
            raise TryLater("the console is not connected to the hub yet") from None
        assert self._hub is not None
        if self._settings.show:
            self._show(message)
        await self._hub.publish(console(message.address), msgspec.json.encode(message))
        return "shown"

    def _show(self, message: Message) -> None:
        """Colour for a person at a terminal, a log line for everything else."""
        title = printable(message.title)
        lines = [printable(line) for line in message.text.splitlines()]
        try:
            if sys.stdout is not None and sys.stdout.isatty():
                print(f"{YELLOW}{title}{PLAIN}", *(f"  {line}" for line in lines), sep="\n", flush=True)
            else:
                log.info("alert", title=title, lines=lines)
        except (OSError, ValueError):  # a closed stream raises either; there is nowhere left to say so
            return


def printable(text: str) -> str:
    """Without what steers a terminal: control and format characters (bidi overrides among them)."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf") else " " for c in text)


def open_bot(settings: Settings) -> Console:
    return Console(settings)
