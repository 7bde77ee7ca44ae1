"""`tocsin demo`: the hub on a simulated market, in a data folder of its own, with a chat on a terminal.

Everything it shows says that it is simulated. Without a terminal it runs and logs until it is stopped, and
`tocsin ask` reaches it. Depends on hub.supervise and hub.talk.
"""

import asyncio
import math
import sys
from pathlib import Path
from typing import cast

from hub import logs, talk
from hub.bus import connect
from hub.config import BotSection, Config, FeedSection, HubSection
from hub.plugin import TryLater
from hub.supervise import Supervisor, supervise

FOLDER = Path("demo-data")
SYMBOLS = ("XAU-USD", "XAG-USD", "BTC-USD", "ETH-USD", "EUR-USD", "AAPL")
WELCOME = """\
Tocsin on a simulated market: none of these prices is real.
Try:  price   {alert}   alerts   why 1   status   help
An alert rings here while you type. Ctrl-D stops everything."""
FIRST_PRICE_S = 3.0


def config(folder: Path) -> Config:
    """The demo's hub: one simulated source, the console, and push for whoever wants to try it."""
    return Config(
        hub=HubSection(data=str(folder)),
        instruments={symbol: {"session": "24x7"} for symbol in SYMBOLS},  # a demo on a Sunday moves as well
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
            return await talk.chat(settings, on_start=await welcome(settings), stop=asyncio.Event())
        finally:
            print("stopping …", flush=True)
            await hub.stop()


async def welcome(settings: Config) -> str:
    """With an alert that rings soon: a little above the price that gold has now."""
    try:
        async with asyncio.timeout(FIRST_PRICE_S):
            price = await _gold(settings)
    except (TryLater, TimeoutError):  # a slow machine: the person sees the prices come and picks a level
        return WELCOME.format(alert="alert gold > (a price)")
    return WELCOME.format(alert=f"alert gold > {soon_above(price)}")


async def _gold(settings: Config) -> float:
    address = talk.address_of(settings)
    if address is None:
        raise TryLater("no hub runs")
    async with connect(address.bus_url, address.bus_token or None, "demo", patience_s=FIRST_PRICE_S) as bus:
        while True:
            reply = await talk.say(bus, f"price {SYMBOLS[0]}", talk.OPERATOR)
            for quote in cast("list[dict[str, float]]", reply.facts.get("quotes", [])):
                return quote["price"]
            await asyncio.sleep(0.1)


def soon_above(price: float) -> str:
    """The next ten cents at least fifteen above: the walk of a minute or two."""
    return f"{math.ceil((price + 0.15) * 10) / 10:.2f}"
