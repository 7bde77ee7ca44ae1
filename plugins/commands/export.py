"""`export`: everything that the hub knows of the person, as a zip of JSON and CSV.

Addresses of destinations are secrets and stay out: their labels say which they are.
"""

import asyncio
import csv
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hub import wording
from hub.model import File, Reply, Request, User
from hub.plugin import BadRequest, Context

USAGE = "export"
SUMMARY = "Everything that this hub knows of you, as a file."
PRIVATE = True
EXAMPLES = ("export",)

MOST_BYTES = 4_000_000
AS_TABLES = ("alerts", "triggers", "lots")
TIMES = re.compile(r"(.*(_at|_until|_since|_time)|at)")
README = """What the hub knows of {name}, read out {when} UTC.

Each file is one table of the hub's ledger, as JSON; alerts, triggers and lots are there as CSV too. Times are UTC.
Addresses of destinations are secrets and are not in here: their labels say which they are.
{left_out}"""

Rows = Sequence[Mapping[str, Any]]


async def run(context: Context, request: Request) -> Reply:
    if request.arguments:
        raise BadRequest("export takes nothing behind it: write export")
    rows, counts = await context.personal.belongings(request)
    now = context.now()
    file, left_out = await asyncio.to_thread(packed, rows, counts, request.user, now)
    lines = [f"{name.replace('_', ' ')} {counts[name]:,}" for name in rows if counts[name]]
    return Reply(
        title=f"All that this hub knows of {request.user.name}",
        lines=(", ".join(lines) + ".", *left_out, "Addresses of destinations are not in it: they are secrets."),
        file=file,
        private=True,
        facts={"counts": dict(counts), "name": file.name, "bytes": len(file.content)},
    )


def packed(tables: Mapping[str, Rows], counts: Mapping[str, int], user: User, now: int) -> tuple[File, list[str]]:
    """The file, and what is not in it, in words. Where it would be too large the oldest half of its longest table goes,
    until it fits."""
    kept = {name: list(rows) for name, rows in tables.items()}
    while True:
        left_out = [
            f"Of {counts[name]:,} {name.replace('_', ' ')} the newest {len(rows):,} are in it: a file holds no more."
            for name, rows in kept.items()
            if len(rows) < counts[name]
        ]
        content = zipped(kept, user, now, left_out)
        if len(content) <= MOST_BYTES:
            name = f"tocsin-export-{wording.moment(now):%Y-%m-%d}.zip"
            return File(name=name, media_type="application/zip", content=content), left_out
        longest = max(kept, key=lambda name: len(kept[name]))
        kept[longest] = kept[longest][(len(kept[longest]) + 1) // 2 :]


def zipped(tables: Mapping[str, Rows], user: User, now: int, left_out: Sequence[str]) -> bytes:
    packed_into = io.BytesIO()
    when = f"{wording.moment(now):%Y-%m-%d %H:%M}"
    with zipfile.ZipFile(packed_into, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.txt", README.format(name=user.name, when=when, left_out="\n".join(left_out)))
        for name, rows in tables.items():
            told = [readable(row) for row in rows]
            file.writestr(f"{name}.json", msgspec.json.format(msgspec.json.encode(told), indent=1))
            if name in AS_TABLES:
                file.writestr(f"{name}.csv", as_csv(told))
    return packed_into.getvalue()


def readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times as people and programs read them."""
    return {
        name: wording.iso(value) if isinstance(value, int) and TIMES.fullmatch(name) else value
        for name, value in row.items()
    }


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """With a head. Text that a spreadsheet would run as a formula has an apostrophe in front."""
    if not rows:
        return ""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(rows[0])
    table.writerows([harmless(value) for value in row.values()] for row in rows)
    return written.getvalue()


def harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
