"""The tree of a line → an AlertSpec: its clauses one by one, then how they are joined, then the options. Pure.

A part of the grammar (alert.lark) is a function of that name: what is watched in `subjects`, conditions in
`conditions`, options in `options`.
"""

from typing import TYPE_CHECKING

from hub.i18n import _
from hub.rules.language import options
from hub.rules.language.conditions import Subject, clause
from hub.rules.language.line import Line, nodes, start, tokens
from hub.rules.language.mistakes import Wrong
from hub.rules.language.options import Options
from hub.rules.spec import MOST_CLAUSES, AlertSpec, Clause, Join, canonical

if TYPE_CHECKING:
    from hub.rules.language.line import Node

LONGEST_LINE = 500
JOINS: dict[str, Join] = {"AND": "and", "OR": "or", "THEN": "then"}


def alert(tree: "Node", line: Line) -> AlertSpec:
    parts = nodes(tree)
    clauses, join = _clauses([part for part in parts if part.data in ("clause", "same", "join")], line)
    said = Options(line)
    for part in parts:
        if part.data not in ("clause", "same", "join"):
            said.take(part)
    options.agree(clauses, join, said, line)
    spec = options.spec(clauses, join, said)
    if (length := len(canonical(spec))) > LONGEST_LINE:  # it is stored so, and has to be read again
        reason = _("written out it has {length} characters, {most} at most can be kept: shorten the note").format(
            length=length, most=LONGEST_LINE
        )
        raise Wrong(reason, said.at.get("note", 0))
    return spec


def _clauses(parts: "list[Node]", line: Line) -> tuple[tuple[Clause, ...], Join]:
    """And what joins them, which is the same between all."""
    read: list[Clause] = []
    join: Join = ""
    subject: Subject | None = None
    for part in parts:
        if part.data == "join":
            join = _join(part, join, read, line)
            continue
        subject = _subject(part, subject, line)
        one, subject = clause(subject, nodes(part)[-1], line)
        _joins(one, join, start(part))
        if len(read) == 1:
            _joins(read[0], join, start(parts[0]))
        read.append(one)
    return tuple(read), join


def _subject(part: "Node", before: Subject | None, line: Line) -> Subject:
    if part.data == "same":
        assert before is not None, "a line begins with a whole clause"
        return before
    karat = next((each for each in part.children if isinstance(each, str)), None)
    return Subject(nodes(part)[0], line, karat)


def _join(part: "Node", before: Join, read: list[Clause], line: Line) -> Join:
    token = next(tokens(part))
    join, at = JOINS[token.type], start(part)
    if before and join != before:
        reason = _('"{one}" and "{other}" cannot be mixed: write two alerts, or the same between all conditions')
        raise Wrong(reason.format(one=before, other=join), at, line.text[:at].rstrip())
    if join == "then" and len(read) > 1:
        reason = _('"then" stands between two conditions, no more: write two alerts')
        raise Wrong(reason, at, line.text[:at].rstrip())
    if len(read) == MOST_CLAUSES:
        reason = _("an alert has {most} conditions at most: write two alerts").format(most=MOST_CLAUSES)
        raise Wrong(reason, at, line.text[:at].rstrip())
    return join


def _joins(one: Clause, join: Join, at: int) -> None:
    """Whether that clause can be one of several, joined so."""
    if join and one.condition == "every":
        raise Wrong(_("steps stand alone: write an alert of their own for them"), at)
    if join == "and" and not one.states:
        reason = (
            _("a trail does not hold or not hold, so it cannot be one of conditions that all have to hold")
            if one.condition == "trails"
            else _('"crosses" is a moment: write above or below where all conditions have to hold at once')
        )
        raise Wrong(reason, at)
