"""`settings`: how a person wants things shown: time zone, currency, weight of metals, language, charts, quiet hours.

Alone it is a panel whose buttons edit it in place; each button is a line that can be written as well.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Literal
from zoneinfo import available_timezones

from charts.chart import theme_of
from hub import units, wording
from hub.i18n import LANGUAGES, _, known, later, speaking
from hub.model import Argument, Button, Reply, Request, Role, User
from hub.plugin import BadRequest, Context
from plugins.commands.portfolio import currency_of

USAGE = (
    "settings [zone Asia/Kolkata | currency inr | weight tola | language de | theme dark red-up | quiet 22:00-07:00]"
)
SUMMARY = later("How things are shown to you: time zone, currency, weight, language, charts, quiet hours.")
EXAMPLES = ("settings", "settings zone Asia/Kolkata", "settings currency inr", "settings weight gram",
            "settings theme dark", "settings language de", "settings quiet 22:00-07:00")  # fmt: skip
ROLE = Role.GUEST
PRIVATE = True

Field = Literal["time_zone", "currency", "weight", "theme", "language", "quiet"]
FIELDS: dict[str, Field] = {
    "zone": "time_zone",
    "currency": "currency",
    "weight": "weight",
    "language": "language",
    "theme": "theme",
    "quiet": "quiet",
}
ALIASES = {"time_zone": "zone", "timezone": "zone", "lang": "language"}
NAMES = {
    "zone": later("time zone"),
    "currency": later("currency"),
    "weight": later("weight"),
    "language": later("language"),
    "theme": later("theme"),
    "quiet": later("quiet hours"),
}
FOR = {
    "zone": later("times and digests"),
    "currency": later("totals and charts"),
    "weight": later("metals"),
    "language": later("replies"),
    "theme": later("charts"),
    "quiet": later("when you want to be left alone"),
}
CHOICES: dict[str, Sequence[str]] = {
    "zone": ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Singapore"),
    "currency": ("USD", "EUR", "GBP", "INR", "CHF", "none"),
    "weight": ("troy ounce", "gram", "kilogram", "tola", "none"),
    "language": (*LANGUAGES, "none"),
    "theme": ("light", "dark", "light red-up", "dark red-up", "dark blue-up", "none"),
    "quiet": ("22:00-07:00", "23:00-06:00", "00:00-08:00", "none"),
}
"""What the panel offers; anything else can be written."""

ARGUMENTS = (
    Argument(name="setting", about="what to change; leave it out to see all", kind="choice", choices=tuple(FIELDS)),
    Argument(name="value", about="what it shall be; none goes back to the hub's own", example="Europe/Berlin"),
)
OWN = ("none", "off", "default")
LONGEST = 100
HOURS = re.compile(
    r"([01]?\d|2[0-3])(?::([0-5]\d))?\s*(?:-|–|to|bis)\s*([01]?\d|2[0-3]|24)(?::([0-5]\d))?", re.IGNORECASE
)


async def run(context: Context, request: Request) -> Reply:
    word, _space, value = request.arguments.strip().partition(" ")
    name, value = ALIASES.get(word.lower(), word.lower()), " ".join(value.split())
    if not word:
        return panel(_("Your settings"), request.user, context)
    if name not in FIELDS:
        text = _('"{word}" is no setting: there are {names}, as in {example}')
        raise BadRequest(text.format(word=word[:40], names=", ".join(FIELDS), example=EXAMPLES[1]))
    if not value:
        return choices(name, request.user, context)
    if len(value) > LONGEST:
        raise BadRequest(_("that is too long for a setting: {example}").format(example=example_of(name)))
    user = await context.personal.settle(request, FIELDS[name], read(context, name, value))
    with speaking(user.language or request.who.language):  # a language that was just chosen
        return panel(_("Your {setting} is set").format(setting=_(NAMES[name])), user, context)


def example_of(name: str) -> str:
    return next(example for example in EXAMPLES if example.startswith(f"settings {name} "))


def read(context: Context, name: str, value: str) -> str:
    """The value as it is kept; empty for the hub's own, where there is such."""
    if name == "zone":
        return zone_of(value)
    if value.lower() in OWN:
        return ""
    if name == "currency":
        return currency_of(context, value)
    if name == "weight":
        return units.unit_of(value)
    if name == "language":
        return language_of(value)
    if name == "quiet":
        return hours_of(value)
    theme_of(value)
    return " ".join(value.casefold().replace(",", " ").split())


