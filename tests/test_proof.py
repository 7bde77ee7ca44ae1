"""`tocsin replay` on whole recordings: every tick once, every crossing once, every notification once."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recording import (
    Sink,
    Wanted,
    expected_at,
    hold_the_history,
    hold_the_ladder,
    hold_the_outbox,
    hold_the_triggers,
    lines_of,
    repeated,
    replaying,
    rings_of,
    synthetic,
    told_by_hook,
    told_by_push,
)

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
PAYROLLS = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"
SYNTHETIC_ALERTS = (
    Wanted("gold > 1301.5", "above", 1301.5, 1301.5 * 0.05 / 100, True),
    Wanted("gold < 1298.25", "below", 1298.25, 1298.25 * 0.05 / 100, True),
    Wanted("gold crosses 1300", "crosses", 1300.0, 1300.0 * 0.05 / 100, True),
    Wanted("gold > 2000", "above", 2000.0, 2000.0 * 0.05 / 100, True),
    Wanted("gold > 1301 every time", "above", 1301.0, 1301 * 0.05 / 100, False),
    Wanted("gold < 1299 every time band 0", "below", 1299.0, 0.0, False),
    Wanted("gold crosses 1300 every time", "crosses", 1300.0, 1300 * 0.05 / 100, False),
    Wanted("gold crosses 1300.25 every time band 0", "crosses", 1300.25, 0.0, False),
    Wanted("gold crosses 1299.5 every time band 0.1%", "crosses", 1299.5, 1299.5 * 0.1 / 100, False),
)
PAYROLLS_ALERTS = (
    Wanted("gold > 1290", "above", 1290.0, 1290.0 * 0.05 / 100, True),
    Wanted("gold < 1280", "below", 1280.0, 1280.0 * 0.05 / 100, True),
    Wanted("gold crosses 1295", "crosses", 1295.0, 1295.0 * 0.05 / 100, True),
    Wanted("gold > 1310", "above", 1310.0, 1310.0 * 0.05 / 100, True),
    Wanted("gold > 1285 every time", "above", 1285.0, 1285 * 0.05 / 100, False),
    Wanted("gold < 1280 every time band 0.1%", "below", 1280.0, 1280 * 0.1 / 100, False),
    Wanted("gold < 1284 every time band 0", "below", 1284.0, 0.0, False),
    Wanted("gold crosses 1300 every time", "crosses", 1300.0, 1300 * 0.05 / 100, False),
    Wanted("gold crosses 1300 every time band 0", "crosses", 1300.0, 0.0, False),
    Wanted("gold crosses 1283.5 every time band 0.1%", "crosses", 1283.5, 1283.5 * 0.1 / 100, False),
)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.close()


def prove(recording: Path, alerts: tuple[Wanted, ...], folder: Path, sink: Sink, *, sums_to: float = 0.0) -> None:
    lines, refused = lines_of(recording)
    assert len({ring.alert for ring in rings_of(lines, alerts)}) == len(alerts) - 1, "levels that say nothing"
    with replaying(recording, folder, alerts, sink.targets) as run:
        summary = run.finish()

    assert summary["ticks_read"] == len(lines) + refused.total()
    assert summary["ticks_recorded"] == len(lines)
    assert summary["refused"] == dict(refused)
    assert not any(each["late"] for each in summary["triggers"])
    hold_the_history(folder, lines, refused)
    hold_the_ladder(folder, lines, sums_to=sums_to)
    hold_the_triggers(summary, lines, alerts)
    hold_the_outbox(folder, summary, destinations=2)
    assert summary["messages_sent"] == len(sink.posts)
    pushed = [told_by_push(body) for body in sink.of("/push")]
    hooked = [told_by_hook(body) for body in sink.of("/hook")]
    assert repeated(pushed, expected_at(folder, "push")) == repeated(hooked, expected_at(folder, "webhook")) == 0
    assert len(pushed) + len(hooked) == len(sink.posts)
    assert sum(map(len, pushed)) == sum(map(len, hooked)) == len(summary["triggers"])
    told = Counter(
        (n["trigger"]["alert_id"], n["trigger"]["generation"]) for b in sink.of("/hook") for n in b["notifications"]
    )
    assert told == Counter((each["alert_id"], each["generation"]) for each in summary["triggers"])


def test_a_recording_with_every_oddity_is_stored_once_and_rings_what_a_short_loop_finds(
    tmp_path: Path, sink: Sink
) -> None:
    """Touches, repeats, bursts in one instant, late lines, bad prints, crossed and broken lines, at full speed."""
    recording = synthetic(tmp_path / "walk.csv", 12_000, seed=7, seconds=20_000)
    lines, refused = lines_of(recording)
    assert len(refused) == 3 and min(refused.values()) > 10
    assert sum(line.late for line in lines) > 10 and sum(not line.moves and not line.late for line in lines) > 10
    prove(recording, SYNTHETIC_ALERTS, tmp_path / "hub", sink)


@pytest.mark.skipif(not PAYROLLS.exists(), reason="needs the recordings that TOCSIN_DATA names")
def test_the_payrolls_day_is_stored_once_and_rings_what_a_short_loop_finds(tmp_path: Path, sink: Sink) -> None:
    """265,015 real quotes with a 5.57 dollar jump between two of them and 325 in the busiest second."""
    prove(PAYROLLS, PAYROLLS_ALERTS, tmp_path / "hub", sink, sums_to=1e-6)
