"""`push`: where a person's alerts go: webhooks and apprise URLs, added, tried, switched off and removed.

A URL is a secret: it is shown by its label only, and every reply here is private.
"""

import re
from collections.abc import Mapping
from typing import Any

from hub import wording
from hub.model import Argument, Button, Destination, Reply, Request
from hub.plugin import Added, BadRequest, Context, DestinationView, Tried

USAGE = "push [add URL | test N | off N | on N | remove N]"
SUMMARY = "Where your alerts go: phones and services by URL, webhooks."
PRIVATE = True
EXAMPLES = ("push", "push add ntfy://your-topic", "push off 2", "push test 2", "push on 2", "push remove 2")
ARGUMENTS = (
    Argument(
        name="action",
        about="what to do; without it, where your alerts go",
        kind="choice",
        choices=("add", "test", "off", "on", "remove"),
    ),
    Argument(name="destination", about="an address to add, or the number of one", example="ntfy://your-topic"),
)

HEAD = ("no", "kind", "where", "state", "last")
NUMBER = re.compile(r"#?([0-9]{1,15})")
KINDS = {"push": "apprise", "webhook": "webhook"}


async def run(context: Context, request: Request) -> Reply:
    word, _, rest = request.arguments.strip().partition(" ")
    word, rest = word.lower(), rest.strip()
    if word in ("", "list") and not rest:
        return await listed(context, request)
    if word == "add":
        return added(await context.add_destination(request, rest))
    if word == "test":
        return tried(await context.test_destination(request, number_of(word, rest)), request, context.now())
    if word in ("on", "off"):
        return switched(await context.switch_destination(request, number_of(word, rest), on=word == "on"))
    if word == "remove":
        return removed(*await context.remove_destination(request, number_of(word, rest)))
    raise BadRequest(f"write {USAGE}")


def number_of(word: str, text: str) -> int:
    found = NUMBER.fullmatch(text)
    if not found:
        raise BadRequest(f"which destination? Write its number: push {word} 2 (push shows the numbers)")
    return int(found[1])


async def listed(context: Context, request: Request) -> Reply:
    views = await context.destination_views(request)
    silent = without_bot(views, await context.status())
    lines = [f"The {kind_of(platform)} bot is not running: what is for it waits." for platform in silent]
    if not any(not view.destination.disabled for view in views):
        lines.append("Nothing of it is on: your alerts ring nowhere.")
    lines.append("push add URL adds a webhook (https://…) or an apprise URL (ntfy://…, tgram://…, mailto://…).")
    return Reply(
        title="Where your alerts go",
        lines=tuple(lines),
        table=(HEAD, *(row(view) for view in views)) if views else (),
        private=True,
        facts={"destinations": [facts(view) for view in views], "bots_missing": silent},
    )


def row(view: DestinationView) -> tuple[str, ...]:
    place = view.destination
    state = f"off: {place.disabled}" if place.disabled else "on"
    counts = ((view.waiting, "waiting"), (view.held, "held through quiet hours"))
    more = ", ".join(f"{count} {what}" for count, what in counts if count)
    last = f"{view.last or 'nothing yet'}{f' ({more})' if more else ''}"
    return str(place.id), kind_of(place.platform), place.label, state, last


def without_bot(views: Any, told: Mapping[str, Any]) -> list[str]:
    """Platforms of destinations that are on, for which no bot says that it runs."""
    bots = [bot for name, said in told.items() if name.startswith("bot.") for bot in all_of(said)]
    served = {platform for bot in bots for platform in bot.get("platforms", ())}
    used = {view.destination.platform for view in views if not view.destination.disabled}
    return sorted(used - served)


def all_of(said: Any) -> list[Mapping[str, Any]]:
    """One answer, or several processes that share a name."""
    return [one for one in (said if isinstance(said, list) else [said]) if isinstance(one, Mapping)]


def added(made: Added) -> Reply:
    place = made.destination
    lines = []
    if place.disabled:
        lines.append(f"It is off ({place.disabled}): push on {place.id} switches it on.")
    if not made.bot:
        lines.append("The bot that sends there is not running: what rings waits until it does. tocsin check says more.")
    if made.unsure:
        lines.append(f"Whether it can be sent to is not known yet: {made.unsure}.")
    lines.append(f"push test {place.id} tries it. Its address is not shown again.")
    return Reply(
        title=f"You have {place.label} already: {place.id}" if made.existed else f"Added {place.label}: {place.id}",
        lines=tuple(lines),
        buttons=(
            Button(label="Test", line=f"push test {place.id}"),
            Button(label="Remove", line=f"push remove {place.id}"),
        ),
        private=True,
        facts={**named(place), "existed": made.existed, "bot": made.bot},
    )


def tried(test: Tried, request: Request, now: int) -> Reply:
    place = test.destination
    title, lines = f"The test was sent to {place.label}", [f"Its receipt: {test.text or 'none'}"]
    if test.outcome == "given up":
        title, lines = f"The test was refused by {place.label}", [f"{test.text}."]
    elif test.outcome == "waits":
        again = wording.clock(test.again_at or now, request.user.time_zone, now)
        title = f"The test for {place.label} waits"
        lines = [
            f"{test.text}.",
            f"The next try is at {again} ({request.user.time_zone}); push says what became of it.",
        ]
    elif test.outcome == "open":
        title = f"The test for {place.label} is on its way"
        lines = ["No answer came so far; push says what becomes of it."]
    return Reply(
        title=title,
        lines=tuple(lines),
        private=True,
        ok=test.outcome == "sent",
        facts={**named(place), "outcome": test.outcome, "text": test.text, "again_at": wording.iso(test.again_at)},
    )


def switched(view: DestinationView) -> Reply:
    place = view.destination
    waiting, held = counted(view.waiting), counted(view.held)
    if not place.disabled:
        lines = [f"What waited goes out now: {waiting}."] if view.waiting else []
        if view.held:
            lines.append(f"What is held goes out when your quiet hours end: {held}.")
        return Reply(title=f"{place.label} is on", lines=tuple(lines), private=True, facts=facts(view))
    lines = ["What rings while it is off does not go there."]
    if view.waiting:
        lines.append(f"What waits for it goes out when it is on again: {waiting}.")
    if view.held:
        lines.append(f"What is held through your quiet hours waits for that as well: {held}.")
    return Reply(
        title=f"{place.label} is off",
        lines=tuple(lines),
        buttons=(Button(label="On", line=f"push on {place.id}"),),
        private=True,
        facts=facts(view),
    )


def removed(place: Destination, given_up: int) -> Reply:
    lines = ["The hub does not know its address any more."]
    if given_up:
        lines.append(f"{counted(given_up)} that waited for it: given up.")
    return Reply(
        title=f"{place.label} is removed",
        lines=tuple(lines),
        private=True,
        facts={**named(place), "given_up": given_up},
    )


def counted(count: int) -> str:
    return f"{count} notification{'s' if count != 1 else ''}"


def kind_of(platform: str) -> str:
    return KINDS.get(platform, platform)


def named(place: Destination) -> dict[str, object]:
    return {"id": place.id, "platform": place.platform, "label": place.label}


def facts(view: DestinationView) -> dict[str, object]:
    return {
        **named(view.destination),
        "disabled": view.destination.disabled,
        "last": view.last,
        "waiting": view.waiting,
        "held": view.held,
    }
