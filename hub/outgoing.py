"""What goes out of the hub: how the notifications of one message are worded, and which addresses may be called.

Pure. How long a notification took, from its tick to the hand-over, is known only as it goes out, so it is worded here
and not in the evidence that the engine wrote. The words are in the language that is spoken. `private` says whether an
IP address lies on this machine or in a network behind it, also where it is wrapped in an IPv6 form that ends there.
Depends on hub.i18n, hub.model and hub.wording.
"""

import hashlib
import ipaddress
from collections.abc import Sequence

import msgspec

from hub.i18n import _
from hub.model import SECOND_US, Button, Destination, Message, Notification
from hub.wording import duration, moment, own

IN_FULL = 5
LATE_US = 120 * SECOND_US
TOGETHER_US = 60 * SECOND_US
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def message(destination: Destination, notifications: Sequence[Notification], now: int | None = None) -> Message:
    """One message for all of them, in the order given. Its id follows from what is in it: the same notifications
    sent again are the same message, so that a receiver can tell. `now`, wall time, tells how long they took, in their
    own texts too, which platforms word by themselves; a message that is tried again tells the longer time."""
    notifications = [timed(one, now) for one in notifications]
    title, text = worded(notifications, now)
    return Message(
        id=message_id(notifications),
        platform=destination.platform,
        address=destination.address,
        title=title,
        text=text,
        notifications=tuple(notifications),
    )


def message_id(notifications: Sequence[Notification]) -> str:
    """The times tell apart the equal numbers of two hubs."""
    content = ",".join(f"{n.id}:{n.created_at}" for n in notifications)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def worded(notifications: Sequence[Notification], now: int | None = None) -> tuple[str, str]:
    """Title and text: one speaks for itself, several stand in blocks under their number. What piled up while nothing
    could be sent, or was held through quiet hours, is told with its own times; more than IN_FULL have a line each, so
    that a message holds them all."""
    if len(notifications) == 1:
        (one,) = notifications
        return one.title, _joined(_evidence(one), held(one), late(one, now))
    count, quiet = len(notifications), sum(n.held_until is not None for n in notifications)
    alerts = all(n.alert_id is not None for n in notifications)
    title = (_("{count} alerts") if alerts else _("{count} messages")).format(count=count)
    if quiet:
        said = _(" in your quiet hours") if quiet == count else _(", {count} of them in your quiet hours")
        title += said.format(count=quiet)
    title += _span(notifications)
    if count > IN_FULL:
        return title, "\n".join(_line(n, now) for n in notifications)
    marks = [held(n) if quiet < count else "" for n in notifications]
    blocks = (_joined(n.title, _evidence(n), mark, late(n, now)) for n, mark in zip(notifications, marks, strict=True))
    return title, "\n\n".join(blocks)


def held(notification: Notification) -> str:
    """Why one hears of it only now, where it was held; else nothing."""
    return "" if notification.held_until is None else _("held through your quiet hours")


def late(notification: Notification, now: int | None) -> str:
    """ "told 53 min after it rang", where delivery took so long that one has to know; else nothing."""
    waited_us = 0 if now is None else now - ready_at(notification)
    rang, ended = _("told {time} after it rang"), _("told {time} after your quiet hours ended")
    said = rang if notification.held_until is None else ended
    return said.format(time=duration(waited_us)) if waited_us > LATE_US else ""


def timed(notification: Notification, now: int | None) -> Notification:
    """With how long it took, behind its source: "source kraken · 40 ms after the tick"."""
    took, trigger = latency(notification, now), notification.trigger
    if not took or trigger is None:
        return notification
    lines = notification.text.split("\n")
    told = _("{time} after the tick").format(time=took)
    at = next((i for i, line in enumerate(lines) if line.startswith(f"source {trigger.source}")), len(lines) - 1)
    lines[at] = f"{lines[at]} · {told}" if lines[at] else told
    return msgspec.structs.replace(notification, text="\n".join(lines))


