"""Frames: what the stream TICKS carries. Pure.

A frame is what was waiting while the last publish was unacknowledged: one tick in a quiet market, hundreds
in a burst. Ticks lie in columns, so that a reader hands them to SQLite or runs over them without making an
object a tick (measured: 3 times cheaper than a list of structs). Between ticks stand events, each with the
index of the tick that it comes before. `epoch` and `number` order all frames ever published: the epoch is the
publisher's lease, the number counts its frames, so a frame that comes round again is recognised.

The wire format is one msgpack array in the order of the fields below, the version first. A reader refuses a
newer version and stops: what it cannot read it must not skip.
"""

from collections.abc import Iterator
from enum import IntEnum

import msgspec

from hub.model import Kind, Tick, Verdict

VERSION = 1
MAX_TICKS = 2000
"""Ticks in one frame at most: about 150 kB, well under NATS's 1 MB."""


RUNNING = 1 << 62
"""Among the sequences that a reader marks as tried, the one that says: a reader is at work."""


class NewerFrame(Exception):
    """The frame was written by a newer tocsin. Nothing is lost: the reader stays where it is."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the stream holds a frame of version {version}, this tocsin reads up to {VERSION}:"
            " start the newer tocsin again, it goes on where this one stopped"
        )
        self.version = version


class BadFrame(Exception):
    """These bytes are no frame. The reader sets them aside, counts and tells it."""


class EventKind(IntEnum):
    TAKEOVER = 1  # `source` speaks for `instrument` now; `text` names who spoke before
    STALE = 2  # no price of `instrument` since `time`, in open hours
    FRESH = 3  # prices are back after STALE
    OPENED = 4
    CLOSED = 5
    FINISHED = 6  # feed `source` has nothing more to come; `text` counts what it read


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    at: int  # index of the tick that it comes before
    kind: int
    time: int  # on the stream's clock
    instrument: str = ""
    source: str = ""
    text: str = ""


class Refusal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """So many updates of a source were refused for a reason since the last frame; `number` is the highest
    vendor number among them in that lane, 0 if they have none."""

    source: str
    lane: str
    reason: str
    count: int
    number: int


class Frame(msgspec.Struct, array_like=True):
    version: int
    epoch: int
    number: int
    opened_at: int  # wall time at which its first tick entered the hub
    clock: int  # the stream's clock after this frame: received_at of the last thing in it
    instruments: list[str]  # the ids that `instrument` indexes
    sources: list[str]
    natures: list[str]  # of `sources`, by index: live, polled, simulated, recording
    instrument: list[int]
    source: list[int]
    kind: list[int]
    verdict: list[int]
    venue_time: list[int | None]
    received_at: list[int]
    price: list[float]
    bid: list[float | None]
    ask: list[float | None]
    volume: list[float | None]
    vendor_number: list[int | None]
    events: list[Event]
    refused: list[Refusal]

    def __len__(self) -> int:
        return len(self.price)

    def ticks(self) -> Iterator[Tick]:
        """One struct a tick, for readers that are not in a hurry."""
        for i, price in enumerate(self.price):
            yield Tick(
                instrument=self.instruments[self.instrument[i]],
                kind=Kind(self.kind[i]),
                price=price,
                bid=self.bid[i],
                ask=self.ask[i],
                volume=self.volume[i],
                venue_time=self.venue_time[i],
                received_at=self.received_at[i],
                source=self.sources[self.source[i]],
                number=self.vendor_number[i],
                verdict=Verdict(self.verdict[i]),
            )


def empty(epoch: int = 0, number: int = 0, opened_at: int = 0, clock: int = 0) -> Frame:
    return Frame(
        VERSION, epoch, number, opened_at, clock, [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], []
    )


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader of the stream stands. All zero: it has read nothing. (epoch, number) is of the last frame it
    took, `clock` the stream's clock there."""

    stream: str = ""
    sequence: int = 0
    epoch: int = 0
    number: int = 0
    clock: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode
_loose = msgspec.msgpack.Decoder().decode

_COLUMNS = (
    "instrument", "source", "kind", "verdict", "venue_time", "received_at", "bid", "ask", "volume", "vendor_number",
)  # fmt: skip


def encode(frame: Frame) -> bytes:
    return _encode(frame)


def decode(payload: bytes) -> Frame:
    """NewerFrame for a later version, BadFrame for anything else that is not a whole frame."""
    try:
        frame = _decode(payload)
    except msgspec.MsgspecError as error:
        raise _why_not(payload, error) from error
    if frame.version != VERSION:
        raise NewerFrame(frame.version) if frame.version > VERSION else BadFrame(f"version {frame.version}")
    count = len(frame.price)
    if any(len(getattr(frame, name)) != count for name in _COLUMNS):
        raise BadFrame("columns of different length")
    if count and (
        max(frame.instrument) >= len(frame.instruments)
        or max(frame.source) >= len(frame.sources)
        or min(min(frame.instrument), min(frame.source)) < 0
        or len(frame.natures) != len(frame.sources)
    ):
        raise BadFrame("a column points outside its table")
    return frame


def _why_not(payload: bytes, error: Exception) -> Exception:
    """A later version may have other fields: its number is read loosely, before anything else is said."""
    try:
        loose = _loose(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return BadFrame(f"not msgpack: {error}")
    if isinstance(loose, list) and loose and isinstance(loose[0], int) and loose[0] > VERSION:
        return NewerFrame(loose[0])
    return BadFrame(str(error))


def lane(instrument: str, kind: int) -> str:
    """The name under which a vendor's number is counted: "XAU-USD/quote"."""
    return f"{instrument}/{'quote' if kind == Kind.QUOTE else 'trade'}"
