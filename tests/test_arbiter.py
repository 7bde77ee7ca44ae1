"""Who speaks, what is held, what is stale."""

import math

from hypothesis import given
from hypothesis import strategies as st

from hub.arbiter import HOLD_US, Desk, Judged
from hub.frame import EventKind
from hub.model import SECOND_US, Instrument, Kind, Verdict

GOLD = Instrument(id="XAU-USD", name="Gold", basis="mid", outlier=0.02, stale_after_s=60)
ALWAYS = 1 << 62


def desk(*sources: str, hours: object = None) -> Desk:
    return Desk(
        GOLD,
        sources or ("a",),
        dict.fromkeys(sources, 10 * SECOND_US),
        hours if callable(hours) else lambda _: (True, ALWAYS),
    )


def quote(
    desk: Desk, price: float, at_s: float, source: str = "a", stamped_s: float | None = None, kind: Kind = Kind.QUOTE
) -> Judged:
    stamp = None if stamped_s is None else round(stamped_s * SECOND_US)
    return desk.judge((source, price), source, kind, price, stamp, round(at_s * SECOND_US))


def kinds(judged: Judged) -> list[EventKind]:
    return [event.kind for event in judged.events]


def test_a_single_source_speaks_at_once_and_its_other_kind_stands_aside() -> None:
    """Only ticks of the price basis move the price."""
    one = desk("a")
    assert quote(one, 100, 1).verdict is Verdict.PRICE
    assert quote(one, 101, 2, kind=Kind.TRADE).verdict is Verdict.ASIDE
    assert one.price == 100


def test_the_second_source_takes_over_on_silence_and_gives_way_when_the_first_is_back() -> None:
    """Each change is an event that names both."""
    both = desk("a", "b")
    quote(both, 100, 1, "a")
    assert quote(both, 100.1, 5, "b").verdict is Verdict.STANDBY
    taken = quote(both, 100.2, 12, "b")
    assert taken.verdict is Verdict.PRICE
    assert [(e.kind, e.source, e.text) for e in taken.events] == [(EventKind.TAKEOVER, "b", "a")]
    back = quote(both, 100.3, 13, "a")
    assert (back.verdict, kinds(back)) == (Verdict.PRICE, [EventKind.TAKEOVER])


def test_one_bad_print_moves_nothing() -> None:
    """It is held, and let go as an outlier by the next sound tick, before it in the stream."""
    one = desk("a")
    for second in range(5):
        quote(one, 1300 + second, second)
    assert quote(one, 2600, 5).verdict is None
    after = quote(one, 1304, 6)
    assert after.released == (("a", 2600), Verdict.OUTLIER)
    assert after.verdict is Verdict.PRICE
    assert one.price == 1304


def test_a_second_tick_confirms_a_real_jump_and_both_move_the_price_in_order() -> None:
    """A market that gapped is believed at its second word."""
    one = desk("a")
    quote(one, 1300, 1)
    assert quote(one, 1400, 2).verdict is None
    second = quote(one, 1401, 3)
    assert second.released == (("a", 1400), Verdict.CONFIRMED)
    assert second.verdict is Verdict.PRICE
    assert quote(one, 1402, 4).verdict is Verdict.PRICE


def test_another_source_confirms_a_held_tick() -> None:
    """Although it does not speak itself."""
    both = desk("a", "b")
    quote(both, 1300, 1, "a")
    assert quote(both, 1400, 2, "a").verdict is None
    seconded = quote(both, 1399, 3, "b")
    assert seconded.released == (("a", 1400), Verdict.CONFIRMED)
    assert seconded.verdict is Verdict.STANDBY
    assert both.price == 1400


def test_a_held_tick_that_nothing_confirms_is_let_go_in_time() -> None:
    """Nothing is kept for ever, and nothing is dropped unrecorded."""
    one = desk("a")
    quote(one, 1300, 1)
    quote(one, 1400, 2)
    assert one.let_go(3 * SECOND_US) is None
    assert one.let_go(2 * SECOND_US + HOLD_US) == (("a", 1400), Verdict.OUTLIER)
    assert one.let_go(None) is None


def test_late_is_meant_only_against_the_same_source_and_kind() -> None:
    """And a late tick moves no price."""
    both = desk("a", "b")
    quote(both, 100, 1, "a", stamped_s=1)
    assert quote(both, 101, 2, "a", stamped_s=0.5).verdict is Verdict.LATE
    assert both.price == 100
    assert quote(both, 102, 20, "b", stamped_s=0.2).verdict is Verdict.PRICE
    assert quote(both, 103, 21, "b").verdict is Verdict.PRICE


def test_silence_in_open_hours_is_told_once_and_so_is_the_recovery() -> None:
    """Stale carries the time from which it was so."""
    one = desk("a")
    quote(one, 100, 0)
    assert one.advance(60 * SECOND_US) == ()
    (stale,) = one.advance(61 * SECOND_US)
    assert (stale.kind, stale.time) == (EventKind.STALE, 60 * SECOND_US)
    assert one.advance(62 * SECOND_US) == ()
    assert kinds(quote(one, 100, 63)) == [EventKind.FRESH]


def test_a_closed_market_is_not_stale_and_its_ticks_are_no_prices() -> None:
    """Opening and closing are events at their own time."""
    noon = 3600 * SECOND_US

    def hours(at: int) -> tuple[bool, int]:
        return (True, noon) if at < noon else (False, 2 * noon) if at < 2 * noon else (True, ALWAYS)

    one = desk("a", hours=hours)
    quote(one, 100, 3590)
    shut = quote(one, 50, 3601)
    assert (shut.verdict, kinds(shut), shut.events[0].time) == (Verdict.CLOSED, [EventKind.CLOSED], noon)
    assert one.advance(round(1.9 * noon)) == ()
    assert [(e.kind, e.time) for e in one.advance(2 * noon)] == [(EventKind.OPENED, 2 * noon)]
    assert one.price == 100


def test_the_last_known_price_guards_the_first_print_after_a_start() -> None:
    """A seed from history is a range already."""
    one = desk("a")
    one.seed(1300, 0, "a", {})
    assert quote(one, 13, 1).verdict is None


def test_what_history_knows_makes_a_tick_from_before_the_start_late() -> None:
    """The speaker and its newest stamp are carried over."""
    one = desk("a", "b")
    one.seed(1300, 100, "b", {("b", Kind.QUOTE): 50 * SECOND_US})
    assert quote(one, 1301, 1, "b", stamped_s=40).verdict is Verdict.LATE
    assert quote(one, 1301, 1, "b", stamped_s=51).verdict is Verdict.PRICE


@given(st.lists(st.floats(0.5, 2000), min_size=1, max_size=80))
def test_every_tick_gets_one_verdict_and_keeps_its_order(prices: list[float]) -> None:
    """Whatever comes: what goes into the stream is what came in, each once, in order."""
    one, out = desk("a"), []
    for i, price in enumerate(prices):
        judged = one.judge(i, "a", Kind.QUOTE, price, None, i)
        if judged.released is not None:
            out.append(judged.released[0])
        if judged.verdict is not None:
            out.append(i)
    if (last := one.let_go(None)) is not None:
        out.append(last[0])
    assert out == list(range(len(prices)))
    assert one.price is not None
    assert math.isfinite(one.price)