def zone_of(value: str) -> str:
    """A name of the time zone database, in its own spelling."""
    found = _zones().get(value.casefold().replace(" ", "_"))
    if found is None:
        near = get_close_matches(value.casefold().replace(" ", "_"), _zones(), n=1, cutoff=0.6)
        if near:
            text = _('"{zone}" is no time zone: did you mean {near}?').format(zone=value[:40], near=_zones()[near[0]])
            raise BadRequest(text)
        text = _('"{zone}" is no time zone: write one like Europe/Berlin or Asia/Kolkata')
        raise BadRequest(text.format(zone=value[:40]))
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


def language_of(value: str) -> str:
    """One of ours, by its code or its name in its own words or in English; empty for "none"."""
    word = value.casefold()
    if word in OWN:
        return ""
    by_name = {name.casefold(): code for code, name in LANGUAGES.items()} | {"german": "de"}
    if word in by_name:
        return by_name[word]
    code = known(word)
    if not word.startswith(code):
        spoken = ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items())
        raise BadRequest(
            _('"{word}" is no language of this hub: it speaks {spoken}').format(word=value[:40], spoken=spoken)
        )
    return code


def hours_of(value: str) -> str:
    """ "22:00-07:00" of "22-7" and the like."""
    found = HOURS.fullmatch(value)
    if not found:
        raise BadRequest(_('"{value}" are no hours: write 22:00-07:00, or none').format(value=value[:40]))
    start, end = (f"{int(found[at]) % 24:02d}:{found[at + 1] or '00'}" for at in (1, 3))
    if start == end:
        raise BadRequest(_("hours that begin and end at one time are none or all: write 22:00-07:00, or none"))
    return f"{start}-{end}"


# ------------------------------------------------------------------------------------------------- panel


def now_of(name: str, user: User, context: Context) -> str:
    """How it is set, for people."""
    match name:
        case "zone":
            now = context.now()
            return _("{zone} ({clock} now)").format(zone=user.time_zone, clock=wording.clock(now, user.time_zone, now))
        case "currency":
            return user.currency or _("each price in its own")
        case "weight":
            return user.weight or "troy ounce"
        case "language":
            return LANGUAGES.get(user.language) or _("that of your app")
        case "theme":
            return user.theme or _("{theme} (the hub's)").format(theme=context.theme)
        case _other:
            return user.quiet or _("none")


def panel(title: str, user: User, context: Context) -> Reply:
    head = (_("setting"), _("is"), _("for"))
    lines = [_("settings currency none goes back to the hub's own; so with the others.")]
    if user.quiet:
        lines.append(
            _("What rings in your quiet hours is held, and told together when they end. Urgent alerts ring at once.")
        )
    return Reply(
        title=title,
        table=(head, *((_(NAMES[name]), now_of(name, user, context), _(FOR[name])) for name in FIELDS)),
        lines=tuple(lines),
        buttons=tuple(Button(label=_(NAMES[name]).capitalize(), line=f"settings {name}") for name in FIELDS),
        private=True,
        replace=True,
        facts=facts(user),
    )


def choices(name: str, user: User, context: Context) -> Reply:
    """The panel of one setting: what most want as buttons, anything else as a line."""
    offered = [each for each in CHOICES[name] if not (name == "zone" and each == user.time_zone)]
    return Reply(
        title=_(NAMES[name]).capitalize(),
        lines=(
            _("Now: {value}").format(value=now_of(name, user, context)),
            _("Or write it yourself: {example}").format(example=example_of(name)),
        ),
        buttons=(
            *(Button(label=label_of(name, each), line=f"settings {name} {each}") for each in offered),
            Button(label=_("Back"), line="settings"),
        ),
        private=True,
        replace=True,
        facts=facts(user) | {"setting": name, "choices": list(offered)},
    )


def label_of(name: str, value: str) -> str:
    if value == "none":
        return _("None")
    return LANGUAGES[value] if name == "language" else value


def facts(user: User) -> dict[str, object]:
    return {
        "time_zone": user.time_zone,
        "currency": user.currency,
        "weight": user.weight,
        "theme": user.theme,
        "language": user.language,
        "quiet": user.quiet,
    }
