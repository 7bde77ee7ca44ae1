"""Lines that were probably meant by one that is no alert. Pure.

The reader of lines hands in how it reads one, so nothing is proposed that it would refuse; and nothing is left out of
a line that would change what it says, as a currency or a percentage would. Depends on `mistakes` and hub.rules.numbers.
"""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from itertools import islice

from hub.plugin import BadRequest
from hub.rules.language.mistakes import QUOTES, Find, Wrong
from hub.rules.numbers import HIGHEST, LOWEST, NoNumber, number

Judge = Callable[[str], Wrong | None]
"""What is wrong with a line; None for an alert."""
MOST_TRIED = 16
"""So many proposals are tried for one line."""
MOST_WORDS = 8
_SIGNS = {"above": ">", "below": "<", "crosses": "crosses"}
_WORDS = (
    "above below over under crosses hits reaches touches rises falls drops enters leaves inside outside between moves"
    " gains trails every time once always repeat at most for until tomorrow today monday tuesday wednesday thursday"
    " friday saturday sunday band confirm sources urgent via note within and or then portfolio volume change spread"
    " high low per gram ounce tola karat"
)
_COMPUTED = r"(rsi|sma|ema|macd)"
_REWRITTEN: tuple[tuple[str, str], ...] = (
    (r"^\s*(?:please\s+)?(?:(?:alert|tell|notify|ping|warn|inform|remind|message|text|call|ring)(?:\s+me)?\s+)?"
     r"(?:(?:when(?:ever)?|if|as\s+soon\s+as)\s+)?(?:the\s+)?(?:price\s+of\s+)?(?:the\s+)?", ""),
    (r"(?<!\w)[#$](?=[a-z])", ""),
    (r"\b(\w+)\s+to\s+(\w+)\s+ratio\b", r"\1/\2"), (r"\s+ratio\b(?!\s*\()", ""), (r"(?<=[a-z]):(?=[a-z])", "/"),
    (r"^(bid|ask|mid|last)\s+(?=[a-z])(\S+)", r"\2 \1"), (r"^trailing\s+stop\s+(?:(?:on|for)\s+)?(\S+)", r"\1 trails"),
    (r"\b(?:on|to)\s+(?=(?:telegram|slack|discord|push)\b)", "via "), (r"\s+(today)\s*$", r" until \1"),
    (r"\bin\s+(?:the\s+)?range\s+(?:of\s+)?", "in "),
    (rf"^(\w[\w/-]*)\s+{_COMPUTED}\b(?!\s*\()", r"\2(\1, 1h)"), (rf"^{_COMPUTED}\s+(\w[\w/-]*)", r"\1(\2, 1h)"),
    (r"\bat\s+(?=[€£₹$]?\s*[0-9])", "crosses "),
    (r"=\s*>", ">="), (r"=\s*<", "<="), (r">\s*>+", ">"), (r"<\s*<+", "<"), (r"<\s*>", "crosses"), (r"-+>", ">"),
    (r"\b(?:goes|gets|is|are|will|be|has|does|comes|the|price)\b\s*", ""),
    (r"\b(?:rise|climb|go|get|move|break)s?\s+(?:past|through|beyond)\b", "above"),
    (r"\bin\s+(?:the\s+)?(?:last|past)\b", "in"),
    (r"(?<=[0-9])[ \u00a0\u202f](?=[0-9]{3}(?![0-9]))", ""),
    (r"(?<=[a-z])([-+])(?=[0-9])", r" \1"),
    (r"(?<=[a-z])-(?=[a-z])", " - "),
    (r"\s*[,;]\s+(?=[a-z](?![^()]*\)))", " "), (r"(?<=[a-z])\s*[:,]\s+(?=[0-9](?![^()]*\)))", " "),
    (r"\bevery\s+(?=[0-9]+\s*(?:s|m|h|d|min|mins|minutes|hours?|days?)\b)", "at most every "),
    (r"[?!.;,]+\s*$", ""),
)  # fmt: skip
_TIDY = tuple((re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in _REWRITTEN)
_CHANGES = re.compile(
    r"[%％(/€£₹¥$+±]|[0-9]\s*(?:k|kt|ct|karat|carat)s?\b(?=.*[0-9])|\bevery\b(?!\s*(?:time|$))|(?<![\w.])-\s*[0-9]"
    r"|\b(?:in|per|within|between|inside|outside|enters|leaves|trails?|trailing|moves|not|and|or|then|high|low|ath|atl"
    r"|bid|ask|mid|last|spread|volume|change|rsi|sma|ema|macd|average|ratio|portfolio|usd|eur|gbp|inr|jpy|chf|rs|rupees"
    r"|euros?|dollars?|oz|gram|grams|kg|tola|tael)\b",
    re.IGNORECASE,
)
"""What cannot be left out of a line, or it means something else."""
_COMPARES = re.compile(r"[<>≤≥]+")


def repaired(text: str, wrong: Wrong, finds: Find, judge: Judge) -> str:
    """The first of the lines that may be meant which is an alert; empty where there is none."""
    lines = _candidates(text, wrong, finds, judge) if wrong.guess else iter(wrong.meant)
    return next((line for line in islice(lines, MOST_TRIED) if line != text and judge(line) is None), "")


def _candidates(text: str, wrong: Wrong, finds: Find, judge: Judge) -> Iterator[str]:
    yield from wrong.meant
    yield from _respelled(text, wrong.at)
    tidy = _tidied(text)
    if tidy != text:
        yield tidy
        yield from _meant_by(tidy, judge)
    yield from _turned_round(text)
    yield from _with_names_quoted(text, finds)
    if tidy != text:
        yield from _with_names_quoted(tidy, finds)
    yield from _shortened(text, wrong.at)
    if _CHANGES.search(_outside_quotes(text)) is None and len(_COMPARES.findall(text)) < 2:
        yield from _guesses(tidy, finds)


def _meant_by(line: str, judge: Judge) -> Iterator[str]:
    """What is said of another line that is no alert."""
    wrong = judge(line)
    if wrong is not None and wrong.guess:
        yield from wrong.meant
        yield from _respelled(line, wrong.at)


def _respelled(text: str, at: int) -> Iterator[str]:
    """With a word of the language in the place of one that is nearly it."""
    found = re.compile(r"[^\W\d_]{3,12}").match(text, at)
    if found:
        for word in get_close_matches(found[0].lower(), _WORDS.split(), n=2, cutoff=0.7):
            yield text[:at] + word + text[found.end() :]


def _tidied(text: str) -> str:
    """Without what people say around an alert, and with signs as they are written here; notes stay as they are."""
    cut = re.search(rf"[{QUOTES}]", text)
    plain, rest = (text[: cut.start()], text[cut.start() :]) if cut else (text, "")
    for pattern, instead in _TIDY:
        plain = pattern.sub(instead, plain)
    return f"{' '.join(plain.split())} {rest}".strip()


def _turned_round(text: str) -> Iterator[str]:
    """ "2400 < gold", and commas between what stands in brackets."""
    if found := re.fullmatch(r"\s*([0-9][\w.,'’]*)\s*([<>])=?\s*([^\W\d]\w*)(.*)", text):
        level, sign, name, rest = found.groups()
        yield f"{name} {'<' if sign == '>' else '>'} {level}{rest}"
    if found := re.fullmatch(r"\s*([0-9][\w.,'’]*)\s*<=?\s*([^\W\d]\w*)\s*<=?\s*([0-9][\w.,'’]*)(.*)", text):
        low, name, high, rest = found.groups()
        yield f"{name} enters {low}..{high}{rest}"
    if found := re.search(r"\(([^()]*)\)", text):
        yield text[: found.start(1)] + re.sub(r"(?<=\w)\s+(?=\w)", ", ", found[1]) + text[found.end(1) :]


def _with_names_quoted(text: str, finds: Find) -> Iterator[str]:
    """With quotation marks around a name of several words."""
    words = list(re.finditer(r'[^\s"“”„«»<>=≥≤(),/]+', text))[:MOST_WORDS]
    for first in range(min(2, len(words))):
        for last in range(min(len(words), first + 4) - 1, first, -1):
            name = text[words[first].start() : words[last].end()]
            if re.fullmatch(r"[^\W\d_]\w*(?:\s+[^\W\d_][\w]*)+", name) and _is_known(name, finds):
                yield f'{text[: words[first].start()]}"{name}"{text[words[last].end() :]}'
                return


def _shortened(text: str, at: int) -> Iterator[str]:
    """Without the word that is not understood, or all behind it; not where that would change what it says."""
    head, tail = text[:at].rstrip(), text[at:].lstrip()
    word, __, rest = tail.partition(" ")
    if not head or _CHANGES.search(_outside_quotes(word)) or _COMPARES.search(tail):
        return
    if rest:
        yield f"{head} {rest.strip()}"
    if _CHANGES.search(_outside_quotes(rest)) is None:
        yield head


def _outside_quotes(text: str) -> str:
    return re.sub(rf"[{QUOTES}].*", "", text)


# ------------------------------------------------------------------------------- from what is understood

_OPERATOR = re.compile(
    r"(?P<crosses>cross(?:es|ed|ing)?\b(?!\s*(?:above|over|below|under|[<>≥≤]))|=(?![<>])|hits?\b|reaches\b|[⇅↕])"
    r"|(?P<above>[>≥↑⬆]|=>|\b(?:above|over|exceeds|more\s+than|greater\s+than|rises|tops)\b)"
    r"|(?P<below>[<≤↓⬇]|=<|\b(?:below|under|less\s+than|falls|drops)\b)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\w.,])[0-9][0-9.,_'’]*[kK]?(?![\w%])")
_NOTE = re.compile(r'"(?P<straight>[^"\\]+)"|[“„”](?P<bent>[^"“”„]+)[“”]')


def understood(text: str, find: Find) -> dict[str, str]:
    """What a line that is no alert says nevertheless, as the values of a form: instrument, condition, level, repeat,
    note; those that are in it. A level that is none of the plain price ("7000 inr/g", "rsi(btc, 1h) < 30") is not."""
    operator = _OPERATOR.search(text)
    behind = text[operator.end() :] if operator else text
    note = _NOTE.search(behind)
    plain = _CHANGES.search(_outside_quotes(text)) is None
    found = {
        "instrument": next(_subjects(text[: operator.start()] if operator else text, find), "").strip('"'),
        "condition": (operator.lastgroup or "") if operator and plain else "",
        "level": next(_levels(behind), "") if plain else "",
        "repeat": "every time" if re.search(r"\bevery\s+time\b", behind, re.IGNORECASE) else "",
        "note": (note["straight"] or note["bent"]) if note else "",
    }
    return {name: value for name, value in found.items() if value}


def _guesses(text: str, find: Find) -> Iterator[str]:
    operator = _OPERATOR.search(text)
    sign = _SIGNS[operator.lastgroup or "above"] if operator else ">"
    behind = text[operator.end() :] if operator else text
    level = next(_levels(behind), "2400")
    if level == "2400" and not all(map(_is_number, re.findall(r"[0-9][\w.,'’]*", behind))):
        return
    note = _NOTE.search(behind if operator else "")
    options = " every time" if re.search(r"\bevery\b", text, re.IGNORECASE) else ""
    options += f" note {note[0]}" if note else ""
    for name in _subjects(text[: operator.start()] if operator else text, find):
        yield f"{name} {sign} {level}{options}"
        yield f"{name} {sign} {level}"


def _levels(text: str) -> Iterator[str]:
    for written in _DIGITS.findall(text):
        plain = written.rstrip(".,_'’")
        try:
            value = number(plain)
        except NoNumber:
            continue
        if LOWEST <= value < HIGHEST:
            yield plain


def _is_number(written: str) -> bool:
    try:
        number(written.rstrip(".,_'’"))
    except NoNumber as error:
        return bool(error.meant)
    return True


def _subjects(text: str, find: Find) -> Iterator[str]:
    """The words before the condition that name an instrument: all of them together, else the first that does."""
    words = re.findall(r'[^\s"“”„<>=≥≤(),/]+', text)[:MOST_WORDS]
    for name in [" ".join(words), *words]:
        if name and _DIGITS.fullmatch(name) is None and _is_known(name, find):
            yield f'"{name}"' if " " in name else name


def _is_known(name: str, find: Find) -> bool:
    try:
        find(name)
    except BadRequest:
        return False
    return True
