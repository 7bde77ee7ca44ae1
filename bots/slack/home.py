"""The App Home: a person's alerts with what can be done about each, a button for a new one, and every command. Pure.

Made from the reply to `alerts` and from the hub's menu, so that a command that is added later is there by itself.
Depends on hub.model.
"""

from typing import Any

from bots.slack import blocks as kit
from bots.slack import limits
from bots.slack.blocks import Block
from bots.slack.render import TABLE_CELLS
from hub.model import Button, Menu, MenuEntry, Reply
from hub.render import table_lines

NEW = "new"  # the action that opens the form of a new alert
COMMAND = "command"  # the menu of all commands
REFRESH = "refresh"
HOME = "home"  # block ids of an alert's buttons begin so

ALERT = "alert"
PER_ALERT = 2  # blocks
AROUND = 12  # blocks for everything but the alerts


def home(alerts: Reply, menu: Menu, notice: Reply | None = None, language: str = "") -> dict[str, Any]:
    """`notice` is the answer to what was just pressed, on top."""
    refresh = kit.button("Refresh", "refresh", REFRESH)
    parts = [kit.header("Tocsin"), *_notice(notice), kit.actions([*top(menu, language), refresh], "top")]
    parts += [kit.header("Your alerts"), *_alerts(alerts)]
    return {"type": "home", "blocks": parts[: limits.VIEW_BLOCKS]}


def top(menu: Menu, language: str = "") -> list[Block]:
    """The ways in: a new alert, and every command."""
    elements = [kit.button("New alert", ALERT, NEW, style="primary")]
    options = [
        kit.option(each.name, each.name, summary(each, language)) for each in menu.commands[: limits.MENU_OPTIONS]
    ]
    if options:
        elements.append(kit.choose(options, COMMAND, "Ask for anything else…"))
    return elements


def _notice(notice: Reply | None) -> list[Block]:
    if notice is None:
        return []
    lines = [notice.title, *notice.lines] if notice.title else list(notice.lines)
    parts = [kit.rich(kit.paragraph(lines, bold_first=bool(notice.title)))]
    if notice.buttons:
        parts.append(kit.actions(kit.line_buttons(notice.buttons[:5]), "notice"))
    return [*parts, kit.divider()]


def _alerts(alerts: Reply) -> list[Block]:
    found = facts_of(alerts, "alerts")
    if not found:
        words = [*table_lines(alerts.table, TABLE_CELLS), *alerts.lines]
        return [
            kit.rich(kit.paragraph(words or ["You have none. Press “New alert”, or write for example: gold > 2400"]))
        ]
    room = (limits.VIEW_BLOCKS - AROUND) // PER_ALERT
    parts: list[Block] = []
    for fact in found[:room]:
        parts += [kit.rich(kit.paragraph(_words(fact), bold_first=True)), _row(fact)]
    rest = len(found) - room
    return [*parts, kit.context(f"… and {rest} more: /tocsin alerts shows them")] if rest > 0 else parts


def facts_of(reply: Reply, name: str) -> list[dict[str, Any]]:
    """A list of tables among a reply's facts; empty where there is none."""
    found = reply.facts.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _words(fact: dict[str, Any]) -> list[str]:
    """ "12 · Gold above 2,400.00" and what there is to know about it."""
    told = [str(fact.get("waits_for") or fact.get("state", ""))]
    if fact.get("price") is not None:
        away = fact.get("away_percent")
        told.append(f"now {fact['price']:,}" + ("" if away is None else f", {away:+.2f} % away"))
    if fact.get("rang"):
        told.append(f"rang: {fact['rang']}")
    note = [f"“{fact['note']}”"] if fact.get("note") else []
    return [f"{fact.get('id')} · {fact.get('words') or fact.get('text')}", " · ".join(filter(None, told)), *note]


def _row(fact: dict[str, Any]) -> Block:
    number = fact.get("id")
    silent = fact.get("state") == "snoozed"
    buttons = (
        Button(label="Wake", line=f"snooze {number} off")
        if silent
        else Button(label="1 h", line=f"snooze {number} 1h"),
        Button(label="Tomorrow", line=f"snooze {number} until tomorrow"),
        Button(label="Again", line=f"again {number}"),
        Button(label="Chart", line=f"chart {fact.get('instrument')} 24h"),
        Button(label="Delete", line=f"delete {number}"),
    )
    return kit.actions(kit.line_buttons(buttons), f"{HOME}:{number}")


def summary(entry: MenuEntry, language: str) -> str:
    """In the person's language where the hub has it: "de-DE" → "de"."""
    return entry.summaries.get(language.partition("-")[0], entry.summary)


def entry_of(menu: Menu, name: str) -> MenuEntry | None:
    return next((entry for entry in menu.commands if entry.name == name), None)
