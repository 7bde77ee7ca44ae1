"""What the proofs share: small recordings, what a short loop finds in one, an HTTP sink, and `tocsin replay` to kill.

The loop reads the file by itself and shares no code with the hub: it is what the hub's stores are held against.
"""

import http.server
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

from hub.outgoing import IN_FULL

TOCSIN = Path(sys.executable).with_name("tocsin")
DAY = "2014-05-02"
MIDNIGHT_US = 1_398_988_800_000_000
RUNGS = (60, 300, 900, 3_600, 86_400)
FAR = 0.05  # a price that is so far from the one before, and alone with it, is a bad print


class Line(NamedTuple):
    """A valid line of the recording. `moves` is false for a late line and for a bad print; `late` says which."""

    number: int
    time_us: int
    bid: float
    ask: float
    price: float
    late: bool
    moves: bool


class Wanted(NamedTuple):
    """An alert as the loop understands it; `band` in dollars, for one that rings once too."""

    text: str
    condition: str
    level: float
    band: float
    once: bool


class Ring(NamedTuple):
    alert: str
    generation: int
    direction: str
    before: tuple[float, int]
    tick: tuple[float, int]


# ------------------------------------------------------------------------------------------- recordings


def synthetic(path: Path, lines: int, *, seed: int, seconds: float, swing: float = 3.0) -> Path:
    """A seeded walk around 1300 in steps of a quarter dollar, so that levels are touched exactly and sums are exact;
    with bursts in one instant, exact repeats, late lines, single bad prints, and lines that are no prices."""
    chance = random.Random(seed)
    at_ms, price = 1_000.0, 1300.0
    written: list[str] = []
    while len(written) < lines:
        if chance.random() > 0.15:
            at_ms += chance.expovariate(lines / (seconds * 1000 * 0.85))
        price += 0.25 * chance.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3)) - 0.25 * round((price - 1300) / (swing * 2))
        written.append(f"{at_ms:.3f},{price - 0.25},{price + 0.25}")
        odd = chance.random()
        if odd < 0.01:
            written.append(written[-1])
        elif odd < 0.015:
            written.append(f"{at_ms:.3f},{price + 1},{price - 1}")
        elif odd < 0.018:
            written.append(f"{at_ms:.3f},0,{price}")
        elif odd < 0.021:
            written.append(f"{at_ms:.3f},{price}")
        elif odd < 0.024 and at_ms > 10_000:
            late = price + chance.choice((-8, 8))
            written.append(f"{at_ms - 5_000:.3f},{late - 0.25},{late + 0.25}")
        elif odd < 0.026:
            print_ = price * chance.choice((0.75, 1.25))
            written.append(f"{at_ms:.3f},{print_ - 0.25},{print_ + 0.25}")
            if chance.random() < 0.5:
                written.append(f"{at_ms:.3f},{price + 1},{price - 1}")
            written.append(f"{at_ms:.3f},{price - 0.25},{price + 0.25}")
    path.write_text("\n".join(written) + "\n")
    return path


def lines_of(path: Path) -> tuple[list[Line], Counter[str]]:
    """The valid lines, and the others by the reason for which they are refused."""
    valid: list[tuple[int, int, float, float]] = []
    refused: Counter[str] = Counter()
    for number, text in enumerate(_text(path).splitlines(), 1):
        cells = text.split(",")
        if len(cells) != 3:
            refused["broken line"] += 1
            continue
        ms, bid, ask = map(float, cells)
        if bid <= 0 or ask <= 0:
            refused["price not a positive number"] += 1
        elif bid > ask:
            refused["bid above ask"] += 1
        else:
            valid.append((number, MIDNIGHT_US + round(ms * 1000), bid, ask))
    return list(_judged(valid)), refused


def _judged(valid: Sequence[tuple[int, int, float, float]]) -> Iterator[Line]:
    newest, last = 0, 0.0
    for (number, at, bid, ask), after in zip(valid, [*valid[1:], None], strict=True):
        price = (bid + ask) / 2
        late = at < newest
        alone = after is None or abs((after[2] + after[3]) / 2 - price) > FAR * price
        bad = not late and bool(last) and abs(price - last) > FAR * last and alone
        newest = max(newest, at)
        if not (late or bad):
            last = price
        yield Line(number, at, bid, ask, price, late, not (late or bad))


def _text(path: Path) -> str:
    if path.suffix != ".zip":
        return path.read_text()
    with ZipFile(path) as archive:
        return archive.read(archive.namelist()[0]).decode()


def rings_of(lines: Sequence[Line], alerts: Sequence[Wanted]) -> list[Ring]:
    """What each alert rings, alert by alert: looked at on every price that moves."""
    return [ring for alert in alerts for ring in _rings(lines, alert)]


