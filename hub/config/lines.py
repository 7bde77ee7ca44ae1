"""Where each key of a TOML text stands, which tomllib does not tell. Pure."""

import re

Key = tuple[str, ...]
"""A setting by the names on the way to it: ("bus", "port")."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?")
_SETTING = re.compile(rf"\s*({_DOTTED})\s*=")


def lines_of(text: str) -> dict[Key, int]:
    """Where each table and each key of a TOML text stands first (tomllib does not tell)."""
    found: dict[Key, int] = {}
    table: Key = ()
    inside = ""  # the quotes of an open multi-line string
    for number, line in enumerate(text.splitlines(), 1):
        if not inside:
            if header := _HEADER.match(line):
                table = _parts(header[1])
                found.setdefault(table, number)
            elif setting := _SETTING.match(line):
                found.setdefault((*table, *_parts(setting[1])), number)
        for quotes in ('"""', "'''"):
            if inside in ("", quotes) and line.count(quotes) % 2:
                inside = "" if inside else quotes
    return found


def _parts(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
