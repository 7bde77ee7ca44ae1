"""The command line as a person meets it: help, exit codes, and sentences in the place of traces."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import __version__, cli
from hub.broker import BrokerProblem
from hub.lock import FolderBusy
from hub.plugin import BadRequest, GiveUp, TryLater

HEAVY = ("aiohttp", "nats", "sqlalchemy", "uvloop", "prompt_toolkit", "lark")


def tocsin(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hub", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_command_a_person_has_and_hides_the_others(tmp_path: Path) -> None:
    """Children's commands are nobody's business."""
    said = tocsin("--help", cwd=tmp_path).stdout
    shown = {words[1] for line in said.splitlines() if len(words := line.split()) > 2 and words[0] == "│"}
    assert shown >= {"run", "demo", "chat", "ask", "status", "check", "replay", "version"}
    assert not shown & {"core", "bot"}


def test_the_command_line_imports_nothing_heavy(tmp_path: Path) -> None:
    """`tocsin --help` answers at once because the libraries wait until they are needed."""
    source = f"import sys, hub.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_version_is_the_version(tmp_path: Path) -> None:
    """Both ways to ask answer alike."""
    said = [tocsin(word, cwd=tmp_path).stdout.strip() for word in ("version", "--version")]
    assert said == [f"tocsin {__version__}"] * 2


def test_a_wrong_configuration_is_told_by_file_and_line_without_a_trace(tmp_path: Path) -> None:
    """Exit code 2, every problem a line, no traceback."""
    (tmp_path / "config.toml").write_text("[bus]\nport = 99999\n[hub]\nlogg = 1\n")
    ended = tocsin("run", cwd=tmp_path)
    assert ended.returncode == 2
    assert "config.toml:2" in ended.stderr
    assert "config.toml:4" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data" / "run").exists()


def test_an_unknown_role_of_the_command_line_is_refused(tmp_path: Path) -> None:
    """The sentence names the word and those that exist."""
    ended = tocsin("run", "--roles", "ingest,recrod", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert '"recrod"' in ended.stderr


def test_a_question_where_no_hub_runs_is_answered_with_what_to_start(tmp_path: Path) -> None:
    """Not silence, not a trace; and words that begin with a hyphen are words."""
    ended = tocsin("ask", "alert", "gold", "change", "-2%", "--data", str(tmp_path / "none"), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "holds no data: start one with" in ended.stderr


def test_a_busy_port_ends_a_run_with_its_sentence(tmp_path: Path, busy_port: int) -> None:
    """What the broker cannot do reaches the person, and the folder is free again."""
    (tmp_path / "config.toml").write_text(f"[bus]\nport = {busy_port}\n")
    ended = tocsin("run", "--roles", "record", cwd=tmp_path)
    assert ended.returncode == 2
    assert f"tocsin: port {busy_port} on 127.0.0.1 is in use by another program" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data" / "run" / "hub.json").exists()


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TryLater("later"), 1),
        (GiveUp("never"), 1),
        (BadRequest("say it so"), 1),
        (BrokerProblem("no broker"), 2),
        (FolderBusy("busy"), 2),
        (ExceptionGroup("two", [TryLater("later"), FolderBusy("busy")]), 2),
    ],
)
def test_a_known_problem_is_a_sentence_with_an_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also inside the groups of a TaskGroup."""

    def failing() -> None:
        raise error

    assert cli.guarded(failing) == code
    said = capsys.readouterr().err
    assert all(line.startswith("tocsin: ") for line in said.splitlines())
    assert (str(error) if not isinstance(error, ExceptionGroup) else "busy") in said


def test_a_bug_keeps_its_trace() -> None:
    """What nobody foresaw is not made to look foreseen, even beside a known problem."""

    def failing() -> None:
        raise ExceptionGroup("two", [TryLater("later"), KeyError("bug")])

    with pytest.raises(ExceptionGroup):
        cli.guarded(failing)


def test_an_interrupt_ends_quietly() -> None:
    """Ctrl-C where nothing listens for it: the usual exit code."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    assert cli.guarded(interrupted) == 130


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`tocsin --version | head -0` says nothing on stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "hub", "version"],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert ended.stderr == b""
