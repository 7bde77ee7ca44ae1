"""The direction of imports, read from the sources: hub imports no extension, and inside hub they point one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    {"model"},
    {"plugin", "wording", "config", "frame", "retry", "units", "sessions", "evidence", "outgoing", "render", "forms",
     "normalize", "arbiter", "clocks", "instruments", "rules", "logs", "load", "spans", "currencies", "schedule",
     "lots", "portfolio", "summary", "i18n", "locale", "quiet", "waiting", "splits"},
    {"bus", "broker", "lock", "child", "history", "ledger", "cache", "reader"},
    {"ingest", "recorder", "engine", "delivery", "commands", "quotes", "bothost", "supervise", "check", "testing",
     "talk", "chat", "terminal", "context", "held", "market", "personal", "people", "callers", "hot", "digests",
     "importing", "exporting", "migrate", "backup", "recovery", "lives", "backtest"},
    {"app", "replay", "demo"},
    {"cli", "cli_data", "__main__"},
]  # fmt: skip
"""Inside hub, from the ground up: a module imports from its own floor or from below, and services import no service."""
SERVICES = {"ingest", "recorder", "engine", "delivery", "commands"}
LATE = {("child", "app"), ("child", "bothost")}
"""Imports the other way that happen when a child process starts: its entry point sits beside what hands it its work."""


def imports(path: Path) -> set[str]:
    """Every module that a file imports, dotted; `from a import b` counts as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def box(path: Path) -> str:
    """The box of the map that a file of hub belongs to."""
    return path.relative_to(ROOT / "hub").parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    ("package", "never"),
    [
        ("hub", {"bots", "plugins", "charts"}),
        ("charts", {"bots", "plugins"}),
        ("plugins", {"bots"}),
        ("bots", {"plugins"}),
    ],
)  # fmt: skip
def test_the_core_imports_no_extension(package: str, never: set[str]) -> None:
    """Extensions are loaded by the names in the configuration."""
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in files(package)
        if (found := {name for name in imports(path) if name.split(".")[0] in never})
    }
    assert wrong == {}


def test_every_box_of_the_core_has_its_floor() -> None:
    """A new file is put on the map before it is used."""
    known = set().union(*FLOORS) | {"__init__"}
    assert {box(path) for path in files("hub")} - known == set()


def test_imports_inside_the_core_point_down() -> None:
    """model ← pure modules ← edges ← services ← app ← cli."""
    floor_of = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    wrong = []
    for path in files("hub"):
        here = box(path)
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "hub" or len(parts) < 2 or (there := parts[1]) not in floor_of or there == here:
                continue
            if (here, there) in LATE or here == "__init__":
                continue
            if floor_of[there] > floor_of[here] or (here in SERVICES and there in SERVICES):
                wrong.append(f"hub/{path.relative_to(ROOT / 'hub')} imports hub.{there}")
    assert sorted(set(wrong)) == []
