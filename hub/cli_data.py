"""The `tocsin` commands for stored data: import, export, backfill, migrate, backup, restore.

What they run is imported when it runs. Depends on cyclopts and hub.config.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

ConfigFile = Annotated[Path | None, Parameter(name="--config", help="The configuration; ./config.toml by default.")]
DataFolder = Annotated[Path | None, Parameter(name="--data", help="The data folder; [hub] data by default.")]


def add_to(app: App) -> None:
    """Registers the commands."""
    app.command(import_, name="import")
    app.command(export)
    app.command(backfill)
    app.command(migrate)
    app.command(backup)
    app.command(restore)


def import_(
    file: Annotated[Path, Parameter(help="The file to take in; gz and zip are read as they are.")],
    *,
    instrument: Annotated[str, Parameter(help="Whose prices it holds, such as XAU-USD, where it does not say.")] = "",
    format: Annotated[str, Parameter(help="How it is written; found out by default.")] = "auto",
    member: Annotated[str, Parameter(help="Part of the name of a zip's member; the largest by default.")] = "",
    time_zone: Annotated[str, Parameter(help="Of its times, where it does not say: America/New_York, UTC+2.")] = "",
    date: Annotated[str, Parameter(help="The day of a file that holds times only, as 2026-11-20.")] = "",
    broken: Annotated[Literal["skip", "stop"], Parameter(help="What a broken line does.")] = "stop",
    yes: Annotated[bool, Parameter(negative="", help="Store also what looks wrong.")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Take prices of the past from a file into history. No alert rings."""
    from hub import importing

    asked = importing.Asked(
        file=file,
        instrument=instrument,
        format=format,
        member=member,
        time_zone=time_zone,
        date=date,
        skip_broken=broken == "skip",
        sure=yes,
    )
    return asyncio.run(importing.main(asked, config, data))


def export(
    instrument: Annotated[str, Parameter(help="Whose prices, such as XAU-USD or gold.")],
    span: Annotated[str, Parameter(help="7d, 2026-11-20, 2026-11-01..2026-11-20, or all.")] = "all",
    *,
    what: Annotated[str, Parameter(help="ticks, or the candles of a rung: 1m, 5m, 15m, 1h, 1d.")] = "ticks",
    format: Annotated[Literal["csv", "jsonl"], Parameter(help="CSV with a header, or JSON lines.")] = "csv",
    output: Annotated[Path | None, Parameter(help="The file to write, .gz packs it; stdout by default.")] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Write stored prices as CSV or JSON lines, which import reads again."""
    from hub import exporting

    asked = exporting.Asked(instrument=instrument, span=span, what=what, format=format, output=output)
    return asyncio.run(exporting.main(asked, config, data))


def backfill(
    span: Annotated[str, Parameter(help="How far back: 7d, 2026-11-01..2026-11-20.")] = "7d",
    *,
    feed: Annotated[str, Parameter(help="Only this feed; all that can by default.")] = "",
    instrument: Annotated[str, Parameter(help="Only this instrument.")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Fetch what was missed from the sources that keep history. No alert rings."""
    from hub import importing

    return asyncio.run(importing.backfill(span, feed, instrument, config, data))


def migrate(
    *,
    to: Annotated[Path, Parameter(help="The configuration whose stores are to be filled.")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Copy history and ledger from SQLite to the PostgreSQL of another configuration."""
    from hub import migrate

    return asyncio.run(migrate.main(to, config, data))


def backup(
    file: Annotated[Path, Parameter(help="The archive to write: tocsin-2026-11-20.tar, say.")],
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Copy history, ledger and settings into one archive with checksums, also while the hub runs."""
    from hub import backup

    return asyncio.run(backup.main(file, config, data))


def restore(
    file: Annotated[Path, Parameter(help="The archive that backup wrote.")],
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Bring an archive back into an empty data folder, every checksum looked at first."""
    from hub import backup

    return asyncio.run(backup.restore(file, config, data))
