"""The documents say what is there: words, options, files, dependencies, and examples that run."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclopts import App

from hub import cli
from hub.instruments import build_catalogue
from hub.model import Message, Quote, Reply, Request, Role, User, Who
from hub.plugin import BadRequest
from hub.rules.language import canonical, parse
from hub.testing import check_bot, check_command, check_feed

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING, ARCHITECTURE = (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"))
DOCUMENTS = [README, CONTRIBUTING, ROOT / "CHANGELOG.md", ARCHITECTURE, ROOT / "config.toml"]
REGISTRY = re.compile(r"://[^\s\"'`)]*(?:pypi|pythonhosted|simple/|registry|artifactory|nexus|proxy\.golang)", re.I)


def code(text: str) -> str:
    """What is set as code: fenced blocks and spans between backticks, a line each."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return "\n".join([*fenced, *spans])


def rows(document: Path, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = re.split(r"^## ", document.read_text(), flags=re.MULTILINE)
    (found,) = [part for part in section if part.startswith(heading + "\n")]
    lines = [line for line in found.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named(cells: list[list[str]]) -> list[str]:
    return [name for row in cells for name in re.findall(r"`([^`]+)`", row[0])]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


# ----------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_word_is_in_the_makefile(document: Path) -> None:
    """`make X` is a target, and one that `make help` tells of."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text()
    said = set(re.findall(r"\bmake ([a-z]+)\b", text if document.suffix == ".toml" else code(text)))
    assert said <= targets


def test_the_readme_tells_of_every_way_to_start() -> None:
    """The two words that a new user needs stand in the first block."""
    (first,) = re.findall(r"\A# Tocsin\n.*?^```\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def calls(text: str) -> Iterator[list[str]]:
    """The words behind each `tocsin` that is set as code."""
    for line in code(text).splitlines():
        if found := re.match(r"(?:\S+/)?tocsin (.+)", line.strip()):
            yield re.findall(r"\"[^\"]*\"|\S+", found[1])


@pytest.mark.parametrize("document", DOCUMENTS[:4], ids=lambda path: path.name)
def test_every_subcommand_and_option_exists(document: Path) -> None:
    """`tocsin X --option` of the documents is understood by the command line."""
    wrong = []
    for name, *words in calls(document.read_text()):
        if name not in cli.app:
            wrong.append(f"tocsin {name}")
            continue
        known = options(cli.app[name])
        wrong += [f"tocsin {name} {word}" for word in words if word.startswith("--") and word not in known]
    assert wrong == []


def options(command: App) -> set[str]:
    collection = command.assemble_argument_collection()
    return {name for argument in collection for name in argument.names}


def test_options_in_the_readme_belong_to_some_command() -> None:
    """Also one that stands alone, without its command."""
    own = [name for name in cli.app if not name.startswith("-")]
    known = set().union(*(options(cli.app[name]) for name in own))
    alone = set(re.findall(r"(?<!\S)--[a-z-]+", code(README.read_text())))
    assert alone - known == set()
    assert {"--json", "--as", "--data", "--alert", "--notify"} <= alone


def test_every_alert_of_the_readme_is_one() -> None:
    """Each line of its block is understood."""
    (block,) = re.findall(r"^```alerts\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    catalogue = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT", "USD-INR"))
    for line in block.splitlines():
        assert canonical(parse(line, catalogue.find))
    assert len(block.splitlines()) >= 4


def test_every_alert_of_the_documents_means_what_stands_beside_it() -> None:
    """The tables of docs/alerts.md: a line as it may be written, and its one form."""
    served = ("XAU-USD", "XAG-USD", "XPT-USD", "BTC-USDT", "ETH-USDT", "EUR-USD", "USD-INR")
    catalogue = build_catalogue({}, served)
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)
    lines = [row for row in rows if row[0] not in ("you write", "---")]
    assert len(lines) > 30
    for line, stored in lines:
        assert canonical(parse(line, catalogue.find)) == stored


def test_every_setting_that_the_documents_name_is_in_the_configuration() -> None:
    """`name = value` beside `[section]` in the text is a line of config.toml."""
    known = set(re.findall(r"^#? ?([a-z_]+) = ", (ROOT / "config.toml").read_text(), re.MULTILINE))
    said = re.findall(r"`([a-z_]+) = [^`]*`", README.read_text()) + re.findall(
        r"`(?:bus|history|delivery|alerts)\.(?!py`|db`)([a-z_]+)`", README.read_text() + ARCHITECTURE.read_text()
    )
    assert set(said) - known == set()
    assert said


def test_the_back_test_of_the_readme_prints_what_stands_there(tmp_path: Path) -> None:
    """Its lines are run as they are; only the time that it took is each machine's own."""
    section = README.read_text().split("## Back-tests")[1]
    script, printed = re.findall(r"^```\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[:2]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "100"}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.rstrip() for line in done.stdout.splitlines()][:-1] == printed.splitlines()[:-1]


@pytest.mark.parametrize("document", DOCUMENTS[:4], ids=lambda path: path.name)
def test_every_link_into_the_repository_leads_somewhere(document: Path) -> None:
    """Links are relative to the document."""
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


# ----------------------------------------------------------------------------------------------- tables


def test_the_table_of_the_house_holds_every_file_of_the_core() -> None:
    """docs/architecture.md and the folder hub/, both ways, each file once."""
    there = {
        path.relative_to(ROOT / "hub").as_posix()
        for path in (ROOT / "hub").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "py.typed"
    }
    listed = named(rows(ARCHITECTURE, "The house"))
    assert sorted(listed) == sorted(there)


def test_every_dependency_has_its_reason() -> None:
    """docs/architecture.md and pyproject.toml, both ways."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += [one for name, extra in extras.items() if name != "all" for one in extra]
    names = {found[0] for one in wanted if (found := re.match(r"[A-Za-z0-9_.-]+", one))}
    assert sorted(named(rows(ARCHITECTURE, "What we stand on"))) == sorted(names)


# --------------------------------------------------------------------------------------------- examples


def example(name: str, folder: Path) -> ModuleType:
    """The module that CONTRIBUTING.md shows under that path, loaded from a file of its own."""
    blocks = re.findall(r"^```python\n# (\S+)\n(.*?)^```", CONTRIBUTING.read_text(), re.DOTALL | re.MULTILINE)
    file = folder / Path(name).name
    file.write_text(dict(blocks)[name])
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_example_of_a_feed_keeps_the_contract(tmp_path: Path) -> None:
    """It rolls every die that it was given."""
    feed: Any = example("plugins/feeds/dice.py", tmp_path)
    symbols = {"BTC-USD": "btc", "XAU-USD": "gold"}
    taken = await check_feed(feed, symbols, feed.Settings(every_s=0.001), updates=20)
    assert {one.instrument for one in taken} == set(symbols)


class OneQuote:
    """A context in which gold has a bid and an ask and nothing else has."""

    catalogue = build_catalogue({}, ("XAU-USD", "BTC-USD"))

    async def quote(self, instrument_id: str) -> Quote | None:
        if instrument_id != "XAU-USD":
            return None
        values: dict[str, Any] = dict.fromkeys(("price", "open", "high", "low"), 2400.0)
        return Quote(instrument="XAU-USD", bid=2399.75, ask=2400.25, time=1, received_at=1, source="desk", **values)


async def test_the_example_of_a_command_keeps_the_contract(tmp_path: Path) -> None:
    """It answers, and refuses in words what has no bid and ask."""
    command: Any = example("plugins/commands/spread.py", tmp_path)
    command.NAME = "spread"
    user = User(id=1, name="anna", role=Role.MEMBER, owner_id=1)

    async def ask(line: str) -> Reply:
        name, _, arguments = line.partition(" ")
        request = Request(name=name, arguments=arguments, user=user, who=Who(platform="console", id="anna"))
        try:
            reply: Reply = await command.run(OneQuote(), request)
            return reply
        except BadRequest as error:
            return Reply(ok=False, lines=(error.text,))

    await check_command(command, ask)
    assert (await ask("spread gold")).facts == {"spread": 0.5}
    assert not (await ask("spread btc")).ok


async def test_the_example_of_a_bot_keeps_the_contract(tmp_path: Path) -> None:
    """It writes what it is sent."""
    module: Any = example("bots/paper.py", tmp_path)
    await check_bot(module)
    bot = module.open_bot(module.Settings(folder=str(tmp_path)))
    message = Message(id="1", platform="paper", address="anna", title="Gold rose", text="", notifications=())
    assert await bot.send(message)
    assert (tmp_path / "anna.txt").read_text() == "Gold rose\n"


# ------------------------------------------------------------------------------------------ what is not


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the business of each machine's own configuration."""
    wrong = [
        str(path.relative_to(ROOT)) for path in tracked() if path != Path(__file__) and REGISTRY.search(read(path))
    ]
    assert wrong == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    """Neither the folder that holds this checkout, nor the home of who runs the test."""
    parents = [place for place in (ROOT, ROOT.parent) if len(place.parts) > 2]  # "/tmp" is no machine's own
    places = {str(place) for place in (*parents, Path.home()) if len(place.parts) > 1}
    told = re.compile("|".join(rf"(?<![\w.]){re.escape(place)}/" for place in sorted(places)))
    wrong = [str(path.relative_to(ROOT)) for path in tracked() if told.search(read(path))]
    assert wrong == []


def read(path: Path) -> str:
    return path.read_text(errors="replace")
