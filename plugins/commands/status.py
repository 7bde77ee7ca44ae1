"""`status`: what the hub says of itself: feeds, the stream's readers, deliveries, processes.

Every service answers for itself and may be of another version, or absent: what is missing is said or left out,
never invented.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hub import wording
from hub.model import Reply, Request
from hub.plugin import BadRequest, Context

USAGE = "status"
SUMMARY = "How the hub is: feeds, alerts, deliveries, processes."
EXAMPLES = ("status",)

HEAD = ("feed", "state", "ticks", "last tick", "refused")
CONSOLE = "console"
SERVICES = ("ingest", "recorder", "engine", "delivery")


async def run(context: Context, request: Request) -> Reply:
    if request.arguments:
        raise BadRequest("status takes nothing behind it: write status")
    told = await context.status()
    now, zone = context.now(), request.user.time_zone
    feeds = [feed for ingest in all_of(told, "ingest") for feed in ingest.get("feeds", ())]
    table = (HEAD, *(feed_row(feed, now) for feed in feeds)) if feeds else ()
    lines = [
        *hub_lines(told, now),
        *(line for ingest in all_of(told, "ingest") for line in ingest_lines(ingest)),
        *(reader_line("Recorder", one) for one in all_of(told, "recorder")),
        *(line for one in all_of(told, "engine") for line in engine_lines(one)),
        *(line for one in all_of(told, "delivery") for line in delivery_lines(one)),
        *(bot_line(one) for name in sorted(told) if name.startswith("bot.") for one in all_of(told, name)),
        *(command_line(one) for one in all_of(told, "commands")),
        *child_lines(told.get("children"), now, zone),
    ]
    if request.who.platform == CONSOLE and (code := await context.people.operator_code()):
        lines.append(f"No person on any platform operates this hub yet: whoever sends its bot  link {code}  does.")
    silent = [name for name in SERVICES if name not in told]
    if silent:
        lines.append(f"No answer from: {', '.join(silent)}.")
    return Reply(title="The hub", lines=tuple(lines), table=table, private=True, facts=dict(told))


def all_of(told: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Every answer under that name: none, one, or several processes that share a role."""
    found = told.get(name, [])
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, Mapping)]


def hub_lines(told: Mapping[str, Any], now: int) -> Iterable[str]:
    for hub in all_of(told, "hub"):
        parts = [f"tocsin {hub.get('version', '')}".strip()]
        if hub.get("started_at"):
            parts.append(f"up for {wording.duration(now - int(hub['started_at']))}")
        if hub.get("folder"):
            parts.append(f"folder {hub['folder']}")
        if hub.get("recording"):
            parts.append(f"plays the recording {hub['recording']}")
        elif hub.get("nature", "live") != "live":
            parts.append(
                "prices are from a recording" if hub["nature"] == "recording" else f"prices are {hub['nature']}"
            )
        yield ", ".join(parts) + "."


def feed_row(feed: Mapping[str, Any], now: int) -> tuple[str, ...]:
    state = str(feed.get("state", "unknown"))
    nature = str(feed.get("nature", "live"))
    shown = state + (f": {feed['reason']}" if feed.get("reason") else "")
    restarts = int(feed.get("restarts", 0))
    if restarts:
        shown += f" ({restarts} restart{'s' if restarts != 1 else ''})"
    last = feed.get("last_tick_at")
    refused = feed.get("refused") or {}
    return (
        str(feed.get("name", "unnamed")) + ("" if nature == "live" else f" ({nature})"),
        shown,
        f"{int(feed.get('ticks', 0)):,}",
        wording.age(now - int(last)) if last else "none yet",
        ", ".join(f"{reason} {count:,}" for reason, count in refused.items()) or "none",
    )


