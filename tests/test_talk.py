"""Talking to a hub from a terminal: finding it, one question, a conversation that survives the hub."""

import asyncio
import io
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from hub import bus as subjects
from hub import logs, talk
from hub.app import core
from hub.bus import Bus, connect
from hub.chat import Seen, Shown, Vocabulary, footer
from hub.config import BusSection, Config, HubSection
from hub.ledger import open_ledger
from hub.model import SECOND_US, File, Line, Message, Nature, Notification, Quote, Reply, Trigger
from hub.talk import HubAddress, ask, chat, find_hub
from hub.terminal import choices, price_line, talk_on_terminal

NOW = 1_800_000_000 * SECOND_US
WAIT_S = 5.0
PICTURE = b"\x89PNG\r\n\x1a\n"

PRICE = {
    "instrument": "XAU-USD",
    "name": "Gold",
    "decimals": 2,
    "price": 2411.2,
    "change_percent": 0.31,
    "nature": "live",
    "market_open": True,
    "stale": False,
}
GOLD = {"id": "XAU-USD", "name": "Gold", "aliases": ["gold", "oro"], "decimals": 2, "stale_after_s": 60.0}
FACTS: Mapping[str, dict[str, object]] = {
    "help": {
        "commands": [{"name": "price", "summary": "what things cost"}, {"name": "why", "summary": "why it rang"}],
        "instruments": [GOLD],
    },
    "price": {"quotes": [PRICE]},
    "alerts all": {
        "alerts": [
            {"id": 7, "words": "Gold over 2,400", "rang": "14:02:11", "last_trigger": {"id": 3}},
            {"id": 8, "words": "Gold over 9,000", "rang": "never", "last_trigger": None},
        ]
    },
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """As the command line does it: the log never goes to stdout."""
    logs.setup("text", "error", process="test", stream=io.StringIO())
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


class FakeHub:
    """Answers lines on a real bus, as far as a conversation needs; what people said is in `lines`."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    async def answer(self, payload: bytes) -> bytes:
        line = msgspec.json.decode(payload, type=Line)
        self.lines.append(line)
        if line.text == "wrong":
            return msgspec.json.encode(Reply(ok=False, lines=("there is no command wrong",)))
        if line.text == "chart gold":
            return msgspec.json.encode(Reply(title="Gold, 24 hours", lines=("up",), image=PICTURE))
        if line.text == "export":
            file = File(name="../../tocsin of anna.zip", media_type="application/zip", content=b"PK")
            return msgspec.json.encode(Reply(title="Yours", file=file, private=True))
        facts = FACTS.get(line.text, {})
        return msgspec.json.encode(Reply(title="Answer", lines=(f"you said {line.text}",), facts=facts))


@asynccontextmanager
async def serving(server: Any, folder: Path) -> AsyncIterator[tuple[FakeHub, Bus]]:
    hub = FakeHub()
    async with connect(server.url, server.token, "hub") as bus, bus.serve(subjects.LINE, hub.answer):
        await bus.client.flush()
        announce(folder, server)
        yield hub, bus


def announce(folder: Path, server: Any, pid: int | None = None) -> None:
    (folder / "run").mkdir(parents=True, exist_ok=True)
    told = {"pid": pid or os.getpid(), "bus_url": server.url, "bus_token": server.token, "started_at": 1, "roles": []}
    (folder / "run" / "hub.json").write_bytes(msgspec.json.encode(told))


def message(trigger_id: int, title: str) -> bytes:
    trigger = Trigger(
        id=trigger_id,
        alert_id=7,
        generation=1,
        direction="up",
        level=2400.0,
        price=2400.5,
        venue_time=NOW,
        received_at=NOW,
        source="demo",
        sequence=1,
    )
    notification = Notification(
        id=trigger_id,
        alert_id=7,
        trigger=trigger,
        title=title,
        text="2,400.50 from demo",
        created_at=NOW,
        ticked_at=NOW,
    )
    return msgspec.json.encode(
        Message(
            id=f"m{trigger_id}",
            platform="console",
            address="operator",
            title=title,
            text="2,400.50 from demo",
            notifications=(notification,),
        )
    )


def test_an_alert_in_the_chat_says_how_long_it_took_unless_it_was_held() -> None:
    """A night is not how long the hub took."""
    rang = msgspec.json.decode(message(1, "Gold rose"), type=Message)
    assert footer(rang, NOW + 2 * SECOND_US) == "rang 08:00:02 UTC; more: why 7"
    held = tuple(msgspec.structs.replace(each, held_until=NOW + 1) for each in rang.notifications)
    told = msgspec.structs.replace(rang, notifications=held)
    assert footer(told, NOW + 2 * SECOND_US) == "told 08:00:02 UTC; more: why 7"


async def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a socket to do its part."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


# ---------------------------------------------------------------------------------------------- finding


def test_a_hub_is_found_while_its_process_lives(tmp_path: Path) -> None:
    """A file that a dead hub left behind is nobody's address, and neither is a torn one."""
    server = type("Server", (), {"url": "nats://127.0.0.1:1", "token": "t"})
    assert find_hub(tmp_path) is None
    announce(tmp_path, server)
    assert find_hub(tmp_path) == HubAddress(pid=os.getpid(), bus_url="nats://127.0.0.1:1", bus_token="t")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    announce(tmp_path, server, ended.pid)
    assert find_hub(tmp_path) is None
    (tmp_path / "run" / "hub.json").write_text('{"pid": ')
    assert find_hub(tmp_path) is None


async def test_a_question_is_asked_and_answered(
    nats_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the operator by default, as somebody else when told; a refusal is exit code 1."""
    config = Config(folder=tmp_path / "hub")
    async with serving(nats_server, config.folder) as (hub, _):
        assert await ask("price", config=config) == 0
        assert capsys.readouterr().out == "Answer\nyou said price\n"
        assert await ask("wrong", config=config, name="anna") == 1
        assert capsys.readouterr().out == "there is no command wrong\n"
        assert await ask("price", config=config, as_json=True) == 0
        document = msgspec.json.decode(capsys.readouterr().out)
        assert document["ok"] is True
        assert document["facts"]["quotes"][0]["price"] == 2411.2
        assert [line.who.id for line in hub.lines] == ["operator", "anna", "operator"]


async def test_a_picture_of_an_answer_is_saved_and_nothing_written_over(
    nats_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the current folder under a name of its own, another number each time; or where it was asked for."""
    config = Config(folder=tmp_path / "hub")
    monkeypatch.chdir(tmp_path)
    async with serving(nats_server, config.folder):
        assert await ask("chart gold", config=config) == 0
        assert capsys.readouterr().out == "Gold, 24 hours\nup\nSaved: gold-24-hours.png\n"
        assert await ask("chart gold", config=config, as_json=True) == 0
        assert msgspec.json.decode(capsys.readouterr().out)["saved"] == ["gold-24-hours-2.png"]
        assert Path("gold-24-hours.png").read_bytes() == Path("gold-24-hours-2.png").read_bytes() == PICTURE

        mine = tmp_path / "mine.png"
        assert await ask("chart gold", config=config, save=mine) == 0
        mine.write_bytes(b"precious")
        capsys.readouterr()
        assert await ask("chart gold", config=config, save=mine) == 1
        told = capsys.readouterr()
        assert told.out == "Gold, 24 hours\nup\n" and "is there already and was left as it is" in told.err
        assert mine.read_bytes() == b"precious"
        assert await ask("chart gold", config=config, save=tmp_path / "no such folder" / "x.png") == 1
        assert "cannot be written" in capsys.readouterr().err
        assert await ask("price", config=config, save=mine) == 1
        assert "holds no picture" in capsys.readouterr().err


async def test_a_file_of_an_answer_keeps_its_name_but_no_folder_of_it(
    nats_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is private is for this account alone."""
    config = Config(folder=tmp_path / "hub")
    async with serving(nats_server, config.folder):
        assert await ask("export", config=config, save=tmp_path) == 0
    (path,) = tmp_path.glob("*.zip")
    assert path.name == "tocsin-of-anna.zip"
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"Saved: {path}" in capsys.readouterr().out


async def test_without_hub_and_data_the_cure_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing is made in that folder."""
    config = Config(folder=tmp_path / "nothing")
    assert await ask("price", config=config) == 2
    assert await chat(config) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "holds no data: start one with `tocsin run`" in told.err
    assert not config.folder.exists()


async def test_a_hub_that_answers_nothing_is_no_hub(
    nats_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bus is there, the commands are not."""
    announce(tmp_path, nats_server)
    assert await ask("price", config=Config(folder=tmp_path)) == 2
    assert "does not answer" in capsys.readouterr().err


async def test_a_chat_on_a_folder_without_a_hub_brings_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded can be asked about; behind the chat nothing is left running."""
    config = Config(hub=HubSection(data=str(tmp_path)), folder=tmp_path)
    async with open_ledger(config):
        pass
    monkeypatch.setattr(sys, "stdin", io.StringIO("alerts\n"))
    assert await asyncio.wait_for(chat(config), 2 * WAIT_S) == 0
    told = capsys.readouterr()
    assert "You have none." in told.out
    assert "one without feeds is started" in told.err
    assert find_hub(tmp_path) is None
    assert not (tmp_path / "run" / "hub.json").exists()


# ------------------------------------------------------------------------------------------- price line


def shown(name: str, price: float = 2411.2, **more: Any) -> Shown:
    values: dict[str, Any] = {"name": name, "decimals": 2, "price": price, "day": 0.0031, "received_at": NOW}
    return Shown(**(values | more))


def text_of(fragments: list[tuple[str, str]]) -> str:
    return "".join(text for _, text in fragments)


def test_the_line_of_prices_says_direction_and_doubt() -> None:
    """Up and down in colour and sign; stale, closed and simulated in words."""
    line = price_line([shown("Gold"), shown("Silver", 30.1, day=-0.01), shown("Euro", day=0)], NOW, 200)
    assert text_of(line) == "Gold 2,411.20 ▲0.31 %  Silver 30.10 ▼1.00 %  Euro 2,411.20 =0.00 %"
    assert [style for style, text in line if "▲" in text or "▼" in text] == ["class:up", "class:down"]
    assert "2,411.20 ▲0.31 % stale" in text_of(price_line([shown("Gold")], NOW + 61 * SECOND_US, 200))
    assert "closed" in text_of(price_line([shown("Gold", market_open=False)], NOW, 200))


def test_simulated_prices_are_marked_once_where_all_are_and_each_where_some_are() -> None:
    """Whatever is not live says so."""
    both = [shown("Gold", nature=Nature.SIMULATED), shown("Silver", nature=Nature.SIMULATED)]
    assert text_of(price_line(both, NOW, 200)).startswith("simulated: Gold")
    mixed = text_of(price_line([both[0], shown("Silver")], NOW, 200))
    assert mixed.count("simulated") == 1
    assert "▲0.31 % simulated" in mixed


def test_the_line_of_prices_fits_the_terminal() -> None:
    """First the day's changes give way; what then does not fit is left out, and that shows."""
    metals = [shown(name) for name in ("Gold", "Silver", "Platinum")]
    assert text_of(price_line(metals, NOW, 55)) == "Gold 2,411.20▲  Silver 2,411.20▲  Platinum 2,411.20▲"
    line = text_of(price_line(metals, NOW, 40))
    assert len(line) <= 40
    assert line.endswith("…")
    assert text_of(price_line(metals, NOW, 20)) == "Gold 2,411.20▲  …"
    assert text_of(price_line([], NOW, 50)) == "no prices yet"


def test_words_are_completed_by_what_stands_before_them() -> None:
    """Commands and instruments first, then what the command takes."""
    words = Vocabulary()
    for facts in FACTS.values():
        words.learn(facts)
    assert choices("p", words) == [("price", "what things cost")]
    assert ("gold", "Gold") in choices("/g", words)
    assert choices("price o", words) == [("oro", "Gold")]
    assert choices("why ", words) == [("7", "Gold over 2,400"), ("8", "Gold over 9,000")]
    assert choices("why 7 ", words) == []
    words.learn({"commands": {"service": "commands", "lines": 3}, "alerts": 4, "instruments": ["gold", {"name": 1}]})
    assert choices("p", words) == [("price", "what things cost")], "status means other things by these names"
    words.learn({"id": 9, "text": "XAU-USD > 1"})
    assert choices("delete 9", words) == [("9", "XAU-USD > 1")]


def test_what_rang_while_nobody_was_here_is_remembered(tmp_path: Path) -> None:
    """Only what is newer than the last that was shown; at first the last five."""
    alerts: list[dict[str, Any]] = [{"id": n, "last_trigger": {"id": n}} for n in range(1, 9)]
    seen = Seen(tmp_path / "chat" / "anna.seen")
    assert [alert["id"] for alert in seen.missed(alerts)] == [4, 5, 6, 7, 8]
    seen.note([6, 2])
    assert [alert["id"] for alert in Seen(tmp_path / "chat" / "anna.seen").missed(alerts)] == [7, 8]
    assert seen.missed([{"id": 1, "last_trigger": None}]) == []


# ---------------------------------------------------------------------------------------- conversations


class Screen:
    """A terminal of 100 by 30 whose output is text."""

    def __init__(self) -> None:
        self.written = io.StringIO()
        self.output = Vt100_Output(self.written, lambda: Size(rows=30, columns=100), term="xterm")

    def has(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.written.getvalue()


async def test_a_conversation_on_a_terminal(nats_server: Any, tmp_path: Path) -> None:
    """Prices above the input, replies, an alert with a bell while one types, missed ones at the start."""
    config, screen, stop = Config(folder=tmp_path / "hub"), Screen(), asyncio.Event()
    async with serving(nats_server, config.folder) as (hub, bus):
        with create_pipe_input() as keys, create_app_session(input=keys, output=screen.output):
            talking = asyncio.create_task(talk_on_terminal(config, "operator", "Welcome", stop))
            await until(screen.has("7  Gold over 2,400: 14:02:11"), "what was missed")
            await until(screen.has("2,411.20"), "the price of the start")
            assert screen.has("Welcome")()
            quote = Quote(
                instrument="XAU-USD",
                price=2422.5,
                time=NOW,
                received_at=NOW,
                source="demo",
                nature=Nature.SIMULATED,
                open=2400.0,
                high=2430.0,
                low=2390.0,
            )
            await bus.client.publish(subjects.quote("XAU-USD"), msgspec.json.encode(quote))
            await until(screen.has("2,422.50"), "the live price")
            await until(screen.has("simulated"), "its nature")
            keys.send_text("hello")
            await bus.client.publish(subjects.console("operator"), message(4, "Gold crossed \x1b[2J 2,400"))
            await until(screen.has("Gold crossed \\x1b[2J 2,400"), "the alert, harmless")
            await until(screen.has("\a"), "the bell")
            keys.send_text(" there\r")
            await until(screen.has("you said hello there"), "the reply")
            keys.send_text("push add tgram://s3cret/1\r")
            await until(screen.has("you said push add"), "the reply to an address")
            keys.send_text("chart gold\r")
            await until(screen.has("Saved: "), "where its picture is")
            assert (config.folder / "chat" / "gold-24-hours.png").read_bytes() == PICTURE
            keys.send_text("\x04")
            assert await asyncio.wait_for(talking, WAIT_S) == 0
    assert "hello there" in [line.text for line in hub.lines]
    kept = (config.folder / "chat" / "operator.history").read_text()
    assert "hello there" in kept and "s3cret" not in kept
    assert Seen(config.folder / "chat" / "operator.seen").newest == 4


async def test_a_conversation_ends_when_it_is_stopped_from_outside(nats_server: Any, tmp_path: Path) -> None:
    """Also while somebody types."""
    config, screen, stop = Config(folder=tmp_path / "hub"), Screen(), asyncio.Event()
    async with serving(nats_server, config.folder):
        with create_pipe_input() as keys, create_app_session(input=keys, output=screen.output):
            talking = asyncio.create_task(talk_on_terminal(config, "operator", "", stop))
            await until(screen.has("2,411.20"), "the connection")
            keys.send_text("half a li")
            stop.set()
            assert await asyncio.wait_for(talking, WAIT_S) == 0


async def test_a_conversation_survives_its_hub(nats_server: Any, tmp_path: Path) -> None:
    """It says when the hub is away, what that means for a line, and when it is back."""
    config, screen, stop = Config(folder=tmp_path / "hub"), Screen(), asyncio.Event()
    with create_pipe_input() as keys, create_app_session(input=keys, output=screen.output):
        async with serving(nats_server, config.folder):
            talking = asyncio.create_task(talk_on_terminal(config, "operator", "", stop))
            await until(screen.has("2,411.20"), "the first connection")
        (config.folder / "run" / "hub.json").unlink()
        await until(screen.has("The hub is away"), "that it went")
        await until(screen.has("no hub: "), "that the prices shown are old ones")
        keys.send_text("lost\r")
        await until(screen.has("was not sent"), "what became of the line")
        nats_server.restart()
        async with serving(nats_server, config.folder) as (hub, _):
            await until(screen.has("The hub is back"), "that it came back")
            keys.send_text("found\r")
            await until(screen.has("you said found"), "a reply")
            assert "lost" not in [line.text for line in hub.lines]
            keys.send_text("\x03")
            assert await asyncio.wait_for(talking, WAIT_S) == 0


async def test_without_a_terminal_lines_are_answered_in_plain_text(
    nats_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of stdin, until its end; whoever waits for the end is told."""
    config, stop = Config(folder=tmp_path / "hub"), asyncio.Event()
    monkeypatch.setattr(sys, "stdin", io.StringIO("price\n\nwrong\nchart gold\nchart gold"))
    async with serving(nats_server, config.folder):
        assert await asyncio.wait_for(talk.chat(config, on_start="Welcome", stop=stop), WAIT_S) == 0
    said = capsys.readouterr().out
    assert said.startswith("Welcome\n")
    assert "Answer\nyou said price\nthere is no command wrong\n" in said
    for name in ("gold-24-hours.png", "gold-24-hours-2.png"):
        path = config.folder / "chat" / name
        assert f"Saved: {path}\n" in said and path.read_bytes() == PICTURE
    assert "\x1b" not in said
    assert stop.is_set()


async def test_a_hub_that_serves_answers_at_once(nats_server: Any, tmp_path: Path) -> None:
    """The first line goes out as soon as the core is there, and nobody hears that nobody answers."""
    roles = ("record", "alert", "deliver", "commands")
    config = Config(folder=tmp_path / "hub", hub=HubSection(roles=roles), bus=BusSection(max_mb=16))
    async with (
        connect(nats_server.url, nats_server.token, "test") as bus,
        core(config, nats_server.url, nats_server.token),
    ):
        assert (await talk.say(bus, "help", "operator")).ok
