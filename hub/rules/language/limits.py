"""Which numbers there can be in an alert, by the sort of number that its series is. Pure.

What cannot be is raised as Wrong, with the bounds in its sentence.
"""

import re
from collections.abc import Iterable, Iterator

from hub.i18n import _, later
from hub.rules.language.line import Figure, Line
from hub.rules.language.mistakes import Wrong
from hub.rules.numbers import HIGHEST, LOWEST, digits, quoted_cut
from hub.rules.series import (
    Base,
    Difference,
    Distance,
    Indicator,
    Measure,
    Move,
    Price,
    Ratio,
    Series,
    measure,
    signed,
)
from hub.rules.spec import Band, Clause

MOST_PERCENT = 1e6
"""Of a rise; what falls loses less than all of it."""
_SIGN_IN_FRONT = re.compile(r"(>=?|<=?|crosses)\s*$")
FOLLOWED: tuple[Measure, ...] = ("price", "ratio", "difference")
"""Measures that a trail and a ladder can follow."""

# ------------------------------------------------------------------------------------------------- levels


def level(series: Series, figure: Figure, line: Line) -> None:
    sort_ = measure(series)
    if figure.percent and sort_ != "percent":
        raise _no_percentage(series, figure, line)
    shown, value = quoted_cut(line.text[figure.at : figure.end]), figure.value
    if value < 0 and not signed(series):
        reason = _("{shown} has a sign: a number here is above zero and has none")
        bare = line.text[: figure.at].rstrip().rstrip("-−–—").rstrip() + f" {line.text[figure.at :]}"
        raise Wrong(reason.format(shown=f'"-{digits(-value)}"'), figure.at, bare)
    if sort_ == "index":
        if not 0 <= value <= 100:
            raise Wrong(_("an RSI goes from 0 to 100; {written} is not there").format(written=shown), figure.at)
    elif sort_ == "percent":
        if not -100 < value < MOST_PERCENT:
            reason = _("a change goes from -100 % up to {most} %; {written} is not there")
            raise Wrong(reason.format(written=shown, most=digits(MOST_PERCENT)), figure.at)
    elif signed(series):
        if value and not LOWEST <= abs(value) < HIGHEST:
            raise Wrong(_("a level is under {highest}; {written} is not").format(
                highest=digits(HIGHEST), written=shown), figure.at)  # fmt: skip
    else:
        _size(figure, line.text)


def _size(figure: Figure, text: str) -> None:
    if not LOWEST <= figure.value < HIGHEST:
        raise Wrong(
            _("a level is above zero and under {highest}; {written} is not").format(
                highest=digits(HIGHEST), written=quoted_cut(text[figure.at : figure.end])
            ),
            figure.at,
        )


def _no_percentage(series: Series, figure: Figure, line: Line) -> Wrong:
    written, at = line.text[figure.at : figure.end], figure.at
    bare = line.put(at, written, written.rstrip().rstrip("%％").rstrip())
    if isinstance(series, Price | Ratio):
        reason = _("{shown} is a percentage: a level is a price, and a move says in which time, as +5% in 1h")
        return Wrong(reason.format(shown=quoted_cut(written)), at, *_as_move(figure, line), bare)
    reason = _("{shown} is a percentage: write the number alone").format(shown=quoted_cut(written))
    return Wrong(reason, at, *([bare] if measure(series) == "index" else []), guess=False)


def _as_move(figure: Figure, line: Line) -> Iterator[str]:
    """ "gold > 5%" as what was rather meant, where the number may be one of that."""
    sign = _SIGN_IN_FRONT.search(line.text[: figure.at])
    if sign and 0 < figure.value < 100:
        way = {">": "+", "<": "-"}.get(sign[1][0], "moves ")
        percentage = f"{digits(figure.value)}%"
        yield f"{line.text[: sign.start()].rstrip()} {way}{percentage} in 1d{line.text[figure.end :]}"


