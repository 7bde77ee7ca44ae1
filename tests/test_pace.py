"""A bot's pace: no window ever holds more than its budget, alerts go first, a platform's retry_after is obeyed."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.pace import EVERYTHING, Budget, Pace, Rank, Turns
from hub.plugin import TryLater

OVERALL = (Budget(30, 1.0),)
GROUP = (Budget(1, 1.0), Budget(20, 60.0))


def of_chat(chat: str) -> tuple[Budget, ...]:
    return GROUP if chat.startswith("-") else (Budget(1, 1.0),)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def most_in_a_window(times: list[float], per_s: float) -> int:
    begun = per_s - 1e-9  # 1.3 + 1 - 1.3 is a little less than 1
    return max((sum(1 for other in times if time - begun < other <= time) for time in times), default=0)


@given(
    st.lists(st.tuples(st.sampled_from(["1", "2", "-3"]), st.sampled_from(list(Rank)), st.floats(0, 20)), max_size=200)
)
def test_no_window_ever_holds_more_than_its_budget(asked: list[tuple[str, Rank, float]]) -> None:
    """Whatever is asked when: overall, a second of a chat, a minute of a group."""
    pace, now, sent = Pace(OVERALL, of_chat), 0.0, []
    for chat, rank, pause_s in asked:
        now += pause_s
        if pace.wait_s(chat, rank, now) <= 0:
            pace.take(chat, now)
            sent.append((chat, now))
    for chat in {chat for chat, _ in sent}:
        times = [time for each, time in sent if each == chat]
        assert most_in_a_window(times, 1.0) <= 1
        assert not chat.startswith("-") or most_in_a_window(times, 60.0) <= 20
    assert most_in_a_window([time for _, time in sent], 1.0) <= 30


@given(st.sampled_from(list(Rank)), st.integers(1, 40))
def test_who_waits_as_long_as_was_said_may_go(rank: Rank, count: int) -> None:
    """The time that is named is enough, and it is not longer than the window."""
    pace, now = Pace(OVERALL, of_chat), 0.0
    for _ in range(count):
        wait_s = pace.wait_s("-3", rank, now)
        assert wait_s <= 60.0
        now += max(wait_s, 0.0)
        assert pace.wait_s("-3", rank, now) <= 1e-9
        pace.take("-3", now)


def test_lower_ranks_leave_room_for_alerts() -> None:
    """A group that a board and replies have talked full still has a place for an alert."""
    pace, now = Pace(OVERALL, of_chat), 0.0
    counts = {}
    for rank in (Rank.BOARD, Rank.REPLY, Rank.ALERT):
        counts[rank] = 0
        while pace.wait_s("-3", rank, now) <= 0:
            pace.take("-3", now)
            counts[rank] += 1
            now += 1.0
    assert counts == {Rank.BOARD: 10, Rank.REPLY: 6, Rank.ALERT: 4}


def test_a_held_chat_waits_and_the_others_go_on() -> None:
    """Until the platform's retry_after is over; a hold of everything holds all."""
    pace = Pace(OVERALL, of_chat)
    pace.hold("1", 7.0)
    assert (pace.wait_s("1", Rank.ALERT, 0.0), pace.wait_s("2", Rank.ALERT, 0.0)) == (7.0, 0.0)
    pace.hold("1", 3.0)
    assert pace.wait_s("1", Rank.ALERT, 0.0) == 7.0
    pace.hold(EVERYTHING, 9.0)
    assert pace.wait_s("2", Rank.ALERT, 0.0) == 9.0


async def test_alerts_go_before_replies_and_replies_before_boards() -> None:
    """By rank first, then in the order in which they came; a chat that waits holds no other."""
    clock, order = Clock(), []
    turns = Turns(Pace((Budget(1, 1.0),), of_chat), clock)
    turns.pace.take("9", clock.now_s)

    async def go(name: str, chat: str, rank: Rank) -> None:
        await turns.turn(chat, rank, 60.0)
        order.append(name)

    tasks = [
        asyncio.create_task(go("board", "1", Rank.BOARD)),
        asyncio.create_task(go("reply", "2", Rank.REPLY)),
        asyncio.create_task(go("alert", "3", Rank.ALERT)),
        asyncio.create_task(go("second alert", "3", Rank.ALERT)),
    ]
    await asyncio.sleep(0)
    for _ in tasks:
        clock.now_s += 1.0
        turns.admit()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert order == ["alert", "second alert", "reply", "board"]
    assert len(turns) == 0


async def test_who_would_wait_too_long_is_told_how_long() -> None:
    """TryLater with the missing time, at once, and nothing is counted for it."""
    clock = Clock()
    turns = Turns(Pace(OVERALL, of_chat), clock)
    turns.pace.hold("1", clock.now_s + 30)
    with pytest.raises(TryLater) as caught:
        await turns.turn("1", Rank.ALERT, 5.0)
    assert caught.value.retry_after_s == 30.0
    await turns.turn("2", Rank.ALERT, 5.0)


async def test_a_cancelled_one_takes_no_place() -> None:
    """Its turn goes to the next."""
    clock = Clock()
    turns = Turns(Pace((Budget(1, 1.0),), of_chat), clock)
    turns.pace.take("9", clock.now_s)
    first = asyncio.create_task(turns.turn("1", Rank.ALERT, 60.0))
    second = asyncio.create_task(turns.turn("2", Rank.ALERT, 60.0))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    clock.now_s += 1.0
    turns.admit()
    await asyncio.wait_for(second, 1.0)
    assert first.cancelled() or first.done()


def test_idle_chats_are_forgotten() -> None:
    """Memory does not grow with every chat that was ever written to."""
    pace = Pace((), of_chat)
    for number in range(5_000):
        pace.take(str(number), float(number))
    assert len(pace._chats) < 4_200