def latency(notification: Notification, now: int | None) -> str:
    """ "40 ms", "1.3 s": from the tick's entry into the hub to now. Nothing for what no tick brought, and for what was
    held, which says so."""
    ticked_at = notification.ticked_at
    if now is None or ticked_at is None or notification.trigger is None or notification.held_until is not None:
        return ""
    took_us = max(now - ticked_at, 0)
    return duration(took_us) if not SECOND_US <= took_us < 60 * SECOND_US else own(f"{took_us / SECOND_US:.1f} s")


def ready_at(notification: Notification) -> int:
    """Since when it could be sent, wall time."""
    return notification.created_at if notification.held_until is None else notification.held_until


def added(message: Message) -> list[str]:
    """What a message of one notification says beyond that one's own words: that it is told late, or was held."""
    (one,) = message.notifications
    known = {"", *one.text.split("\n"), *one.note.split("\n")}
    return [line for line in message.text.split("\n") if line not in known]


def apart(notifications: Sequence[Notification]) -> bool:
    """Whether they rang at times that are worth telling."""
    times = [rang_at(n) for n in notifications]
    return max(times) - min(times) > TOGETHER_US


def rang_at(notification: Notification) -> int:
    """By the market's clock where that is known."""
    trigger = notification.trigger
    return notification.created_at if trigger is None else trigger.venue_time or trigger.received_at


def _joined(*lines: str) -> str:
    return "\n".join(filter(None, lines))


def _line(notification: Notification, now: int | None) -> str:
    """ "14:02:11 Gold rose to 2,400.12 USD (level 2,400.00): sell half · 40 ms"."""
    note = f": {notification.note[:40]}" if notification.note else ""
    took = latency(notification, now)
    return f"{moment(rang_at(notification)):%H:%M:%S} {notification.title}{note}{f' · {took}' if took else ''}"


def _span(notifications: Sequence[Notification]) -> str:
    """ ", 14:02 to 14:55 UTC" where they did not ring together."""
    if not apart(notifications):
        return ""
    times = [rang_at(n) for n in notifications]
    first, last = moment(min(times)), moment(max(times))
    form = "%H:%M" if first.date() == last.date() else "%d %b %H:%M"
    return _(", {first} to {last} UTC").format(first=first.strftime(form), last=last.strftime(form))


def _evidence(notification: Notification) -> str:
    if notification.note and notification.note not in notification.text:
        return f"{notification.text}\n{notification.note}".lstrip()
    return notification.text


def buttons(notification: Notification) -> tuple[Button, ...]:
    """What one can do about an alert that rang, most wanted first; each is a line within a platform's 64 bytes."""
    if notification.alert_id is None:
        return ()
    number, instrument = notification.alert_id, notification.instrument
    if notification.notice:
        told = {"Go on": f"resume {number}", "Why": f"why {number}", "Delete": f"delete {number}"}
        return tuple(Button(label=label, line=line) for label, line in told.items())
    lines = {
        "15 min": f"snooze {number} 15m",
        "1 h": f"snooze {number} 1h",
        "Tomorrow": f"snooze {number} until tomorrow",
        "Again": f"again {number}",
        "−5 %": f"move {number} -5%",
        "−1 %": f"move {number} -1%",
        "+1 %": f"move {number} +1%",
        "+5 %": f"move {number} +5%",
        "Chart": f"chart {instrument} 24h",
        "Mute": f"mute {instrument}",
        "Delete": f"delete {number}",
    }
    return tuple(Button(label=label, line=line) for label, line in lines.items())


def private(address: str) -> bool:
    """Whether a call to this IP address would stay on this machine or in its networks. What is no IP address is
    not known to be public, so it counts as private."""
    try:
        ip: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    ip = _inner(ip)
    return not ip.is_global or ip.is_multicast


def _inner(ip: Address) -> Address:
    """The IPv4 address that a mapped, 6to4, Teredo or NAT64 address leads to."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
