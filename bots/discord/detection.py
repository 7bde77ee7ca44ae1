"""In which places `$gold` is answered: what the hub says of a place (`place detect on`), believed for a while. Pure."""

from hub.model import Reply

BELIEVED_S = 600.0
PLACES = 4_096  # remembered at most


class Detection:
    """Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[bool, float]] = {}

    def of(self, place: str, now_s: float) -> bool | None:
        """None: the hub has to be asked (`place`)."""
        on, until_s = self._places.get(place, (False, now_s))
        return on if until_s > now_s else None

    def heard(self, place: str, reply: Reply, now_s: float) -> None:
        """Any reply in a place may say it; one that does not changes nothing."""
        if place and isinstance(reply.facts.get("detect"), bool):
            self._places.pop(place, None)
            self._places[place] = (reply.facts["detect"] is True, now_s + BELIEVED_S)
            while len(self._places) > PLACES:
                del self._places[next(iter(self._places))]

    def refused(self, place: str, now_s: float) -> None:
        """The hub says nothing of that place."""
        self.heard(place, Reply(facts={"detect": False}), now_s)
