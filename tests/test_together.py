"""hub.ingest.together: recordings take turns, whatever their readers do."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.ingest.together import Together

Played = list[tuple[int, int]]


async def play(recordings: list[list[int]], sleeps: list[int]) -> Played:
    """(time, recording) as they got their turns. A reader that reads a batch lets the others run so often meanwhile."""
    together, came = Together(len(recordings)), []

    async def read(place: int) -> None:
        for index, at in enumerate(recordings[place]):
            if sleeps:
                for _ in range(sleeps[(index + place) % len(sleeps)]):
                    await asyncio.sleep(0)
            await together.turn(place, at)
            came.append((at, place))
        together.leave(place)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for place in range(len(recordings)):
            group.create_task(read(place))
    return came


@settings(deadline=None)
@given(
    recordings=st.lists(st.lists(st.integers(0, 30), max_size=20).map(sorted), min_size=1, max_size=4),
    sleeps=st.lists(st.integers(0, 3), max_size=5),
)
def test_all_of_them_come_in_the_order_of_their_times(recordings: list[list[int]], sleeps: list[int]) -> None:
    """Equal times in the order of the feeds."""
    wanted = sorted((at, place) for place, times in enumerate(recordings) for at in times)
    assert asyncio.run(play(recordings, sleeps)) == wanted


@settings(deadline=None)
@given(
    recordings=st.lists(st.lists(st.integers(0, 30), max_size=20), min_size=2, max_size=3),
    sleeps=st.lists(st.integers(0, 3), max_size=5),
)
def test_late_lines_stay_where_their_recording_has_them(recordings: list[list[int]], sleeps: list[int]) -> None:
    """A recording's own order is never changed, and nothing is lost or waits for ever."""
    came = asyncio.run(play(recordings, sleeps))
    for place, times in enumerate(recordings):
        assert [at for at, one in came if one == place] == times


async def test_one_that_cannot_go_on_holds_nobody_up() -> None:
    """Whether it was waited for at the start, or in the middle."""
    together, came = Together(3), []

    async def read(place: int, times: list[int]) -> None:
        for at in times:
            await together.turn(place, at)
            came.append(at)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(read(0, [1, 5, 9]))
        stuck = group.create_task(read(1, [2, 6]))
        await asyncio.sleep(0.01)
        assert came == []  # the third has said nothing yet
        together.leave(2)
        await asyncio.sleep(0.01)
        assert came == [1, 2, 5, 6]
        await stuck
        together.leave(1)
    assert came == [1, 2, 5, 6, 9]
    assert all(first < second for first, second in pairwise(came))


async def test_one_that_is_stopped_leaves_the_others_as_they_were() -> None:
    """Its supervisor starts it again, behind what it had."""
    together, came = Together(2), []
    await_first = asyncio.create_task(together.turn(1, 5))
    await asyncio.sleep(0)
    await_first.cancel()
    await asyncio.gather(await_first, return_exceptions=True)

    async def read(place: int, times: list[int]) -> None:
        for at in times:
            await together.turn(place, at)
            came.append(at)
        together.leave(place)

    async with asyncio.timeout(5):
        await asyncio.gather(read(0, [1, 7]), read(1, [5, 8]))
    assert came == [1, 5, 7, 8]
