"""Contract checks for whatever is interchangeable, for our own tests and for authors of plugins.

Each `check_*` is a plain function that runs over every implementation and every fake of a contract, and fails
with a sentence that says which promise was broken. Nothing in the hub itself imports this module.
"""

from collections.abc import Awaitable, Callable

from hub.model import Reply
from hub.plugin import Command

# ---------------------------------------------------------------------------------------------- commands

LONGEST_SUMMARY = 100
LONGEST_BUTTON_BYTES = 64
LONGEST_REPLY = 8_000
"""Characters of a reply's title, lines and table together: what every platform can still cut sensibly."""


async def check_command(command: Command, ask: Callable[[str], Awaitable[Reply]]) -> None:
    """A command names itself in its usage and examples, and each example gets a reply that can be shown: an
    answer, or a refusal in words. `ask` runs a line as a person would."""
    assert isinstance(command.SUMMARY, str), "SUMMARY is a text"
    assert 0 < len(command.SUMMARY) <= LONGEST_SUMMARY, f"SUMMARY has 1 to {LONGEST_SUMMARY} characters"
    assert "\n" not in command.SUMMARY, "SUMMARY is one line"
    assert command.USAGE.split()[0] == command.NAME, f'USAGE begins with the name "{command.NAME}"'
    assert command.EXAMPLES, "there is at least one example"
    for example in command.EXAMPLES:
        assert example.split()[0] == command.NAME, f'the example "{example}" begins with the command\'s name'
        check_reply(await ask(example), f'the reply to "{example}"')


def check_reply(reply: Reply, what: str = "the reply") -> None:
    """A reply that every platform can show."""
    said = [reply.title, *reply.lines, *(cell for row in reply.table for cell in row)]
    assert any(said) or reply.image, f"{what} says something"
    assert sum(map(len, said)) <= LONGEST_REPLY, f"{what} has at most {LONGEST_REPLY} characters"
    assert reply.ok or reply.lines, f"{what} refuses without a word why"
    assert len({len(row) for row in reply.table}) <= 1, f"{what} has a table whose rows are equally long"
    for button in reply.buttons:
        size = len(button.line.encode())
        assert size <= LONGEST_BUTTON_BYTES, f"{what} has the button {button.line!r} of {size} bytes, 64 is the most"
    assert "failed: it was logged" not in " ".join(reply.lines), f"{what} is that the command failed"
