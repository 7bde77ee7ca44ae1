"""What a file is to be taken for before it is opened for good: whose prices, in which zone, on which rung, and a name.

The plan is made from the sample of the survey, so it is the same each time the file is met, and an import that was
stopped is recognised by it. A source's name ends in the fingerprint of the content and of how it was read (instrument
and times): the same file under another name is the same source, read in another zone it is another. Blocking, no store.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from hub import instruments as words
from hub.history.ladder import RUNGS, length_us
from hub.importing import doubts
from hub.importing.batches import rung_for_bars, step_of
from hub.importing.doubts import Piece
from hub.model import SECOND_US, Instrument, Kind, Refused, Tick
from hub.plugin import BadRequest, Bar
from hub.sessions import SESSIONS

PREFIX = "import:"
DEFAULT_ZONES = ("UTC", "America/New_York", "Etc/GMT+5", "EET")
"""Of formats that say theirs."""
DAY_US = 86_400 * SECOND_US


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    file: Path
    instrument: str = ""
    format: str = "auto"
    member: str = ""
    time_zone: str = ""
    date: str = ""
    skip_broken: bool = False
    sure: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    survey: Any
    facts: Any  # for the reader of the format
    instruments: dict[str, Instrument]
    speaks: dict[tuple[str, int], bool]  # (instrument, kind) → whether such ticks move its price
    rung: str = ""  # of bars
    by_day: bool = False  # each bar is of a day or more
    days: bool = False  # its times are days of a calendar, in no zone
    own: bool = False  # our own export: its verdicts stand
    pieces: dict[str, list[Piece]]  # of each instrument, by the file's own clock
    silent: dict[str, list[tuple[int, int]]]  # spans without a price, by the file's own clock
    zone: tzinfo | None = None  # that the file is read in; None: its times are instants
    content: str
    reading: str
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return f"{PREFIX}{self.facts.source}@{self.content}-{self.reading}"


def make(asked: Asked, survey: Any, catalogue: words.Catalogue, recordings: ModuleType) -> Plan:
    """BadRequest for what the file does not say and nobody said."""
    recordings.Facts(source="").zone(asked.time_zone or "UTC")
    only = catalogue.find(asked.instrument).id if asked.instrument else ""
    named = _Named(catalogue)
    if not survey.says_instrument and not only:
        raise BadRequest(_whose(asked, named))
    facts = recordings.Facts(
        source=recordings.stem(asked.file),
        name=survey.name,
        instrument=only,
        named=named,
        date=asked.date,
        time_zone=asked.time_zone,
        verdicts=survey.format in ("tocsin", "tocsin-csv"),
    )
    if only and survey.says_instrument:
        _one_of(recordings.sampled(survey, msgspec.structs.replace(facts, instrument="")), asked, named)
    walls = recordings.sampled(survey, msgspec.structs.replace(facts, time_zone="UTC"))
    known = _known(walls, catalogue)
    if not known:
        raise BadRequest(_nothing(survey, walls, named))
    if not survey.holds_bars and _runs_backwards(walls):
        raise BadRequest(
            f"{survey.name} runs backwards in time, and the order of ticks makes their candles: turn its lines round,"
            " below the header if it has one"
        )
    step = step_of(_neighbours(walls)) if survey.holds_bars else 0
    rung, notes = _rung(survey, step) if survey.holds_bars else ("", [])
    days = survey.zone == "days" or (bool(rung) and length_us(rung) == DAY_US)
    pieces = {name: _pieces(walls, name, survey) for name in known}
    if days and survey.clocks:
        facts = msgspec.structs.replace(facts, time_zone="UTC")
    elif survey.zone == "asked" and not asked.time_zone:
        raise BadRequest(_which_zone(asked, survey, known, pieces, step, recordings))
    read = recordings.sampled(survey, facts)
    zone = _zone(asked, walls, read, recordings) if survey.clocks and not days else None
    speaks, more = _speaks(read, known)
    return Plan(
        survey=survey,
        facts=facts,
        instruments=known,
        speaks=speaks,
        rung=rung,
        by_day=bool(rung) and not survey.rung and (not step or step >= DAY_US),
        own=facts.verdicts,
        pieces=pieces,
        silent={name: doubts.gaps(pieces[name], step, _edges(survey, facts, pieces[name])) for name in known},
        days=days,
        zone=zone,
        content=survey.digest[:10],
        reading=_reading(read, only),
        notes=(*_members(survey), *notes, *more),
    )


class _Named:
    """A file's own word for an instrument → its id; each word is looked up once, and what it could be is remembered."""

    def __init__(self, catalogue: words.Catalogue) -> None:
        self.ids: dict[str, str | None] = {}
        self._catalogue = catalogue

    def __call__(self, word: str) -> str | None:
        if word not in self.ids:
            self.ids[word] = self.find(word)
        return self.ids[word]

    def find(self, word: str) -> str | None:
        try:
            return self._catalogue.find(word).id
        except BadRequest:
            return None

    def in_name(self, file: Path) -> list[Instrument]:
        """The pairs and metals that the words of a file's name mean."""
        text = "".join(letter if letter.isalnum() else " " for letter in file.name.split(".")[0])
        found = [self._catalogue.get(self.find(word) or "") for word in text.split() if len(word) >= 3]
        return [one for one in found if one and (one.class_ == "metal" or _pair(one, text))]


