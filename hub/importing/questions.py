"""What is asked before a file is stored, held against the data folder: what its prices are, and what is in it already.

Each question is a sentence with the facts; none means that nothing speaks against the file. Depends on hub.history and
hub.ledger.
"""

from collections.abc import Sequence
from types import ModuleType

import sqlalchemy as sa

from hub.config import Config
from hub.history import History
from hub.history.ladder import length_us
from hub.importing import doubts
from hub.importing.doubts import HOUR_US, Known, Piece
from hub.importing.plan import PREFIX, Asked, Plan, told_by_name, zones
from hub.instruments import Catalogue
from hub.ledger import open_ledger
from hub.ledger import tables as t
from hub.model import Instrument, Nature
from hub.plugin import BadRequest
from hub.sessions import SESSIONS

NEAR_US = 24 * HOUR_US
DAY_US = 24 * HOUR_US
AROUND_US = 45 * DAY_US
PLACES = 3
"""So many places of a file are held against history."""


def question(found: Sequence[str]) -> None:
    if found:
        raise BadRequest("\n".join((*found, "nothing was stored; --yes stores it all the same")))


async def other_nature(config: Config) -> list[str]:
    """A folder of a simulated market or of a recording is no place for prices of the past: commands would mix them."""
    if not config.ledger.url and not (config.folder / "ledger.db").exists():
        return []
    async with open_ledger(config) as ledger:
        query = sa.select(t.facts.c.value).where(t.facts.c.name == "nature")
        nature = await ledger.read(lambda connection: connection.execute(query).scalar())
    if nature in (None, Nature.LIVE.value):
        return []
    return [f"the data folder {config.folder} holds {nature} prices, not those of a market: choose another with --data"]


def read_before(marks: dict[str, dict[str, int]], plan: Plan) -> list[str]:
    """The same content under another instrument or with other times is in history for good."""
    before = [name for name in marks if name.startswith(PREFIX) and f"@{plan.content}-" in name]
    if not before:
        return []
    lanes = ", ".join(sorted({lane.split("/")[0] for name in before for lane in marks[name] if lane}))
    return [f"this file was taken in before as {before[0]} ({lanes}), with another instrument or other times"]


async def of_prices(
    plan: Plan, asked: Asked, history: History, catalogue: Catalogue, recordings: ModuleType
) -> list[str]:
    found: list[str] = []
    named = told_by_name(asked.file, catalogue) if asked.instrument else []
    for name, instrument in plan.instruments.items():
        pieces = [piece for piece in plan.pieces[name] if piece.walls]
        named_so = doubts.name_doubt(asked.file.name, instrument, named)
        wrong = [named_so, await _label(history, catalogue, instrument, pieces)]
        if not any(wrong) and not plan.days:
            wrong += [await _shifted(plan, history, instrument, pieces) or _unfit(plan, instrument, recordings)]
        found += filter(None, wrong)
    return found


async def _label(history: History, catalogue: Catalogue, instrument: Instrument, pieces: Sequence[Piece]) -> str:
    """The price of the file that lies nearest to what is stored, held against it."""
    others = await _others(history, catalogue, instrument.id, pieces)
    own = await _nearest(history, instrument, pieces)
    if own is not None:
        (at, price), known = own
        return doubts.label_doubt(instrument, at, price, known, others)
    if not others:
        return ""
    at, price = _closest(pieces, others[0].time_us)
    return doubts.label_doubt(instrument, at, price, None, others)


async def _others(history: History, catalogue: Catalogue, name: str, pieces: Sequence[Piece]) -> list[Known]:
    """Of other instruments what is stored within a day of the file."""
    found = []
    stored = {lane.split("/")[0] for lanes in (await history.marks()).values() for lane in lanes if lane}
    for one in sorted(stored | set(await history.last_ticks())):
        other = catalogue.get(one) if one != name else None
        near = await _nearest(history, other, pieces) if other else None
        if near and abs(near[0][0] - near[1].time_us) <= NEAR_US:
            found.append(near[1])
    return found


async def _nearest(
    history: History, instrument: Instrument, pieces: Sequence[Piece]
) -> tuple[tuple[int, float], Known] | None:
    """The price of the file and the stored daily candle that lie nearest to each other."""
    reach = (await history.reach(instrument.id)).get("1d")
    if reach is None or not pieces:
        return None
    middle = pieces[len(pieces) // 2]
    at = min(max(middle.walls[len(middle.walls) // 2], reach[0]), reach[1] + DAY_US)
    at, price = _closest(pieces, at)
    around = min(max(at, reach[0]), reach[1])
    candles = await history.candles(instrument.id, "1d", around - AROUND_US, around + AROUND_US)
    if not candles:
        return None
    candle = min(candles, key=lambda one: abs(one.start + DAY_US // 2 - at))
    inside = min(max(at, candle.start), candle.start + DAY_US - 1)
    return (at, price), Known(instrument, inside, candle.close)


def _closest(pieces: Sequence[Piece], time_us: int) -> tuple[int, float]:
    pairs = (pair for piece in pieces for pair in zip(piece.walls, piece.prices, strict=True))
    return min(pairs, key=lambda pair: abs(pair[0] - time_us))


async def _shifted(plan: Plan, history: History, instrument: Instrument, pieces: Sequence[Piece]) -> str:
    """Where history has these very minutes: whether its prices agree at these times, or some hours away."""
    utc = doubts.to_utc(plan.zone) if plan.zone else lambda wall: wall
    minute = length_us("1m")
    minutes: dict[int, float] = {}
    stored: dict[int, float] = {}
    for piece in pieces[:: max(len(pieces) // PLACES, 1)][: PLACES + 1]:
        first = utc(piece.walls[0])
        here = {utc(wall) // minute * minute: price for wall, price in zip(piece.walls, piece.prices, strict=True)
                if wall - piece.walls[0] < NEAR_US}  # fmt: skip
        minutes |= here
        for candle in await history.candles(instrument.id, "1m", first - 15 * HOUR_US, max(here) + 15 * HOUR_US):
            stored[candle.start] = candle.close if not plan.rung else candle.open
    return doubts.shift_doubt(minutes, stored, instrument.name, lambda hours: _said(plan, hours, pieces))


def _said(plan: Plan, hours: int, pieces: Sequence[Piece]) -> str:
    if plan.zone is None:
        return f"its clock may be {abs(hours)} hours {'behind' if hours > 0 else 'ahead'}"
    wall = pieces[0].walls[0]
    offset = (wall - doubts.to_utc(plan.zone)(wall)) / HOUR_US - hours
    return f"try --time-zone UTC{offset:+g}"


def _unfit(plan: Plan, instrument: Instrument, recordings: ModuleType) -> str:
    session = SESSIONS[instrument.session]
    if not session.windows or plan.own:
        return ""
    pieces, silent = plan.pieces[instrument.id], plan.silent[instrument.id]
    utc = doubts.to_utc(plan.zone) if plan.zone else lambda wall: wall
    now = doubts.fit(pieces, silent, doubts.Clock(session), utc)
    if now.misfit <= doubts.LESS:
        return ""
    name, best = doubts.best_zone(pieces, silent, session, zones(recordings))
    return doubts.zone_doubt(
        instrument, now, best, name, can_change=plan.zone is not None, what="bars" if plan.rung else "ticks"
    )
