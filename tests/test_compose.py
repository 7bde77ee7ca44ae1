"""compose.yaml: every setting in it is one that the hub takes, every role is run, no server is reached from outside."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.config import ROLES, Config, load
from hub.load import EXTRAS

ROOT = Path(__file__).parent.parent
PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (ROOT / "compose.yaml").read_text()
    filled = re.sub(r"\$\{TOCSIN_PASSWORD(:\?[^}]*)?\}", PASSWORD, text)
    assert "${" not in filled, "another variable than the password has to be known"
    found: dict[str, Any] = yaml.safe_load(filled)
    return found


def settings_of(service: dict[str, Any]) -> Config:
    """What the hub makes of the service's environment and command line, with the shipped config.toml."""
    environ = dict(service["environment"])
    if "--roles" in (command := service.get("command", [])):
        environ["TOCSIN_HUB__ROLES"] = command[command.index("--roles") + 1]
    return load(ROOT / "config.toml", environ=environ)


@pytest.mark.parametrize("name", ["hub", "standby"])
def test_the_hub_takes_every_setting_of_its_service(compose: dict[str, Any], name: str) -> None:
    """Each URL names a service of the file, and each server asks for the password that the hub gives."""
    config = settings_of(compose["services"][name])
    for url in (config.bus.url, config.history.url, config.ledger.url, config.cache.url):
        host = re.search(r"//(?:\w+@)?(\w+):", url)
        assert host is not None
        assert host[1] in compose["services"]
        assert compose["services"][name]["depends_on"][host[1]] == {"condition": "service_healthy"}
    secrets = (config.bus.token, config.history.password, config.ledger.password, config.cache.password)
    assert set(secrets) == {PASSWORD}


def test_one_hub_runs_every_role_and_the_standby_all_but_bots(compose: dict[str, Any]) -> None:
    """Two bots of one token would answer twice."""
    roles = {name: set(settings_of(compose["services"][name]).hub.roles) for name in ("hub", "standby")}
    assert roles == {"hub": set(ROLES), "standby": set(ROLES) - {"bots"}}


def test_no_server_is_reached_from_outside_and_each_tells_its_health(compose: dict[str, Any]) -> None:
    """No port is published; hubs wait until what they need is healthy."""
    for name, service in compose["services"].items():
        assert "ports" not in service, name
        assert "healthcheck" in service or service.get("build"), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists(), volume


def test_the_image_is_built_from_what_is_there() -> None:
    """Every path that the Dockerfile copies exists, and its lock holds every platform's library."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    locked = {line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    packages = {"discord": "discord-py"}
    wanted = {packages.get(name, name).replace("_", "-") for name in EXTRAS}
    assert wanted <= {name.replace(".", "-").replace("_", "-") for name in locked}
    assert "pytest" not in locked
