"""`tocsin demo`: the hub on a simulated market, in a data folder of its own, with a chat on a terminal.

Everything it shows says that it is simulated. Without a terminal it runs and logs until it is stopped, and
`tocsin ask` reaches it. Depends on hub.supervise and hub.talk.
"""

import asyncio
import sys
from pathlib import Path

from hub import logs, talk
from hub.config import BotSection, Config, FeedSection, HubSection
from hub.supervise import Supervisor, supervise

FOLDER = Path("demo-data")
SYMBOLS = ("XAU-USD", "XAG-USD", "BTC-USD", "ETH-USD", "EUR-USD", "AAPL")
WELCOME = """\
Tocsin on a simulated market: none of these prices is real.
Try:  price          alert gold > {level}          alerts          why 1          help
Ctrl-D stops everything."""


def config(folder: Path) -> Config:
    """The demo's hub: one simulated source, the console, and push for whoever wants to try it."""
    return Config(
        hub=HubSection(data=str(folder)),
        feeds=(FeedSection(name="demo", module="demo", symbols={symbol: symbol for symbol in SYMBOLS}),),
        bots=(BotSection(name="console", module="console"), BotSection(name="push", module="push")),
        folder=folder,
        source="the built-in demo",
    )


async def main(data: Path | None, *, chat: bool) -> int:
    """The exit code, after the person left or the hub was stopped."""
    settings = config((data or FOLDER).absolute())
    logs.setup(settings.hub.log, settings.hub.log_level, process="supervise")
    if not (chat and sys.stdin.isatty() and sys.stdout.isatty()):
        return await supervise(settings)
    settings.folder.mkdir(parents=True, exist_ok=True)
    log = settings.folder / "demo.log"
    with log.open("a") as stream:
        logs.setup("json", "info", process="supervise", stream=stream)
        print("starting the demo …", flush=True)
        hub = Supervisor(settings, log_to=log)
        await hub.start()
        try:
            return await talk.chat(settings, on_start=WELCOME.format(level="4060"), stop=asyncio.Event())
        finally:
            print("stopping …", flush=True)
            await hub.stop()