def _rings(lines: Sequence[Line], alert: Wanted) -> Iterator[Ring]:
    ways = {"above": ("up",), "below": ("down",), "crosses": ("up", "down")}[alert.condition]
    armed: dict[str, bool] = {}
    before: tuple[float, int] | None = None
    generation = 0
    for line in lines:
        if not line.moves:
            continue
        for way in ways:
            side = line.price - alert.level if way == "up" else alert.level - line.price
            behind = line.price <= alert.level - alert.band if way == "up" else line.price >= alert.level + alert.band
            if before is None:
                armed[way] = side < 0
            elif armed[way] and side >= 0:
                armed[way] = False
                generation += 1
                yield Ring(alert.text, generation, way, before, (line.price, line.time_us))
                if alert.once:
                    return
            elif not armed[way] and side < 0 and behind:
                armed[way] = True
        before = (line.price, line.time_us)


def ladder_of(lines: Sequence[Line], seconds: int) -> dict[int, tuple[float, float, float, float, int, float, float]]:
    """start → open, high, low, close, count, sum and sum of squares about the open. A bad print is in no candle, a
    late line corrects its own and moves the close only of one that has no other."""
    length = seconds * 1_000_000
    prices: dict[int, list[float]] = {}
    close: dict[int, float] = {}
    for line in lines:
        if line.moves or line.late:
            start = line.time_us // length * length
            prices.setdefault(start, []).append(line.price)
            if line.moves or start not in close:
                close[start] = line.price
    return {
        start: (
            all_[0], max(all_), min(all_), close[start], len(all_),
            sum(price - all_[0] for price in all_), sum((price - all_[0]) ** 2 for price in all_),
        )
        for start, all_ in prices.items()
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------- sink


class Post(NamedTuple):
    path: str
    body: dict[str, Any]


class Sink:
    """A local HTTP server that takes every POST, a little slowly, and keeps it."""

    def __init__(self, slow_s: float = 0.0) -> None:
        self.posts: list[Post] = []
        posts = self.posts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append(Post(self.path.rstrip("/"), json.loads(body)))
                time.sleep(slow_s)
                with suppress(OSError):  # whoever asked was killed meanwhile
                    self.send_response(200)
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A sender that was killed in the middle of its request."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port = int(self._server.server_address[1])

    @property
    def targets(self) -> tuple[str, str]:
        """Through apprise, and as a plain webhook."""
        return f"json://127.0.0.1:{self.port}/push", f"http://127.0.0.1:{self.port}/hook"

    def of(self, path: str) -> list[dict[str, Any]]:
        return [post.body for post in self.posts if post.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def told_by_push(body: dict[str, Any]) -> list[str]:
    """The titles in one message: of one alert, of blocks where there are some, of lines with their times where there
    are many."""
    title, text = str(body["title"]), str(body["message"]).strip()
    if not (several := re.match(r"(\d+) alerts\b", title)):
        return [title]
    if int(several[1]) > IN_FULL:
        return [line.partition(" ")[2].partition(" · ")[0] for line in text.splitlines()]  # without how long it took
    return [block.splitlines()[0] for block in text.split("\n\n")]


def told_by_hook(body: dict[str, Any]) -> list[str]:
    return [str(one["id"]) for one in body["notifications"]]


# ---------------------------------------------------------------------------------------------- process


class Replay:
    """`tocsin replay … --json` as a process of its own."""

    def __init__(
        self, recording: Path, folder: Path, alerts: Sequence[Wanted], targets: Sequence[str], speed: str = "max"
    ) -> None:
        self.folder = folder
        self._output = folder.with_name(f"{folder.name}.out")
        self._errors = folder.with_name(f"{folder.name}.err")
        self._command = [
            str(TOCSIN), "replay", str(recording), "--format", "lean-quote", "--instrument", "XAU-USD",
            "--date", DAY, "--speed", speed, "--data", str(folder), "--json",
            *(word for alert in alerts for word in ("--alert", alert.text)),
            *(word for target in targets for word in ("--notify", target)),
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def children(self) -> dict[str, int]:
        return children_of(self.folder)

    def kill(self) -> dict[str, int]:
        """kill -9 of the supervisor; the children it had."""
        assert self.process is not None
        had = self.children()
        self.process.kill()
        self.process.wait()
        return had

    def finish(self, within_s: float = 90.0) -> dict[str, Any]:
        """The summary, once it ends by itself. A process that does not end or fails shows what it said."""
        assert self.process is not None
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the replay did not end within {within_s:g} s\n{self.said()}") from None
        assert code == 0, f"exit code {code}\n{self._output.read_text()[-2000:]}\n{self.said()}"
        summary: dict[str, Any] = json.loads(self._output.read_text())
        return summary

    def said(self) -> str:
        log = self.folder / "replay.log"
        return self._errors.read_text() + (log.read_text()[-6000:] if log.exists() else "")

    def end(self) -> None:
        """Nothing stays behind, also when a test fails. Its children end with it."""
        if self.running():
            assert self.process is not None
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def replaying(
    recording: Path, folder: Path, alerts: Sequence[Wanted], targets: Sequence[str], speed: str = "max"
) -> Iterator[Replay]:
    run = Replay(recording, folder, alerts, targets, speed)
    run.start()
    try:
        yield run
    finally:
        run.end()


def children_of(folder: Path) -> dict[str, int]:
    """Name → process id of those that run now, as their supervisor notes them."""
    try:
        told = json.loads((folder / "run" / "children.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: state["pid"] for name, state in told.items() if state["pid"] and alive(state["pid"])}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc here: kill knows
        return True
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def rows(path: Path, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(sql, values).fetchall()
    connection.close()
    return found


# ----------------------------------------------------------------------------------------------- proofs


def hold_the_history(folder: Path, lines: Sequence[Line], refused: Counter[str]) -> None:
    """history.db holds every valid line once, in order, and what was refused by reason."""
    stored = rows(folder / "history.db", "SELECT number, time, bid, ask, price, verdict FROM ticks ORDER BY number, id")
    expected = [(one.number, one.time_us, one.bid, one.ask, one.price) for one in lines]
    if (got := [row[:5] for row in stored]) != expected:
        twice = [number for number, count in Counter(row[0] for row in got).items() if count > 1]
        lost = sorted({row[0] for row in expected} - {row[0] for row in got})
        raise AssertionError(f"{len(got)} ticks instead of {len(expected)}: lost {lost[:20]}, twice {twice[:20]}")
    verdicts = {row[0]: row[5] for row in stored}
    wrong = [one for one in lines if verdicts[one.number] != (4 if one.late else 0 if one.moves else 5)]
    assert not wrong, f"judged otherwise: {[(one, verdicts[one.number]) for one in wrong[:5]]}"
    ordered = rows(folder / "history.db", "SELECT number FROM ticks WHERE verdict = 0 ORDER BY id")
    assert [number for (number,) in ordered] == [one.number for one in lines if one.moves]
    assert dict(rows(folder / "history.db", "SELECT reason, count FROM refusals")) == dict(refused)


def hold_the_ladder(folder: Path, lines: Sequence[Line], *, sums_to: float = 0.0) -> None:
    """Every rung equals the loop's; the sums within `sums_to` where prices are no binary fractions."""
    for seconds in RUNGS:
        stored = rows(
            folder / "history.db",
            "SELECT start, open, high, low, close, count, sum, sum_squares FROM candles WHERE seconds = ?"
            " ORDER BY start",
            seconds,
        )
        expected = ladder_of(lines, seconds)
        assert [row[:6] for row in stored] == [(start, *expected[start][:5]) for start in sorted(expected)], seconds
        for start, *_, total, squares in stored:
            assert abs(total - expected[start][5]) <= sums_to, (seconds, start)
            assert abs(squares - expected[start][6]) <= sums_to * 10, (seconds, start)


def hold_the_triggers(summary: dict[str, Any], lines: Sequence[Line], alerts: Sequence[Wanted]) -> None:
    """The ledger rang what the loop finds: each crossing once, with the same ticks."""
    text = {canonical(alert.text): alert.text for alert in alerts}
    rang = [
        Ring(
            text[each["alert"]],
            each["generation"],
            each["direction"],
            (each["tick_before"]["price"], each["tick_before"]["time_us"]),
            (each["tick"]["price"], each["tick"]["time_us"]),
        )
        for each in summary["triggers"]
    ]
    assert sorted(rang) == sorted(rings_of(lines, alerts))


def canonical(text: str) -> str:
    return text.replace("gold", "XAU-USD")


def hold_the_outbox(folder: Path, summary: dict[str, Any], destinations: int) -> None:
    """A row for every trigger and destination, each of them sent."""
    states = rows(folder / "ledger.db", "SELECT state, count(*) FROM notifications GROUP BY state")
    assert states == [("sent", len(summary["triggers"]) * destinations)]
    assert summary["notifications_sent"] == len(summary["triggers"]) * destinations


def expected_at(folder: Path, platform: str) -> Counter[str]:
    """What the ledger has for one destination, as `told_by_push` and `told_by_hook` read it at the sink."""
    found = rows(
        folder / "ledger.db",
        "SELECT n.id, n.title FROM notifications n JOIN destinations d ON d.id = n.destination_id"
        " WHERE d.platform = ? ORDER BY n.id",
        platform,
    )
    if platform == "webhook":
        return Counter(str(id_) for id_, _ in found)
    return Counter(title for _, title in found)


def repeated(messages: Sequence[Sequence[str]], expected: Counter[str]) -> int:
    """How many messages said again what was said; AssertionError where something was never said or made up."""
    assert expected, "nothing to hold the messages against"
    seen: Counter[str] = Counter()
    count = 0
    for message in messages:
        seen.update(message)
        count += any(seen[one] > expected[one] for one in message)
    assert not expected - seen, f"never arrived: {list((expected - seen).elements())[:10]}"
    assert set(seen) == set(expected)
    return count
