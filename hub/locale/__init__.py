"""Catalogues: which texts the code says to people, read from its sources, and a .po file that holds them all.

`python -m hub.locale` brings every catalogue up to date: new texts come in without a translation, texts that nobody
says any more go. A text is what stands in `_("…")`, `later("…")` or `several("…", "…", n)`, and a command's SUMMARY.
Depends on hub.i18n and babel.
"""

import ast
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from babel.messages import Catalog
from babel.messages.pofile import write_po

from hub.i18n import LOCALE, Catalogue, read_catalogue

ROOT = LOCALE.parent.parent
SPOKEN = ("hub", "plugins")
"""Packages that speak to people in their language."""

ABOUT = "SUMMARY"
"""A command's constant that is a text without a mark."""

MARKS = {"_": 1, "later": 1, "several": 2}
"""How many of a call's first arguments are texts."""

HEAD = {
    "de": "Language: de\nContent-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n",
}


class Text(msgspec.Struct, frozen=True):
    """What is written in the code, and where first; `many` where it has a plural."""

    one: str
    many: str
    where: str


def texts(root: Path = ROOT) -> dict[str, Text]:
    """Every text by itself, in the order of files and lines."""
    found: dict[str, Text] = {}
    for path in sorted(path for package in SPOKEN for path in (root / package).rglob("*.py")):
        for text in texts_in(path.read_text(encoding="utf-8"), str(path.relative_to(root))):
            found.setdefault(text.one, text)
    return found


def texts_in(source: str, name: str) -> Iterable[Text]:
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        assert isinstance(call.func, ast.Name)
        said = [_literal(argument) for argument in call.args[: MARKS.get(call.func.id, 0)]]
        if said and all(said):
            yield Text(said[0], said[1] if len(said) > 1 else "", name)
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == ABOUT and (text := _literal(node.value)):
            yield Text(text, "", name)


def _literal(node: ast.expr) -> str:
    """The text itself; empty for what is looked up by a name, whose text is marked where it is written."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def written(head: str, known: Mapping[str, Text], catalogue: Catalogue) -> str:
    """A .po file of all texts, with the translations that are there."""
    whole = Catalog()
    for text in known.values():
        said = catalogue.texts.get(text.one, ("",) * (2 if text.many else 1))
        names = (text.one, text.many) if text.many else text.one
        whole.add(names, said if text.many else said[0], locations=[(text.where, 0)])
    out = io.BytesIO()
    write_po(out, whole, width=0, omit_header=True, include_lineno=False)
    lines = "".join(f'"{line}\\n"\n' for line in head.splitlines())
    return f'msgid ""\nmsgstr ""\n{lines}\n{out.getvalue().decode().strip()}\n'


def update(path: Path, language: str) -> tuple[int, int]:
    """Brings one catalogue up to date; how many texts it has, and how many of them are not translated."""
    known = texts()
    catalogue = read_catalogue(path.read_text(encoding="utf-8"))
    path.write_text(written(HEAD[language], known, catalogue), encoding="utf-8")
    return len(known), sum(one not in catalogue.texts for one in known)
