"""What is said of a line that is no alert: why, and where. Pure.

Lines that were probably meant instead are in hub.rules.language.repairs. Depends on lark, hub.model, hub.plugin and
hub.rules.numbers.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hub.i18n import _, later
from hub.model import Instrument
from hub.plugin import BadRequest
from hub.rules.language.money import currency_of
from hub.rules.numbers import NoNumber, number, quoted_cut

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

Find = Callable[[str], Instrument]
"""The instrument that a word means, or BadRequest."""
COMPUTED = ("sma", "ema", "rsi", "macd", "bollinger", "change", "volume", "spread")
QUOTES = '"“”„«»'


class LanguageError(BadRequest):
    """Why a line is no alert: `reason` in a sentence, `at` the index in `line` where it went wrong, `example` a
    line that does parse, or empty. The text holds all three."""

    def __init__(self, reason: str, line: str = "", at: int = 0, example: str = "") -> None:
        place = "\n".join(_place(line, at)) if line else ""
        super().__init__(
            "\n".join(
                part for part in (reason, place, _("Try: {example}").format(example=example) if example else "") if part
            )
        )
        self.reason = reason
        self.line = line
        self.at = at
        self.example = example


class Wrong(Exception):
    """`meant` are lines that the person may have meant, the best first; `guess`: others may be made from what is
    understood of this one."""

    def __init__(self, reason: str, at: int, *meant: str, guess: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at
        self.meant = meant
        self.guess = guess


# ------------------------------------------------------------------------------------------ why and where

BEHIND_SUBJECT = later(
    "after the instrument comes what it does: > 2400, < 2400, crosses 2400, enters 2300..2350, -5% in 1h, trails 3%"
    " or every 100{behind}"
)
BEHIND_LEVEL = later(
    "after the level comes nothing, or and, or, once, every time, at most every 10m, for 30s, until friday, band 0.1%,"
    ' confirm 2, urgent, via push or note "…"{behind}'
)
_WANTED: tuple[tuple[str, str, str], ...] = (
    ("_TRAILS", BEHIND_SUBJECT, ""),
    ("ONCE", BEHIND_LEVEL, ""),
    ("KARAT_BEFORE", later("an alert begins with an instrument, as in gold > 2400{behind}"), ""),
    ("MOMENT", later('after "until" comes a time: friday, tomorrow, 18:00, 2026-12-31 or 2h{behind}'), "friday"),
    ("DURATION", later("a length of time is missing here, like 30s, 15m, 2h or 1d{behind}"), "1h"),
    ("NUMBER", later("a number is missing here{behind}"), ""),
    ("EDGE", later("of which high or low? Write day high, 52w low or all-time high{behind}"), "52w high"),
    ("_IN_SPAN", later('in which time? Write "in 1h" behind it{behind}'), "in 1h"),
    ("_OF", later('of which high or low? Write "of 52w high" behind it{behind}'), "of 52w high"),
    ("_TO", later("a range has two ends, as in 2300..2350{behind}"), ""),
    ("NAME", later("an instrument is missing here{behind}"), ""),
    ("TIME", later('after "every" comes "time"{behind}'), "time"),
    ("PLACE", later('after "via" comes where it goes, as in via telegram, push{behind}'), ""),
    ("TEXT", later("a note stands in quotation marks{behind}"), ""),
    ("ARGUMENT", later("something is missing here, as in rsi(btc, 14, 1h){behind}"), ""),
    ("UNIT", later("a weight is missing here: oz, gram, kg, tola or tael{behind}"), "gram"),
    ("MONEY", later("a currency is missing here, like usd, eur or inr{behind}"), ""),
    ("RPAR", later("a bracket is not closed here{behind}"), ")"),
    ("COMMA", later("here comes a comma, as in volume(btc, 1h){behind}"), ", 1h)"),
)
"""What may come at a place → what is said where something else is there, and what is put there to see whether it makes
an alert; the first that may come counts."""
ANOTHER = later("another condition is missing here, as in gold > 2400 and silver > 30{behind}")


def syntax(text: str, error: "UnexpectedInput") -> Wrong:
    """What is missing or too much at the first place that fits no alert."""
    ended = getattr(getattr(error, "token", None), "type", "") == "$END"
    at = len(text.rstrip()) if ended else max(0, error.pos_in_stream or 0)
    wanted: set[str] = set(getattr(error, "accepts", None) or getattr(error, "allowed", None) or ())
    if unknown := _unknown_word(error):
        return Wrong(_(BEHIND_LEVEL).format(behind=_not(text, unknown)), unknown)
    if slip := _slip(text, at, wanted):
        return slip
    sentence, sample = _wants(text, at, wanted)
    return Wrong(sentence, at, *_missing(text, at, wanted, sample))


def _slip(text: str, at: int, wanted: set[str]) -> Wrong | None:
    """What is better told by what stands there than by what is missing."""
    rest = text[at:].strip()
    if rest and rest[0] in QUOTES and not re.match(r'"[^"]*"|[“„”«»][^"“”„«»]*[“”«»]', rest):
        closed = f'{text[:at]}"{_bare(rest)}"'
        return Wrong(_("this quotation mark is not closed, or is closed by another kind"), at, closed)
    if glued(text, at):
        return _no_number(text, at)
    if {"FROM", "BELOW"} <= wanted and not wanted & {"_TRAILS", "_IN_SPAN"}:
        return _number_alone(text, at)
    if "_TRAILS" in wanted and re.search(r"\bportfolio\s*$", text[:at], re.IGNORECASE):
        return _name_alone(text, at)
    calls = re.finditer(r"(?<!\w)[^\W\d]\w*(?=\s*\()", text)
    call = next((each for each in calls if each.start() <= at <= text.index("(", each.end())), None)
    return _no_function(text, call) if call else None


def _unknown_word(error: "UnexpectedInput") -> int:
    """Where a word stands that was taken for a currency and is none; 0 where there is none such."""
    last = (getattr(error, "token_history", None) or [None])[-1]
    return last.start_pos or 0 if last is not None and last.type == "MONEY" and not currency_of(last) else 0


def behind_level(text: str, at: int) -> Wrong:
    """What stands there belongs to no option."""
    return Wrong(_(BEHIND_LEVEL).format(behind=_not(text, at)), at) if not glued(text, at) else _no_number(text, at)


def glued(text: str, at: int) -> bool:
    """Whether a letter stands there right behind a digit: "5e3", "2m"."""
    return 0 < at < len(text) and text[at - 1].isdigit() and text[at].isalpha()


def _no_number(text: str, at: int) -> Wrong:
    """The word that only began as a number."""
    begin = at - len(re.search(r"[0-9.,'’_]*$", text[:at])[0])  # type: ignore[index]
    word = re.match(r"[\w.,'’]+", text[begin:])
    written = word[0].rstrip(".,") if word else text[begin:at]
    try:
        number(written)
    except NoNumber as error:
        meant = (text[:begin] + error.meant + text[begin + len(written) :],) if error.meant else ()
        return Wrong(str(error), begin, *meant)
    return Wrong(_(BEHIND_LEVEL).format(behind=_not(text, at)), at)


def _number_alone(text: str, at: int) -> Wrong:
    """ "gold 2400": a number behind the instrument is the beginning of "5% below 52w high" only."""
    found = re.search(r"[0-9][0-9.,'’_]*k?\s*(?:%|[a-z]+|/[a-z]+)?\s*$", text[:at], re.IGNORECASE)
    place = found.start() if found else at
    moves = (f"{text[:place]}moves {text[place:].strip()} in 1d",) if "%" in text[place:at] else ()
    return Wrong(_(BEHIND_SUBJECT).format(behind=_not(text, place)), place, *moves)


def _name_alone(text: str, at: int) -> Wrong:
    """ "portfolio savings": leaving the name out would be another portfolio."""
    word = re.match(r"\S+", text[at:])
    quoted = (f'{text[:at]}"{_bare(word[0])}"{text[at + len(word[0]) :]}',) if word else ()
    return Wrong(_(BEHIND_SUBJECT).format(behind=_not(text, at)), at, *quoted, guess=False)


def _no_function(text: str, name: re.Match[str]) -> Wrong:
    if name[0].split("_")[0].lower() in COMPUTED:
        reason = _("what is computed stands on a price, a ratio or a difference, not on something computed")
        return Wrong(reason, name.start(), guess=False)
    reason = _(
        "{name} is nothing that is computed here: there are sma, ema, rsi, macd, bollinger_upper, volume and change"
    ).format(name=quoted_cut(name[0]))
    near = get_close_matches(name[0].lower(), (*COMPUTED, "bollinger_upper", "macd_signal"), n=3)
    meant = [re.sub(rf"\b{re.escape(name[0])}(?=\s*\()", each, text) for each in near]
    return Wrong(reason, name.start(), *meant, guess=False)


def _missing(text: str, at: int, wanted: set[str], sample: str) -> Iterator[str]:
    """The line with what was left out."""
    head, rest = text[:at].rstrip(), text[at:].strip()
    if wanted == {"TEXT"} and rest:
        yield f'{head} "{_bare(rest)}"'
    elif "NOTE" in wanted and rest[:1] in QUOTES and rest:
        yield f"{text[:at]}note {text[at:]}"
    if wanted == {"TIME"} and rest[:1].isdigit():
        yield re.sub(r"\S+$", "at most every", head) + f" {rest}"
    if sample == "1h" and (count := re.match("[0-9]+", rest)):
        yield f"{head} {count[0]}m {rest[count.end() :].strip()}".strip()
    if sample:
        gap = "" if sample[0] in ",)" else " "
        yield f"{head}{gap}{sample} {rest}".strip()
        yield f"{head}{gap}{sample} {rest.partition(' ')[2]}".strip()


def _bare(text: str) -> str:
    return re.sub(r'[\\"“”„«»]', "", text).strip()


def _wants(text: str, at: int, wanted: set[str]) -> tuple[str, str]:
    """What is said, and a sample of what is missing."""
    found = next(((words, sample) for terminal, words, sample in _WANTED if terminal in wanted), (BEHIND_LEVEL, ""))
    sentence, sample = found
    if "KARAT_BEFORE" in wanted and text[:at].strip():
        sentence = ANOTHER
    return _(sentence).format(behind=_not(text, at)), sample


def _not(text: str, at: int) -> str:
    got = re.match(r'"[^"]*"|\S+', text[at:].strip())
    return _(", not {word}").format(word=quoted_cut(got[0].strip(QUOTES))) if got else ""


def _place(line: str, at: int, room: int = 60) -> tuple[str, str]:
    """The line, cut around the place if it is long, and a caret under it."""
    first = max(0, at - room // 2) if len(line) > room else 0
    shown = line[first : first + room]
    before = ("…" if first else "") + shown[: at - first]
    columns = sum(_columns(character) for character in before)
    end = "…" if first + room < len(line) else ""
    return before + shown[at - first :] + end, " " * columns + "^"


def _columns(character: str) -> int:
    """Cells of a terminal that a character takes."""
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
