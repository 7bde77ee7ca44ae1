"""The lock of a data folder: one hub a folder, from its first child to its last.

`hub.lock` holds the process id of the supervisor and its start time. Every child inherits the descriptor, the
broker too, so the lock is free only when the last of them is dead: nats-server has no lock of its own, and a store
that two servers write is lost. Depends on msgspec.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

PATIENCE_S = 10.0
"""How long to wait for what an earlier hub left running; longer than hub.child lets an orphan live."""

Log = Callable[..., None]
"""`log(level, event, **fields)`."""


class HubProblem(Exception):
    """The hub cannot start or cannot go on; the sentence says why and what to do."""


class FolderBusy(HubProblem):
    """Another hub, or what is left of one, uses the data folder."""


class ChildState(msgspec.Struct):
    """What children.json holds of one child. Times are wall time in microseconds; `pid` is null between lives."""

    pid: int | None = None
    started_at: int | None = None
    restarts: int = 0
    last_exit: str | None = None
    last_exit_at: int | None = None
    reason: str | None = None  # why it could not go on, where it said so


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    started: str  # as the kernel counts it; process ids come round again

    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return self.started == _started(self.pid)


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot; empty where there is no /proc, or no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rsplit(")", 1)[1].split()
    return "" if fields[0] == "Z" else fields[19]


async def take(folder: Path, log: Log, patience_s: float = PATIENCE_S) -> int:
    """The descriptor of the locked `hub.lock`. FolderBusy at once where a hub runs on the folder; where only
    children of a hub that is gone still end, it waits for them."""
    path = folder / "hub.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HubProblem(
            f"data folder {folder} cannot be used ({error.strerror}):"
            " make it writable for this user, or choose one with --data another-folder"
        ) from error
    try:
        await _wait_for_lock(fd, folder, log, patience_s)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {_started(os.getpid())}\n".encode(), 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


async def _wait_for_lock(fd: int, folder: Path, log: Log, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    said = False
    while not _try_lock(fd, folder):
        holder = _holder(fd)
        if holder is not None and holder.alive():
            raise FolderBusy(
                f"data folder {folder} is in use by the hub with process id {holder.pid}: stop it,"
                " ask it with `tocsin ask`, or start this one with --data another-folder"
            )
        who = f"the hub with process id {holder.pid}, which is gone" if holder else "another hub"
        if time.monotonic() > deadline:
            raise FolderBusy(
                f"data folder {folder} is still held by processes of {who}, after {patience_s:g} s:"
                f" end them{_left_over(folder)}, or start this one with --data another-folder"
            )
        if not said and holder is not None:
            log("info", "waiting for what an earlier hub left running", pid=holder.pid, folder=str(folder))
            said = True
        await asyncio.sleep(0.02)


def _try_lock(fd: int, folder: Path) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise HubProblem(
            f"data folder {folder} cannot be locked ({error.strerror}): it must lie on a disk of this machine,"
            " choose one with --data"
        ) from error
    return True


def _holder(fd: int) -> _Holder | None:
    """Who wrote itself into the lock; none in the moment before it does."""
    words = os.pread(fd, 100, 0).decode(errors="replace").split()
    if not words or not words[0].isdigit():
        return None
    return _Holder(int(words[0]), words[1] if len(words) > 1 else "")


def _left_over(folder: Path) -> str:
    """Which recorded children still run, for a person who has to end them."""
    try:
        told = msgspec.json.decode((folder / "run" / "children.json").read_bytes(), type=dict[str, ChildState])
    except (OSError, msgspec.MsgspecError):
        return ""
    alive = [f"{name} {state.pid}" for name, state in told.items() if state.pid and _started(state.pid)]
    return f" ({', '.join(alive)})" if alive else ""
