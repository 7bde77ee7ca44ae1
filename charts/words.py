"""What a person writes behind /chart, /compare and /ratio → what is wanted; and back into a button's short line. Pure.

    gold 24h candles vs silver ma20 ema50 bollinger rsi volume dark in eur levels

Words come in any order. One that is neither an option nor part of an instrument's name is refused with the nearest
option. Depends on hub.spans for spans of time and on charts.chart.
"""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

import msgspec

from charts.chart import Average, Colours, Ground, Kind, Size
from charts.subject import MOST_COMPARED
from hub.model import Instrument
from hub.plugin import BadRequest
from hub.spans import find_span

Find = Callable[[str], Instrument]

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("candles", "candle", "candlestick", "candlesticks", "ohlc"), "candles"),
    "line": "line",
    "area": "area",
}
GROUNDS: dict[str, Ground] = {"dark": "dark", "light": "light"}
COLOURS: dict[str, Colours] = {"red-up": "red-up", "green-up": "green-up", "blue-up": "blue-up"}
SIZES: dict[str, Size] = {"desktop": "desktop", "wide": "desktop", "phone": "phone"}
BETWEEN = frozenset({"vs", "vs.", "versus", "against", "and", "with", ","})
OPTIONS = (
    *KINDS, *GROUNDS, *COLOURS, *SIZES,
    "volume", "ma20", "sma20", "ema50", "bollinger", "rsi", "levels", "nolevels", "vs", "in",
)  # fmt: skip
AVERAGE = re.compile(r"(ma|sma|ema)([0-9]{1,4})")
BAND = re.compile(r"(?:bollinger|bb)([0-9]{0,4})")
RSI = re.compile(r"rsi([0-9]{0,4})")
CURRENCY = re.compile(r"[a-z]{3,5}")
LONGEST_WINDOW = 400
MOST_AVERAGES = 4
HERE = "here"
"""In a button's line: the picture takes the place of the one that the button hangs on."""
LONGEST_LINE_BYTES = 64


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """None and "" where nothing was said."""

    instruments: tuple[Instrument, ...]
    span: str = ""
    kind: Kind | None = None
    ground: Ground | None = None
    colours: Colours | None = None
    size: Size | None = None
    volume: bool = False
    averages: tuple[Average, ...] = ()
    bollinger: int = 0
    rsi: int = 0
    levels: bool | None = None
    currency: str = ""
    here: bool = False


def read(line: str, find: Find) -> Wanted:
    """BadRequest for what cannot be meant."""
    span, rest = find_span(line.replace(",", " , "))
    if find_span(rest)[0]:
        raise BadRequest(f'"{span}" and "{find_span(rest)[0]}" are two spans of time: write one')
    words = rest.casefold().split()
    said: dict[str, object] = {}
    averages: list[Average] = []
    names: list[str] = []
    place = 0
    while place < len(words):
        place += _option(words, place, said, averages) or _name(words, place, names)
    if len(averages) > MOST_AVERAGES:
        raise BadRequest(f"{len(averages)} moving averages are more than one can read: {MOST_AVERAGES} at most")
    found = instruments(names, find)
    return msgspec.convert({**said, "span": span, "averages": averages, "instruments": found}, Wanted)


def _name(words: Sequence[str], place: int, names: list[str]) -> int:
    names.append(words[place])
    return 1


def _option(words: Sequence[str], place: int, said: dict[str, object], averages: list[Average]) -> int:
    """How many words were an option; 0: this one is none."""
    word = words[place]
    after = words[place + 1] if place + 1 < len(words) else ""
    for key, known in (("kind", KINDS), ("ground", GROUNDS), ("colours", COLOURS), ("size", SIZES)):
        if word in known:
            _say(said, key, known[word], word)
            return 1
    if found := AVERAGE.fullmatch(word):
        averages.append(Average(kind="ema" if found[1] == "ema" else "sma", length=_window(found[2], word, 20)))
    elif found := BAND.fullmatch(word):
        said["bollinger"] = _window(found[1], word, 20)
    elif found := RSI.fullmatch(word):
        said["rsi"] = _window(found[1], word, 14)
    elif word in ("volume", "volumes", "vol"):
        said["volume"] = True
    elif word in ("levels", "alerts", "nolevels", "noalerts"):
        said["levels"] = not word.startswith("no")
    elif word == "no" and after in ("levels", "alerts"):
        said["levels"] = False
        return 2
    elif word == HERE:
        said["here"] = True
    elif word == "in":
        if not CURRENCY.fullmatch(after):
            raise BadRequest(f'"in {after}" names no currency: write in eur, in inr or in usd'.replace("in  ", "in "))
        said["currency"] = after.upper()
        return 2
    else:
        return 0
    return 1


def _say(said: dict[str, object], key: str, value: object, word: str) -> None:
    if said.setdefault(key, value) != value:
        raise BadRequest(f'"{said[key]}" and "{word}" contradict each other: write one of them')


def _window(digits: str, word: str, otherwise: int) -> int:
    length = int(digits or otherwise)
    if not 2 <= length <= LONGEST_WINDOW:
        raise BadRequest(f'"{word}" looks at {length} candles: from 2 to {LONGEST_WINDOW} can be, as in ma20')
    return length


def instruments(words: Sequence[str], find: Find) -> list[Instrument]:
    """The instruments that these words name, each by as many words as there is a name for."""
    found: list[Instrument] = []
    place = 0
    while place < len(words):
        if words[place] in BETWEEN:
            place += 1
            continue
        one, used = _longest(words[place:], find)
        if one not in found:
            found.append(one)
        place += used
    if not found:
        raise BadRequest("an instrument is missing: write its name, as in chart gold 24h")
    if len(found) > MOST_COMPARED:
        raise BadRequest(f"{len(found)} instruments are more than one can tell apart: {MOST_COMPARED} at most")
    return found


def _longest(words: Sequence[str], find: Find) -> tuple[Instrument, int]:
    end = next((place for place, word in enumerate(words) if word in BETWEEN), len(words))
    for count in range(min(end, 5), 1, -1):
        try:
            return find(" ".join(words[:count])), count
        except BadRequest:
            continue
    try:
        return find(words[0]), 1
    except BadRequest as error:
        near = get_close_matches(words[0], OPTIONS, n=1, cutoff=0.7)
        if near:
            raise BadRequest(f'"{words[0][:40]}" is no option of a chart: did you mean {near[0]}?') from error
        raise


def line_of(command: str, wanted: Wanted, span: str, *, here: bool = True) -> str:
    """The line that asks for the same over another span, for a button: what matters least is left out of one that
    would be too long. `here`: the answer takes the picture's place, where there is something to take."""
    names = [instrument.id for instrument in wanted.instruments]
    options = [
        wanted.kind if wanted.kind and command == "chart" else "",
        f"in {wanted.currency.lower()}" if wanted.currency else "",
        *(f"{'ma' if average.kind == 'sma' else 'ema'}{average.length}" for average in wanted.averages),
        f"bb{wanted.bollinger}" if wanted.bollinger else "",
        f"rsi{wanted.rsi}" if wanted.rsi else "",
        "volume" if wanted.volume else "",
        wanted.ground or "",
        wanted.colours or "",
        wanted.size or "",
        "" if wanted.levels is None else "levels" if wanted.levels else "nolevels",
    ]
    said = [option for option in options if option]
    place = [HERE] * here
    while said and len(" ".join([command, *names, span, *said, *place]).encode()) > LONGEST_LINE_BYTES:
        said.pop()
    return " ".join([command, *names, span, *said, *place])
