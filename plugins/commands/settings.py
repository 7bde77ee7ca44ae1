"""`settings`: how a person wants things shown: time zone, currency of totals, weight of metals, charts."""

from difflib import get_close_matches
from functools import cache
from typing import Literal
from zoneinfo import available_timezones

from charts.chart import theme_of
from hub import units, wording
from hub.model import Button, Reply, Request, User
from hub.plugin import BadRequest, Context
from plugins.commands.portfolio import currency_of

USAGE = "settings [zone Asia/Kolkata | currency inr | weight tola | theme dark red-up]"
SUMMARY = "How things are shown to you: time zone, currency, weight of metals, charts."
EXAMPLES = ("settings", "settings zone Asia/Kolkata", "settings currency inr", "settings weight gram",
            "settings theme dark")  # fmt: skip

HEAD = ("setting", "is", "for")
FOR = {
    "zone": "times and digests",
    "currency": "totals and charts",
    "weight": "metals",
    "theme": "charts",
}
Field = Literal["time_zone", "currency", "weight", "theme"]
FIELDS: dict[str, Field] = {
    "zone": "time_zone",
    "time_zone": "time_zone",
    "timezone": "time_zone",
    "currency": "currency",
    "weight": "weight",
    "theme": "theme",
}
OWN = ("none", "off", "default")
LONGEST = 100


async def run(context: Context, request: Request) -> Reply:
    word, _, value = request.arguments.strip().partition(" ")
    if not word:
        return shown("Your settings", request.user, context)
    field, value = FIELDS.get(word.lower()), " ".join(value.split())
    if field is None:
        raise BadRequest(f'"{word[:40]}" is no setting: there are {", ".join(FOR)}, as in {EXAMPLES[1]}')
    if not value or len(value) > LONGEST:
        raise BadRequest(f"{word.lower()} to what? Write for example {EXAMPLES[list(FOR).index(_named(field)) + 1]}")
    user = await context.personal.settle(request, field, read(context, field, value))
    return shown(f"Your {_named(field)} is set", user, context)


def read(context: Context, field: str, value: str) -> str:
    """The value as it is kept; empty for the hub's own, where there is such."""
    if field == "time_zone":
        return zone_of(value)
    if value.lower() in OWN:
        return ""
    if field == "currency":
        return currency_of(context, value)
    if field == "weight":
        return units.unit_of(value)
    theme_of(value)
    return " ".join(value.casefold().replace(",", " ").split())


def zone_of(value: str) -> str:
    """A name of the time zone database, in its own spelling."""
    found = _zones().get(value.casefold().replace(" ", "_"))
    if found is None:
        near = get_close_matches(value.casefold().replace(" ", "_"), _zones(), n=1, cutoff=0.6)
        hint = f"did you mean {_zones()[near[0]]}?" if near else "write one like Europe/Berlin or Asia/Kolkata"
        raise BadRequest(f'"{value[:40]}" is no time zone: {hint}')
    return found


@cache
def _zones() -> dict[str, str]:
    """By folded name; a city alone is found too, where only one zone has it."""
    names = {name.casefold(): name for name in available_timezones()}
    cities: dict[str, list[str]] = {}
    for name in sorted(available_timezones()):
        if name.count("/") == 1 and not name.startswith(("Etc/", "SystemV/")):
            cities.setdefault(name.rpartition("/")[2].casefold(), []).append(name)
    return {city: found[0] for city, found in cities.items() if len(found) == 1} | names


def _named(field: str) -> str:
    return "zone" if field == "time_zone" else field


def shown(title: str, user: User, context: Context) -> Reply:
    now = context.now()
    own = {
        "zone": f"{user.time_zone} ({wording.clock(now, user.time_zone, now)} now)",
        "currency": user.currency or "each price in its own",
        "weight": user.weight or "troy ounce",
        "theme": user.theme or f"{context.theme} (the hub's)",
    }
    return Reply(
        title=title,
        table=(HEAD, *((name, own[name], FOR[name]) for name in FOR)),
        lines=("settings currency none goes back to the hub's own; so with weight and theme.",),
        buttons=(Button(label="Digests", line="digest"),) if title != "Your settings" else (),
        private=True,
        facts={"time_zone": user.time_zone, "currency": user.currency, "weight": user.weight, "theme": user.theme},
    )