# ------------------------------------------------------------------------- moves, distances, trails, ladders


def no_percent_of_difference(of: Base, figure: Figure) -> None:
    if figure.percent and isinstance(of, Difference):
        raise Wrong(_("a difference can be zero, so there is no percentage of it: write an amount"), figure.at)


def move(series: Move, figure: Figure) -> None:
    most = 100.0 if series.way == "down" else MOST_PERCENT
    _share(figure, most if series.percent else HIGHEST)


def distance(series: Distance, figure: Figure, *, near: bool) -> None:
    if near and figure.value == 0:
        return
    most = 100.0 if series.edge == "high" else MOST_PERCENT
    _share(figure, most if series.percent else HIGHEST)


def trail(series: Series, figure: Figure, at: int) -> None:
    _followed(series, figure, at, _("a trail follows a price, a ratio or a difference"))
    _share(figure, 100.0 if figure.percent else HIGHEST)


def ladder(series: Series, figure: Figure, at: int) -> None:
    _followed(series, figure, at, _("steps are those of a price, a ratio or a difference"))
    _share(figure, MOST_PERCENT if figure.percent else HIGHEST)


def _followed(series: Series, figure: Figure, at: int, reason: str) -> None:
    if measure(series) not in FOLLOWED:
        raise Wrong(reason, at)
    if figure.percent and measure(series) == "difference":
        raise Wrong(_("a difference can be zero, so there is no percentage of it: write an amount"), figure.at)


def _share(figure: Figure, most: float) -> None:
    """Above zero and below `most`."""
    if not LOWEST <= figure.value < most:
        unit = " %" if figure.percent else ""
        reason = _("the number is above zero and under {most}{unit} here; {written} is not")
        written = f'"{digits(figure.value)}{unit}"'
        raise Wrong(reason.format(most=digits(most), unit=unit, written=written), figure.at)


# ------------------------------------------------------------------------------------------------- bands


def band(value: Band, clauses: Iterable[Clause], at: int) -> None:
    """A band that no value comes back over is refused: it would never be armed again."""
    followed = [each for each in clauses if each.condition not in ("trails", "every")]
    if not followed:
        raise Wrong(_("a trail and steps have no band: leave it out"), at)
    if not value.value:
        return
    if value.percent and not LOWEST <= value.value < 100:
        raise Wrong(_too_wide("100 %"), at)
    for clause in followed:
        most = _most_band(clause, value)
        if not LOWEST <= value.value < most:
            raise Wrong(_too_wide(_("the level itself") if most < HIGHEST else digits(HIGHEST)), at)


def _most_band(clause: Clause, value: Band) -> float:
    """Levels of what is never below zero are left again only by a band that is smaller than they are."""
    points = measure(clause.series) == "percent"
    if (value.percent and not points) or signed(clause.series) or not clause.level:
        return HIGHEST
    return abs(clause.level)


def _too_wide(of_what: str) -> str:
    return _("a band is zero or more and less than {of_what}, or the alert would never be armed again").format(
        of_what=of_what
    )


# ------------------------------------------------------------------------------------- what can be compared

_SORTS = {
    "price": later("a price"),
    "ratio": later("a ratio"),
    "difference": later("a difference"),
    "index": later("an RSI"),
    "macd": later("a MACD"),
}


def sort(series: Base | Indicator) -> tuple[str, str]:
    """Numbers of one sort can be held against each other: what they are, and of what."""
    if isinstance(series, Indicator) and series.name == "rsi":
        return "index", ""
    kind = measure(series.of if isinstance(series, Indicator) else series)
    if isinstance(series, Indicator) and series.name.startswith("macd"):
        return "macd", kind
    return kind, ""


def sort_words(series: Base | Indicator) -> str:
    kind, of = sort(series)
    return _("{name} of {of}").format(name=_(_SORTS[kind]), of=_(_SORTS[of])) if of else _(_SORTS[kind])
