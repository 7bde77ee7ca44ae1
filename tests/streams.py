"""A stream to write by hand: frames of gold quotes, published as ingest would."""

from hub.bus import Bus
from hub.frame import Frame, empty, encode
from hub.model import SECOND_US, Kind, Verdict

GOLD = "XAU-USD"
START = 1_700_000_000 * SECOND_US


def frame(number: int, prices: list[float], *, epoch: int = 1, opened_at: int | None = None) -> Frame:
    """Gold quotes at those mids, a second apart, from a place in time that follows from the frame's number."""
    made = empty(epoch=epoch, number=number)
    made.instruments, made.sources, made.natures = [GOLD], ["test"], ["live"]
    for i, price in enumerate(prices):
        at = START + (number * 1000 + i) * SECOND_US
        made.instrument.append(0)
        made.source.append(0)
        made.kind.append(Kind.QUOTE)
        made.verdict.append(Verdict.PRICE)
        made.venue_time.append(at)
        made.received_at.append(at)
        made.price.append(price)
        made.bid.append(price)
        made.ask.append(price)
        made.volume.append(None)
        made.vendor_number.append(number * 1000 + i)
    made.clock = START + (number * 1000 + len(prices)) * SECOND_US
    made.opened_at = made.clock if opened_at is None else opened_at
    return made


class Stream:
    """Publishes frames one after the other; `last` is the stream's last sequence."""

    def __init__(self, bus: Bus, last: int = 0, epoch: int = 1) -> None:
        self.bus = bus
        self.last = last
        self.epoch = epoch
        self.number = 0

    async def tell(self, *prices: float, opened_at: int | None = None) -> int:
        """One frame of those prices; its sequence."""
        self.number += 1
        made = frame(self.number, list(prices), epoch=self.epoch, opened_at=opened_at)
        return await self.send(made)

    async def send(self, made: Frame) -> int:
        self.last = await self.bus.append(encode(made), self.last, 5)
        return self.last
