"""The worker that draws: once for many, killed, hung, broken, orphaned; and the loop that never waits for it."""

import asyncio
import os
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

import charts
from charts import Chart, Series, open_renderer
from charts.renderer import WAITING
from hub.cache.memory import MemoryCache
from hub.model import SECOND_US, Candle
from hub.plugin import BadRequest

PNG = b"\x89PNG\r\n\x1a\n"
PATIENCE_S = 60.0


def chart(price: float = 1300.0, count: int = 60) -> Chart:
    candles = tuple(
        Candle(
            start=place * 900 * SECOND_US, open=price, high=price + 2, low=price - 2, close=price + place % 3, count=1,
            sum=0.0, sum_squares=0.0,
        )
        for place in range(count)
    )  # fmt: skip
    return Chart(series=(Series(name="Gold", candles=candles),), start=0, end=count * 900 * SECOND_US)


def program(folder: Path, text: str) -> tuple[str, ...]:
    """A worker of the test's own making, which speaks the same way."""
    path = folder / "worker.py"
    path.write_text(
        textwrap.dedent("""
        import os, sys, time
        sys.path.insert(0, sys.argv[1])
        from charts.wire import DRAWN, FAILED, READY, read, write
        out = sys.stdout.buffer
        write(out, READY)
        """)
        + textwrap.dedent(text)
    )
    return (sys.executable, str(path), str(Path(charts.__file__).parent.parent))


async def test_a_chart_is_drawn_once_however_many_ask() -> None:
    """Ten at the same time share one drawing, and whoever comes later has it from the cache."""
    cache = MemoryCache()
    async with open_renderer(cache, PATIENCE_S) as renderer:
        assert renderer.worker.pid is None  # nothing is started before the first chart
        drawn = await asyncio.gather(*(renderer.draw(chart()) for _ in range(10)))
        assert len(set(drawn)) == 1 and drawn[0].startswith(PNG)
        assert await renderer.draw(chart()) == drawn[0]
        assert renderer.drawn == 1
        assert await renderer.draw(chart(1400.0)) != drawn[0]
        assert renderer.drawn == 2
        pid = renderer.worker.pid
    assert pid is not None and not alive(pid)
    async with open_renderer(cache, PATIENCE_S) as another:
        assert await another.draw(chart()) == drawn[0]
        assert another.worker.pid is None  # of the cache, which hubs may share


async def until(true: Callable[[], bool]) -> None:
    """Asked again and again, for five seconds at most."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_the_loop_does_not_wait_for_a_drawing() -> None:
    """While charts of thousands of candles are drawn, the loop comes round as ever."""
    worst = 0.0
    async with open_renderer(MemoryCache(), PATIENCE_S) as renderer:
        await renderer.draw(chart())
        work = asyncio.gather(*(renderer.draw(chart(1300.0 + place, 2000)) for place in range(5)))
        while not work.done():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - before)
        assert len(await work) == 5
    assert worst < 0.1  # each of them takes longer than that to draw


async def test_a_worker_that_was_killed_is_started_again() -> None:
    """Between two charts nobody notices."""
    async with open_renderer(MemoryCache(), PATIENCE_S) as renderer:
        await renderer.draw(chart(1.0))
        first = renderer.worker.pid
        assert first is not None
        os.kill(first, 9)
        assert (await renderer.draw(chart(2.0))).startswith(PNG)
        assert renderer.worker.pid != first


async def test_a_chart_that_kills_its_worker_twice_is_refused(tmp_path: Path) -> None:
    """With a sentence; the next chart has a worker of its own."""
    command = program(
        tmp_path,
        """
        asked = read(sys.stdin.buffer)
        if b"killer" in asked:
            os._exit(9)
        write(out, DRAWN + b"picture")
        read(sys.stdin.buffer)
        """,
    )
    async with open_renderer(MemoryCache(), PATIENCE_S, command=command) as renderer:
        with pytest.raises(BadRequest, match="died twice"):
            await renderer.draw(msgspec.structs.replace(chart(), label="killer"))
        assert await renderer.draw(chart()) == b"picture"


async def test_a_drawing_that_takes_too_long_is_stopped_and_the_next_is_not(tmp_path: Path) -> None:
    """All who wait for it hear the same; the worker that hung is gone."""
    command = program(
        tmp_path,
        """
        while (asked := read(sys.stdin.buffer)) is not None:
            while b"endless" in asked:
                time.sleep(1)
            write(out, DRAWN + b"picture")
        """,
    )
    endless = msgspec.structs.replace(chart(), label="endless")
    async with open_renderer(MemoryCache(), 0.3, command=command) as renderer:
        waiting = [asyncio.ensure_future(renderer.draw(endless)) for _ in range(3)]
        await until(lambda: renderer.worker.pid is not None)
        pid = renderer.worker.pid
        assert pid is not None
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(result) for result in results} == {
            "drawing that chart took longer than 0.3 s and was stopped: try a shorter span"
        }
        assert not alive(pid)
        assert await renderer.draw(chart()) == b"picture"


async def test_a_chart_that_cannot_be_drawn_is_refused_and_the_worker_lives_on() -> None:
    """One mistake is no reason to load everything anew."""
    async with open_renderer(MemoryCache(), PATIENCE_S) as renderer:
        await renderer.draw(chart())
        pid = renderer.worker.pid
        with pytest.raises(BadRequest, match="cannot be drawn"):
            await renderer.draw(msgspec.structs.replace(chart(), series=()))
        assert renderer.worker.pid == pid
        assert renderer.drawn == 1


async def test_who_gives_up_takes_the_picture_from_nobody_else() -> None:
    """One of two who ask is cancelled; the other has it."""
    async with open_renderer(MemoryCache(), PATIENCE_S) as renderer:
        first, second = (asyncio.ensure_future(renderer.draw(chart())) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        assert (await second).startswith(PNG)


async def test_more_charts_than_can_wait_are_refused(tmp_path: Path) -> None:
    """With a word to ask again; those that wait are drawn or end with the hub."""
    command = program(tmp_path, "read(sys.stdin.buffer)\nread(sys.stdin.buffer)\n")
    async with open_renderer(MemoryCache(), PATIENCE_S, command=command) as renderer:
        waiting = [asyncio.ensure_future(renderer.draw(chart(1.0 + place))) for place in range(WAITING)]
        await until(lambda: renderer.under_way == WAITING)
        with pytest.raises(BadRequest, match="ask again in a moment"):
            await renderer.draw(chart(0.5))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


@pytest.mark.skipif(sys.platform != "linux", reason="what the kernel does for orphans is Linux's own")
@pytest.mark.parametrize("busy", [False, True])
async def test_a_worker_ends_with_its_parent_however_that_ends(tmp_path: Path, busy: bool) -> None:
    """Also one that is in the middle of a drawing when the parent is killed."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        import asyncio, sys
        sys.path.insert(0, {str(Path(charts.__file__).parent.parent)!r})
        from charts import open_renderer
        from hub.cache.memory import MemoryCache
        from tests.test_charts_worker import chart
        async def main():
            async with open_renderer(MemoryCache(), 60.0) as renderer:
                await renderer.draw(chart())
                print(renderer.worker.pid, flush=True)
                if {busy}:
                    await asyncio.gather(*(renderer.draw(chart(2.0 + place, 20_000)) for place in range(20)))
                await asyncio.sleep(60)
        asyncio.run(main())
        """)
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(pid))
