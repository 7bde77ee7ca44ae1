"""`$gold` or `#btc` in what people write to each other: which instruments are meant, and where that is answered. Pure.

A place answers it once it was told to (`place detect on`); what the hub said of a place is believed for BELIEVED_S, and
whatever it says meanwhile counts at once. Slack sends what is written in channels only where the app asks for it
(docs/slack.md). Depends on hub.model.
"""

import re
from collections import OrderedDict

from hub.model import Menu, Reply

MARKED = re.compile(r"(?<![\w$#])[$#]([A-Za-z][\w-]{1,20})")
MOST = 5
BELIEVED_S = 600.0
REMEMBERED = 4_096


def line_in(text: str, menu: Menu) -> str:
    """ "price XAU-USD BTC-USDT", or nothing."""
    words = [word.casefold() for word in MARKED.findall(text)]
    if not words:
        return ""
    ids = {name.casefold(): each.id for each in menu.instruments for name in (*each.aliases, each.name, each.id)}
    found = dict.fromkeys(ids[word] for word in words if word in ids)
    return " ".join(["price", *list(found)[:MOST]]) if found else ""


class Detection:
    def __init__(self) -> None:
        self._places: OrderedDict[str, tuple[bool, float]] = OrderedDict()

    def heard(self, place: str, reply: Reply, now_s: float) -> None:
        """A reply that was given in that place; those of `place` tell how it is there."""
        on = reply.facts.get("detect")
        if place and isinstance(on, bool):
            self._places[place] = (on, now_s + BELIEVED_S)
            self._places.move_to_end(place)
            if len(self._places) > REMEMBERED:
                self._places.popitem(last=False)

    def of(self, place: str, now_s: float) -> bool | None:
        """None where the hub has to be asked."""
        on, until_s = self._places.get(place, (False, now_s))
        return on if now_s < until_s else None
