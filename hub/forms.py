"""Forms: the values of a command's arguments → the line that a person would have written. Pure.

Every platform's options, modals and steps end here, so that one line of text stands underneath them all. Depends on
hub.model and hub.plugin's BadRequest.
"""

from collections.abc import Mapping, Sequence

from hub.model import Argument
from hub.plugin import BadRequest


def line_of(command: str, arguments: Sequence[Argument], values: Mapping[str, str]) -> str:
    """ "chart gold 7d vs silver". Values are one line each; BadRequest for a required one that is missing."""
    parts = [command]
    for argument in arguments:
        value = " ".join(values.get(argument.name, "").split())
        if value:
            parts.append(f"{argument.lead} {_quoted(value) if argument.quoted else value}".strip())
        elif argument.required:
            raise BadRequest(f"{argument.name} is missing: {argument.about}")
    return " ".join(parts)


def _quoted(value: str) -> str:
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def complete(prefix: str, words: Sequence[str], most: int = 25) -> list[str]:
    """The words that a person may be typing: those that begin so, then those that hold it."""
    start = prefix.strip().casefold()
    begin = [word for word in words if word.casefold().startswith(start)]
    hold = [word for word in words if start in word.casefold() and not word.casefold().startswith(start)]
    return [*begin, *hold][:most]
