"""`digest 08:00`: a summary by the clock, in the person's own time zone; shown, switched off and on, removed."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hub import schedule, wording
from hub.model import Argument, Button, Destination, Digest, Reply, Request
from hub.plugin import BadRequest, Context

USAGE = "digest [08:00 [mon-fri] [watch | portfolio] [to N] | off | on | remove N]"
SUMMARY = "A summary at a time of day: your list, what changed, nearest alerts, portfolio."
EXAMPLES = ("digest 08:00", "digest 08:00 mon-fri", "digest 07:30 weekends portfolio", "digest", "digest off")
ARGUMENTS = (
    Argument(name="time", about="when, by your clock; off ends them", example="08:00"),
    Argument(name="days", about="on which days", example="mon-fri"),
    Argument(name="about", about="what it tells", kind="choice", choices=("watch", "portfolio")),
    Argument(name="to", about="the number of a destination (push)", kind="number", lead="to"),
)

HEAD = ("no.", "when", "what", "next", "to")
ABOUT = {"all": "all", "watch": "watch", "list": "watch", "portfolio": "portfolio"}
WORDS = {"all": "watch list, alerts, portfolio", "watch": "watch list, alerts", "portfolio": "portfolio"}
NUMBER = re.compile(r"#?([0-9]{1,15})")
EXAMPLE = "digest 08:00 mon-fri"
LONGEST = 200


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    at_s: int
    weekdays: str
    about: Any  # as Digest.about
    destination_id: int | None


async def run(context: Context, request: Request) -> Reply:
    text = request.arguments.strip().lower()
    if len(text) > LONGEST:
        raise BadRequest(f"that has {len(text):,} characters, {LONGEST} is the most: write for example {EXAMPLE}")
    word, *rest = text.split() or [""]
    if word in ("", "list") and not rest:
        return await listed(context, request)
    if word in ("off", "on"):
        number = number_of(rest, f"digest {word} 2") if rest else None
        changed = await context.personal.switch_digests(request, number, on=word == "on")
        return switched(changed, request, context.now(), on=word == "on")
    if word == "remove":
        gone = await context.personal.remove_digest(request, number_of(rest, "digest remove 2"))
        return Reply(title=f"Digest {gone.id} is removed", lines=(said(gone),), facts=facts(gone))
    wanted = read(text)
    made = await context.personal.set_digest(request, **msgspec.structs.asdict(wanted))
    return told(made, await context.destinations(request), request, context.now())


def read(text: str) -> Wanted:
    """ "07:30 weekends portfolio to 2", the words behind the time in any order."""
    first, *words = text.replace(", ", ",").split()
    at_s = schedule.read_clock(first)
    if at_s is None:
        raise BadRequest(f'"{first[:40]}" is no time of day: write for example {EXAMPLE}')
    weekdays, about, destination_id = "", "", None
    while words:
        word = words.pop(0)
        if word == "to" and words and destination_id is None:
            destination_id = number_of([words.pop(0).removeprefix("#")], "digest 08:00 to 2 (push shows the numbers)")
        elif word in ABOUT and not about:
            about = ABOUT[word]
        elif (days := schedule.read_weekdays(word)) and not weekdays:
            weekdays = days
        else:
            raise BadRequest(
                f'"{word[:40]}" is not understood there: write days (mon-fri, sat,sun, weekends), watch or portfolio,'
                f" to N, each once, like {EXAMPLE}"
            )
    return Wanted(
        at_s=at_s, weekdays=weekdays or schedule.EVERY_DAY, about=about or "all", destination_id=destination_id
    )


def number_of(words: Sequence[str], example: str) -> int:
    found = NUMBER.fullmatch(" ".join(words))
    if not found:
        raise BadRequest(f"which one? Write its number: {example}")
    return int(found[1])


def said(digest: Digest) -> str:
    return f"{schedule.words(digest.at_s, digest.weekdays)}: {WORDS[digest.about]}"


def when(digest: Digest, zone: str, now: int) -> str:
    """ "Mon 23 Nov 08:00"."""
    return (
        f"{wording.moment(digest.next_at).astimezone(wording.zone(zone)):%a %d %b %H:%M}" if digest.enabled else "off"
    )


def told(digest: Digest, places: Sequence[Destination], request: Request, now: int) -> Reply:
    zone = request.user.time_zone
    lines = [f"{said(digest)}.", f"The next one comes {when(digest, zone, now)} ({zone})."]
    reached = [each for each in places if not each.disabled and digest.destination_id in (None, each.id)]
    if reached:
        lines.append(f"It goes to: {', '.join(each.label for each in reached)}.")
    elif digest.destination_id is not None:
        lines.append(f"Destination {digest.destination_id} is off: push on {digest.destination_id} switches it on.")
    else:
        lines.append("You have nowhere that it could go: open tocsin chat on this machine, or push add URL.")
    return Reply(
        title=f"Digest {digest.id} is set",
        lines=tuple(lines),
        buttons=(Button(label="Off", line=f"digest off {digest.id}"),),
        facts=facts(digest),
    )


async def listed(context: Context, request: Request) -> Reply:
    digests = await context.personal.digests(request)
    if not digests:
        line = f"You have none. {EXAMPLE} sends you one on working days at eight."
        return Reply(title="Your digests", lines=(line,), facts={"digests": []})
    labels = {each.id: each.label for each in await context.destinations(request)}
    zone, now = request.user.time_zone, context.now()
    rows = [
        (
            str(each.id),
            schedule.words(each.at_s, each.weekdays),
            WORDS[each.about],
            when(each, zone, now),
            "all" if each.destination_id is None else labels.get(each.destination_id, "removed"),
        )
        for each in digests
    ]
    return Reply(
        title=f"Your digests ({zone})",
        table=(HEAD, *rows),
        lines=("digest off N silences one, digest remove N takes it away.",),
        facts={"digests": [facts(each) for each in digests]},
    )


def switched(changed: Sequence[Digest], request: Request, now: int, *, on: bool) -> Reply:
    zone, word = request.user.time_zone, "on" if on else "off"
    title = f"Digest {changed[0].id} is {word}" if len(changed) == 1 else f"{len(changed)} digests are {word}"
    lines = [f"{each.id}: {said(each)}{f', next {when(each, zone, now)}' if on else ''}" for each in changed]
    other = f"digest {'off' if on else 'on'}{f' {changed[0].id}' if len(changed) == 1 else ''}"
    return Reply(
        title=title,
        lines=tuple(lines),
        buttons=(Button(label="Off" if on else "On", line=other),),
        facts={"digests": [facts(each) for each in changed]},
    )


def facts(digest: Digest) -> dict[str, object]:
    return {
        "id": digest.id,
        "at": schedule.words(digest.at_s, digest.weekdays),
        "about": digest.about,
        "destination_id": digest.destination_id,
        "enabled": digest.enabled,
        "next_at": wording.iso(digest.next_at),
        "last_at": wording.iso(digest.last_at),
    }
