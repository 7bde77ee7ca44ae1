"""`tocsin replay` as a back-test on small tables: what is asked about is what the recording holds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOCSIN = Path(sys.executable).with_name("tocsin")
TRADES = "time,price\n2026-11-20T10:00:00Z,99\n2026-11-20T10:00:01Z,100.5\n2026-11-20T10:00:02Z,99.2\n"
QUOTES = "time,bid,ask\n2026-11-20T10:00:00Z,98,100\n2026-11-20T10:00:01Z,100,101\n2026-11-20T10:00:02Z,99.1,99.3\n"


def replayed(file: Path, instrument: str, *more: str) -> dict[str, Any]:
    words = [str(TOCSIN), "replay", str(file), "--format", "csv", "--instrument", instrument, "--json", *more]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.parametrize(("table", "instrument"), [(TRADES, "XAU-USD"), (QUOTES, "BTC-USD")], ids=["trades", "quotes"])
def test_an_alert_rings_on_the_prices_that_a_table_holds(table: str, instrument: str, tmp_path: Path) -> None:
    """Also where the instrument's live price is of the other kind: gold by trades, bitcoin by quotes."""
    file = tmp_path / "table.csv"
    file.write_text(table)
    summary = replayed(file, instrument, "--alert", f"{instrument} > 100")
    assert [(each["tick_before"]["price"], each["tick"]["price"]) for each in summary["triggers"]] == [(99.0, 100.5)]
    assert (summary["ticks_recorded"], summary["notifications_sent"]) == (3, 1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--instrument", "glod"), '"glod" is not an instrument known here; did you mean gold?'),
        (("--instrument", "A B"), '"A B" is not an instrument'),
        (("--instrument", "gold", "--alert", "gold >"), "a number is missing here"),
        (("--instrument", "gold", "--speed", "banana"), "banana"),
        (("--instrument", "gold", "--speed", "-1"), "-1"),
        (("--instrument", "gold", "--date", "yesterday"), "yesterday"),
    ],
    ids=["instrument", "no id", "alert", "speed", "negative", "date"],
)
def test_what_is_written_wrong_is_a_sentence(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    """With an exit code that is not 0, no answer on stdout and no trace."""
    file = tmp_path / "table.csv"
    file.write_text(TRADES)
    command = [str(TOCSIN), "replay", str(file), "--format", "csv", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_instrument_may_be_named_as_people_do(tmp_path: Path) -> None:
    """`--instrument gold` is XAU-USD, and so are its alerts."""
    file = tmp_path / "table.csv"
    file.write_text(TRADES)
    summary = replayed(file, "gold", "--alert", "gold > 100")
    assert summary["ticks_recorded"] == 3
    assert [each["alert"] for each in summary["triggers"]] == ["XAU-USD > 100"]