def _pair(one: Instrument, text: str) -> bool:
    return "-" in one.id and one.id.replace("-", "").casefold() in text.casefold().split()


def told_by_name(file: Path, catalogue: words.Catalogue) -> list[Instrument]:
    return _Named(catalogue).in_name(file)


# ---------------------------------------------------------------------------------------------- questions


def _whose(asked: Asked, named: _Named) -> str:
    guess = named.in_name(asked.file)
    return (
        f"{asked.file.name} does not say whose prices it holds: add --instrument"
        f" {guess[0].id if guess else 'XAU-USD, say'}"
    )


def _one_of(blocks: Iterable[Sequence[object]], asked: Asked, named: _Named) -> None:
    """What is written under several names is not to be taken for one instrument."""
    list(blocks)
    if len(named.ids) > 1:
        raise BadRequest(
            f"{asked.file.name} holds prices of {len(named.ids)} instruments ({', '.join(sorted(named.ids)[:6])}):"
            " leave --instrument out, and each is taken under its own name"
        )


def _nothing(survey: Any, blocks: Sequence[Sequence[object]], named: _Named) -> str:
    unknown = sorted(word for word, id_ in named.ids.items() if id_ is None)
    if unknown:
        return (
            f'{survey.name} holds prices of "{unknown[0]}", which is no instrument known here: say whose they are'
            " with --instrument, or add it to [instruments] of the configuration"
        )
    reasons = [one for block in blocks for one in block if isinstance(one, Refused)]
    first = f': line {reasons[0].number} is "{reasons[0].sample[:80]}" ({reasons[0].reason})' if reasons else ""
    return f"{survey.name} was taken for {survey.format}, and holds nothing that reads so{first}"


def _which_zone(
    asked: Asked, survey: Any, known: dict[str, Instrument], pieces: dict[str, list[Piece]], step: int, recordings: Any
) -> str:
    told = (
        f'{asked.file.name} does not say in which time zone its times are ("{survey.shown}"): add --time-zone, with'
        ' UTC, UTC+2, or a name such as "Europe/Athens" (the clock of many MetaTrader brokers)'
    )
    name, instrument = next(iter(known.items()))
    session = SESSIONS[instrument.session]
    if not session.windows:
        return told
    best, how = doubts.best_zone(pieces[name], doubts.gaps(pieces[name], step), session, zones(recordings))
    fits = f"; its hours fit {best} best" if how.misfit < doubts.SUSPECT else ""
    return told + fits


def zones(recordings: Any) -> dict[str, tzinfo]:
    return {name: zone_named(name, recordings) for name in doubts.ZONES}


def zone_named(name: str, recordings: Any) -> tzinfo:
    zone: tzinfo = recordings.zone_of(name)
    return zone


# -------------------------------------------------------------------------------------------- the sample


def _time(update: object) -> int:
    if isinstance(update, Bar):
        return update.candle.start
    assert isinstance(update, Tick)
    return update.venue_time if update.venue_time is not None else update.received_at or 0


def _price(update: object) -> float:
    if isinstance(update, Bar):
        return update.candle.open
    assert isinstance(update, Tick)
    if update.kind == Kind.QUOTE:
        return ((update.bid or 0.0) + (update.ask or 0.0)) / 2
    return update.price or 0.0


def _of(block: Iterable[object], name: str = "") -> Iterator[Tick | Bar]:
    for one in block:
        if isinstance(one, Tick | Bar) and name in ("", one.instrument):
            yield one


def _known(blocks: Iterable[Iterable[object]], catalogue: words.Catalogue) -> dict[str, Instrument]:
    found = dict.fromkeys(one.instrument for block in blocks for one in _of(block))
    return {name: instrument for name in found if (instrument := catalogue.get(name))}


