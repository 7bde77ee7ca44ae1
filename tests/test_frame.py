"""Frames: what goes in comes out, and what is no frame is told apart from what is newer."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.frame import VERSION, BadFrame, Event, Frame, NewerFrame, Refusal, decode, empty, encode
from hub.model import Kind, Tick, Verdict


def filled(count: int = 3) -> Frame:
    frame = empty(epoch=2, number=7, opened_at=5, clock=9)
    frame.instruments, frame.sources, frame.natures = ["XAU-USD"], ["demo"], ["simulated"]
    for i in range(count):
        frame.instrument.append(0)
        frame.source.append(0)
        frame.kind.append(Kind.QUOTE)
        frame.verdict.append(Verdict.PRICE)
        frame.venue_time.append(None if i % 2 else i)
        frame.received_at.append(i)
        frame.price.append(1.5 + i)
        frame.bid.append(1.0 + i)
        frame.ask.append(2.0 + i)
        frame.volume.append(None)
        frame.vendor_number.append(i)
    frame.events.append(Event(1, 2, 3, "XAU-USD"))
    frame.refused.append(Refusal("demo", "", "broken JSON", 2, 0))
    return frame


def test_a_frame_survives_the_wire() -> None:
    """Columns, events and refusals."""
    assert decode(encode(filled())) == filled()


def test_ticks_come_out_as_they_went_in() -> None:
    """One struct a tick for readers that are not in a hurry."""
    first = next(iter(filled().ticks()))
    assert first == Tick(
        instrument="XAU-USD", kind=Kind.QUOTE, price=1.5, bid=1.0, ask=2.0, venue_time=0, received_at=0,
        source="demo", number=0,
    )  # fmt: skip


def test_a_newer_version_is_named_even_if_its_fields_are_unknown() -> None:
    """What cannot be read must not be skipped."""
    with pytest.raises(NewerFrame, match="version 9"):
        decode(msgspec.msgpack.encode([9, {"columns": "otherwise"}]))
    newer = filled()
    newer.version = VERSION + 1
    with pytest.raises(NewerFrame):
        decode(encode(newer))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_frame_are_refused_and_nothing_else(noise: bytes) -> None:
    """Only BadFrame, or NewerFrame where the noise happens to say so."""
    with pytest.raises((BadFrame, NewerFrame)):
        decode(noise)


def test_columns_that_do_not_fit_together_are_no_frame() -> None:
    """A reader never sees a column that is too short, or an index that points nowhere."""
    short = filled()
    short.bid.pop()
    with pytest.raises(BadFrame, match="different length"):
        decode(encode(short))
    astray = filled()
    astray.instrument[0] = 4
    with pytest.raises(BadFrame, match="outside"):
        decode(encode(astray))
