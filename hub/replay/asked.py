"""What the command line asks of a replay → the recordings, and the configuration of the hub that plays them.

A file may say the time zone of its stamps behind an `@`, and behind another one the zone in which its ticks really
came: `eurusd.zip@UTC@Etc/GMT+5` is a vendor whose clock is five hours behind, as it was met. Depends on hub.config and
hub.load; a recording's first tick is read, so for a thread or before a loop runs.
"""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec

from hub import load
from hub.config import AlertsSection, BotSection, Config, DeliverySection, FeedSection, HubSection
from hub.instruments import CATALOGUE, ID, Catalogue, build_catalogue
from hub.model import Kind, Tick
from hub.plugin import BadRequest, GiveUp
from hub.splits import parse_day, parse_ratio

GIVE_UP_AFTER_HOURS = 0.25
ROLES = ("ingest", "record", "alert", "deliver", "commands", "bots")
ALONE = "replay"
"""The feed of a recording that is played alone; of several each has its file's name."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for. `formats` and `instruments`: one for each file, or one for all."""

    files: Sequence[str]
    formats: Sequence[str]
    instruments: Sequence[str]
    date: str = ""
    speed: str = "max"
    times: Literal["kept", "shifted"] = "kept"
    alerts: Sequence[str] = ()
    splits: Sequence[str] = ()
    notify: Sequence[str] = ()
    data: Path | None = None
    as_json: bool = False


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    feed: str
    file: Path
    format: str
    instrument: str  # or several, a comma between, where each line of the file says which
    time_zone: str = ""
    received_in: str = ""

    @property
    def instruments(self) -> list[str]:
        return self.instrument.split(",") if self.instrument else []


def recordings(asked: Asked) -> list[Recording]:
    """GiveUp for a file that is not there, BadRequest for what is written wrong."""
    if not asked.files:
        raise BadRequest("no recording is named: write tocsin replay FILE --format csv --instrument XAU-USD")
    formats = _one_each("--format", asked.formats, asked.files)
    words = _one_each("--instrument", asked.instruments, asked.files)
    instruments = [",".join(_instrument(each.strip()) for each in word.split(",")) for word in words]
    found: list[Recording] = []
    for text, format, instrument in zip(asked.files, formats, instruments, strict=True):
        file, time_zone, received_in = _parted(text)
        if not file.is_file():
            raise GiveUp(f"there is no file {file}")
        feed = ALONE if len(asked.files) == 1 else re.sub(r"[^A-Za-z0-9_-]+", "-", file.name.split(".")[0]).strip("-")
        if any(each.feed == feed for each in found):
            raise BadRequest(f"two of the recordings are named {feed}: a recording is known by its name")
        found.append(
            Recording(
                feed=feed or ALONE, file=file, format=format, instrument=instrument, time_zone=time_zone,
                received_in=received_in,
            )
        )  # fmt: skip
    return found


def _one_each(option: str, values: Sequence[str], files: Sequence[str]) -> Sequence[str]:
    if len(values) == 1:
        return list(values) * len(files)
    if len(values) != len(files):
        raise BadRequest(f"write {option} once for all recordings, or once for each of the {len(files)}")
    return values


def _parted(text: str) -> tuple[Path, str, str]:
    """The file, and its zones. A name may hold an `@` itself."""
    for parts in (1, 2, 3):
        file, *zones = text.rsplit("@", parts - 1)
        if Path(file).is_file():
            return Path(file), *[*zones, "", ""][:2]  # type: ignore[return-value]
    return Path(text), "", ""


def _instrument(word: str) -> str:
    """The id that a person means: a name of the catalogue, or a new id in capitals."""
    try:
        return word and build_catalogue({}, ()).find(word).id
    except BadRequest as error:
        if ID.fullmatch(word):
            return word
        raise BadRequest(f"--instrument {error.text.splitlines()[0]}") from error


# ---------------------------------------------------------------------------------------------- configuration


def config_of(asked: Asked, played: Sequence[Recording], folder: Path) -> Config:
    """Earlier recordings come first in preference. Several at a speed, or moved to now, share one clock."""
    feeds = [_feed(asked, one) for one in played]
    firsts = [_first(feed) for feed in feeds]
    stamps = [tick.received_at for tick in firsts if tick is not None and tick.received_at is not None]
    if len(feeds) > 1 and stamps:
        for feed in feeds:
            feed.settings["begins"] = str(min(stamps))
    bot = "push" if asked.notify else "console"
    return Config(
        hub=HubSection(data=str(folder), roles=ROLES),
        alerts=AlertsSection(storm_rings=0, lines_per_minute=100_000),  # all that would ring is wanted
        delivery=DeliverySection(allow_private=True, give_up_after_hours=GIVE_UP_AFTER_HOURS),
        instruments=_instruments(played, firsts),
        feeds=tuple(feeds),
        bots=(BotSection(name=bot, module=bot),),
        folder=folder,
    )


def _feed(asked: Asked, one: Recording) -> FeedSection:
    return FeedSection(
        name=one.feed,
        module="replay",
        symbols={name: name for name in one.instruments},
        mute_after_s=86_400.0,
        settings={
            "file": str(one.file.absolute()),
            "format": one.format,
            "instrument": one.instrument if len(one.instruments) == 1 else "",
            "date": _date(asked.date),
            "speed": _speed(asked.speed),
            "times": asked.times,
            "time_zone": one.time_zone,
            "received_in": one.received_in,
        },
    )


def _instruments(played: Sequence[Recording], firsts: Sequence[Tick | None]) -> dict[str, dict[str, Any]]:
    """Each by the kind of its first recording's prices, where that is of one instrument; what the catalogue lacks is
    named."""
    known = {instrument.id for instrument in CATALOGUE}
    changes: dict[str, dict[str, Any]] = {}
    for one, first in zip(played, firsts, strict=True):
        for name in one.instruments:
            if name not in changes:
                changes[name] = {} if name in known else {"name": name}
                if len(one.instruments) == 1:
                    changes[name]["basis"] = "last" if _trades(one.format, first) else "mid"
    return changes


def _first(feed: FeedSection) -> Tick | None:
    module: Any = load.feed("replay")
    first: Tick | None = module.first(load.settings_of(module, feed.settings), feed.symbols)
    return first


def _trades(recording: str, first: Tick | None) -> bool:
    """Whether its prices are what was traded: by the format's name, else by the first tick. An alert on the other kind
    would never ring."""
    if recording not in ("csv", "tocsin", "auto"):
        return "trade" in recording or recording == "binance-raw"
    return first is not None and first.kind is Kind.TRADE


def split_of(text: str, catalogue: Catalogue) -> tuple[str, str, tuple[int, int]]:
    """ "AAPL 7:1 2014-06-09" → the instrument, the day, and new and old shares."""
    words = text.split()
    if len(words) != 3:
        raise BadRequest(f'--split "{text}" is no split: write it like "AAPL 7:1 2014-06-09"')
    return catalogue.find(words[0]).id, parse_day(words[2]), parse_ratio(words[1])


def _speed(text: str) -> float:
    """0 is as fast as the hub can."""
    try:
        return 0.0 if text == "max" else float(text.removesuffix("x"))
    except ValueError:
        raise BadRequest(f'--speed "{text}" is no speed: write max, 1x or 60x') from None


def _date(text: str) -> str:
    try:
        return text and date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadRequest(f'--date "{text}" is no day: write it like 2014-05-02') from None