def _pieces(blocks: Sequence[Sequence[object]], name: str, survey: Any) -> list[Piece]:
    pieces = []
    for block, raw in zip(blocks, survey.blocks, strict=True):
        mine = list(_of(block, name))
        pieces.append(Piece([_time(one) for one in mine], [_price(one) for one in mine], raw.joined))
    return pieces


def _neighbours(blocks: Iterable[Iterable[object]]) -> Iterator[tuple[int, int]]:
    for block in blocks:
        times: dict[str, list[int]] = {}
        for one in _of(block):
            times.setdefault(one.instrument, []).append(_time(one))
        for each in times.values():
            yield from pairwise(each)


def _runs_backwards(blocks: Iterable[Iterable[object]]) -> bool:
    steps = [after - before for before, after in _neighbours(blocks)]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def _rung(survey: Any, step: int) -> tuple[str, list[str]]:
    if survey.rung:
        if survey.rung not in RUNGS:
            raise BadRequest(f"{survey.name} holds candles of {survey.rung}; this hub has {', '.join(RUNGS)}")
        return survey.rung, []
    if not step and survey.format == "prices":
        return "1d", []
    if not step:
        raise BadRequest(f"{survey.name} holds a single bar: how long it is cannot be told")
    rung = rung_for_bars(step, RUNGS)
    if not rung:
        raise BadRequest(
            f"{survey.name} holds bars of {_length(step)}, which fill none of {', '.join(RUNGS)} without a rest"
        )
    if step == length_us(rung):
        return rung, []
    if step > DAY_US:
        return rung, [f"each is kept as the candle of its first day: the ladder has {', '.join(RUNGS)}"]
    return rung, [f"bars of {_length(step)} are merged into {rung}: the ladder has {', '.join(RUNGS)}"]


def _length(us: int) -> str:
    seconds = us // SECOND_US
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds} s"


def _zone(asked: Asked, walls: Sequence[Any], read: Sequence[Any], recordings: Any) -> tzinfo:
    """The zone that the file is read in, by its own word or ours."""
    if asked.time_zone:
        return zone_named(asked.time_zone, recordings)
    ends = [(_time(wall), _time(real)) for w, r in ((walls[0], read[0]), (walls[-1], read[-1]))
            for wall, real in [*zip(_of(w), _of(r), strict=True)][:1]]  # fmt: skip
    for name in DEFAULT_ZONES:
        utc = doubts.to_utc(zone_named(name, recordings))
        if all(utc(wall) == real for wall, real in ends):
            return zone_named(name, recordings)
    return UTC


def _edges(survey: Any, facts: Any, pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """The silent ends of a file that is a whole day, by its own clock."""
    times = [wall for piece in pieces for wall in (*piece.walls[:1], *piece.walls[-1:])]
    if not survey.has_day or not times:
        return []
    midnight = min(times) - min(times) % DAY_US
    return [(midnight, min(times)), (max(times), midnight + DAY_US)]


def _speaks(
    blocks: Iterable[Iterable[object]], known: dict[str, Instrument]
) -> tuple[dict[tuple[str, int], bool], list[str]]:
    """Ticks of an instrument's price basis speak; where a file has the other kind only, that one does."""
    kinds: dict[str, set[Kind]] = {}
    for block in blocks:
        for one in _of(block):
            if isinstance(one, Tick):
                kinds.setdefault(one.instrument, set()).add(one.kind)
    speaks, notes = {}, []
    for name, held in kinds.items():
        if name not in known:
            continue
        wanted = Kind.QUOTE if known[name].basis == "mid" else Kind.TRADE
        for kind in Kind:
            speaks[name, int(kind)] = kind == wanted or wanted not in held
        if wanted not in held:
            there, absent = ("trades", "quotes") if wanted == Kind.QUOTE else ("quotes", "trades")
            notes.append(f"{known[name].name} is priced by {absent}; the {there} in this file stand in for them")
    return speaks, notes


def _members(survey: Any) -> list[str]:
    if len(survey.members) < 2:
        return []
    return [f"{survey.name} is read, the largest of {len(survey.members)} members; --member names another"]


def _reading(blocks: Iterable[Iterable[object]], only: str) -> str:
    """What tells two readings of one content apart: the instrument and the times."""
    times = array("q", (_time(one) for block in blocks for one in _of(block)))
    return hashlib.sha256(only.encode() + b"\0" + times.tobytes()).hexdigest()[:6]