def ingest_lines(ingest: Mapping[str, Any]) -> Iterable[str]:
    parts = [f"{int(ingest.get('ticks', 0)):,} ticks in {int(ingest.get('frames', 0)):,} frames accepted"]
    if ingest.get("rate") is not None:
        parts.append(f"{float(ingest['rate']):,.1f} a second now")
    if ingest.get("pending"):
        parts.append(f"{int(ingest['pending']):,} waiting for the stream")
    yield f"Ingest: {', '.join(parts)}."
    if ingest.get("error"):
        yield f"Feeds are held back: {ingest['error']}."
    for feed in ingest.get("feeds", ()):
        yield from (f"Clock: {said}." for said in feed.get("clock") or ())
    sources = ingest.get("sources") or {}
    if sources:
        spoken = (f"{name} by {source or 'nobody'}" for name, source in sorted(sources.items()))
        yield f"Speaking: {', '.join(spoken)}."


def reader_line(name: str, reader: Mapping[str, Any]) -> str:
    parts = []
    if reader.get("ticks") is not None:
        parts.append(f"{int(reader['ticks']):,} ticks")
    parts.append(f"at frame {int(reader.get('sequence', 0)):,}")
    lag = int(reader.get("lag_frames", 0))
    parts.append(f"{lag:,} behind" if lag else "nothing behind")
    if reader.get("quarantined"):
        count = int(reader["quarantined"])
        parts.append(f"{count:,} broken frame{'s' if count != 1 else ''} set aside in quarantine")
    if reader.get("error"):
        parts.append(str(reader["error"]))
    return f"{name}: {', '.join(parts)}."


def engine_lines(engine: Mapping[str, Any]) -> Iterable[str]:
    yield reader_line("Engine", engine)
    alerts = engine.get("alerts") or {}
    counts = ", ".join(f"{count:,} {state}" for state, count in alerts.items() if count) or "none"
    yield f"Alerts: {counts}; rung {int(engine.get('triggers', 0)):,}."


def delivery_lines(delivery: Mapping[str, Any]) -> Iterable[str]:
    counts = ", ".join(f"{int(delivery.get(key, 0)):,} {word}" for key, word in COUNTS if key in delivery)
    held = f", {int(delivery['held']):,} held through quiet hours" if delivery.get("held") else ""
    yield f"Delivery: {counts or 'nothing yet'}{held}."
    latency = delivery.get("latency_ms") or {}
    known = [f"{key} {float(latency[key]):,.1f} ms" for key in ("p50", "p95", "p99") if latency.get(key) is not None]
    if known:
        yield f"Tick to hand-over: {', '.join(known)}."
    for platform, text in (delivery.get("errors") or {}).items():
        if text:
            yield f"{platform} fails: {text}."


COUNTS = (("due", "due"), ("sent", "sent"), ("later", "tried again"), ("dead", "given up"))


def bot_line(bot: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{int(bot[key]):,} {key}" for key in ("sent", "later", "never") if key in bot)
    return f"{str(bot.get('service', 'bot')).replace('bot.', 'Bot ')}: {counts or 'running'}."


def command_line(commands: Mapping[str, Any]) -> str:
    failed = commands.get("failed") or {}
    told = f"Commands: {int(commands.get('lines', 0)):,} lines, {int(commands.get('refused', 0)):,} refused"
    return told + "".join(f", {name} failed {count:,} times" for name, count in failed.items()) + "."


def child_lines(children: object, now: int, zone: str) -> Iterable[str]:
    if not isinstance(children, Mapping) or not children:
        return
    yield "Processes:"
    for name, child in children.items():
        if not isinstance(child, Mapping):
            continue
        parts = [f"pid {child.get('pid', 'none')}"]
        if child.get("started_at"):
            parts.append(f"up for {wording.duration(now - int(child['started_at']))}")
        if child.get("restarts"):
            at = child.get("last_exit_at")
            when = f" at {wording.clock(int(at), zone, now)}" if at else ""
            why = f": {child['reason']}" if child.get("reason") else ""
            parts.append(f"{child['restarts']} restarts, last exit {child.get('last_exit')}{when}{why}")
        yield f"  {name}: {', '.join(parts)}"
