"""A first look at a file of prices before any of it is believed: what it is, whose content, and a sample of all of it.

The whole file is read once, and hashed; of its lines every so many are kept, in blocks, so that a file of any size
costs the same memory and its times can be looked at in their order. Blocking, so for a thread.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from hub.model import Refused, Tick
from hub.plugin import Bar, GiveUp
from plugins.feeds.recordings.bars import BARS, OwnBar, bar_columns, price_columns
from plugins.feeds.recordings.facts import Facts
from plugins.feeds.recordings.opening import opened
from plugins.feeds.recordings.tables import Columns, columns_of
from plugins.feeds.recordings.times import is_day, says_zone

BLOCK_BYTES = 1 << 16
MOST_BLOCKS = 64
"""Kept of a file; more, and every other one is let go. About 100,000 lines."""

HEADED = {"csv", "bars", "prices", "binance-trades-csv", "tocsin-csv"}
Zone = Literal["said", "days", "asked"]
"""Whether the times of a file are instants, days of a calendar, or clocks of a place that it does not name."""

Numbered = list[tuple[int, bytes]]


class Block(msgspec.Struct, frozen=True):
    """Lines that follow each other; `joined`: the block before ends where this one begins."""

    lines: Numbered
    joined: bool


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    format: str
    members: tuple[str, ...]  # of a zip
    lines: int
    digest: str  # of the unpacked content
    zone: Zone
    clocks: bool  # its times are of some clock, and a time zone moves them
    shown: str  # a line with a time
    rung: str = ""  # of bars, where the file says it
    says_instrument: bool
    blocks: list[Block]

    @property
    def holds_bars(self) -> bool:
        return self.format in BARS

    @property
    def has_day(self) -> bool:
        """Whether each file of the format is one whole day."""
        return self.format in ("lean-quote", "lean-trade")


def survey(path: Path, format: str, member: str, formats: Callable[[str, str, bytes], str]) -> Survey:
    """`formats(asked, name, head)` names the format or gives up."""
    with opened(path, member) as file:
        head = file.stream.peek(8192)
        chosen = formats(format, file.name, head)
        digest = hashlib.sha256()
        blocks, lines = _sampled(file.stream.read, file.stream.readline, digest.update)
    header = blocks[0].lines[0][1]
    at = 1 if chosen in HEADED else 0
    if len(blocks[0].lines) <= at:
        raise GiveUp(f"{file.name} holds a header and no prices")
    some = [line for _, line in blocks[0].lines[at : at + 20]]
    zone, clocks = _zone(chosen, header, some)
    return Survey(
        name=file.name,
        format=chosen,
        members=file.members,
        lines=lines,
        digest=digest.hexdigest(),
        zone=zone,
        clocks=clocks,
        shown=some[0].decode(errors="replace").strip()[:120],
        rung=_rung(chosen, header, some[0]),
        says_instrument=_says_instrument(chosen, header),
        blocks=[block if chosen not in HEADED or n == 0 else _headed(block, header) for n, block in enumerate(blocks)],
    )


def _sampled(
    read: Callable[[int], bytes], rest_of_line: Callable[[int], bytes], hashed: Callable[[bytes], None]
) -> tuple[list[Block], int]:
    kept: list[tuple[int, int, bytes]] = []  # place among the blocks, number of the first line, bytes
    place, line, stride, ended = 0, 1, 1, True
    while piece := read(BLOCK_BYTES):
        if not piece.endswith(b"\n"):
            piece += rest_of_line(BLOCK_BYTES)
        hashed(piece)
        if place % stride == 0:
            kept.append((place, line, piece))
            if len(kept) > MOST_BLOCKS:
                stride *= 2
                kept = [one for one in kept if one[0] % stride == 0]
        place, line, ended = place + 1, line + piece.count(b"\n"), piece.endswith(b"\n")
    blocks = []
    before = -1
    for place, first, piece in kept:
        blocks.append(Block(list(enumerate(piece.splitlines(keepends=True), first)), joined=place == before + 1))
        before = place
    return blocks, line - ended


def _headed(block: Block, header: bytes) -> Block:
    return Block([(1, header), *block.lines], block.joined)


def sample(found: Survey, read: Callable[..., Iterator[Tick | Bar | Refused]], facts: Facts) -> list[list[object]]:
    """The updates in each block."""
    return [list(read(block.lines, facts)) for block in found.blocks]


# ------------------------------------------------------------------------------------- what a file says


def _zone(format: str, header: bytes, lines: list[bytes]) -> tuple[Zone, bool]:
    if format == "prices":
        return "days", True
    if format == "mt4":
        return "asked", True
    known = columns_of(header) if format == "csv" else bar_columns(header) if format == "bars" else None
    if known is None:
        return "said", format.startswith(("lean", "histdata"))
    kinds = [kind for line in lines if line.strip() and (kind := _kind_of_time(known, line))]
    if kinds and all(kind == "day" for kind in kinds):
        return "days", True
    if kinds and all(kind == "instant" for kind in kinds):
        return "said", False
    return ("said" if known.zone else "asked"), True


def _kind_of_time(known: Columns, line: bytes) -> str:
    try:
        text = known.time(known.cells(line))
        return "day" if is_day(text) else "instant" if says_zone(text) else "clock"
    except (ValueError, IndexError):
        return ""


def _rung(format: str, header: bytes, line: bytes) -> str:
    try:
        if format == "tocsin-bars":
            return msgspec.json.decode(line, type=OwnBar).rung
        known = bar_columns(header) if format == "bars" else None
        return known.cells(line)[known.at["rung"]].strip() if known and "rung" in known.at else ""
    except (msgspec.MsgspecError, ValueError, IndexError):
        return ""


def _says_instrument(format: str, header: bytes) -> bool:
    if format in ("tocsin", "tocsin-csv", "tocsin-bars", "binance-raw"):
        return True
    known = columns_of(header) or bar_columns(header) or price_columns(header)
    return format in ("csv", "bars") and known is not None and "instrument" in known.at
