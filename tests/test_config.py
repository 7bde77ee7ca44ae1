"""The configuration: typed, or every problem at once with its line and its cure; and plugins by name."""

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import config as configuration
from hub import load as plugins
from hub.config import BUILT_IN, BUILT_IN_SOURCE, SECTIONS, Config, ConfigProblems, dump, lines_of, load, parse_dump
from hub.load import PluginProblem, SettingsProblems
from hub.model import Nature

SHIPPED = Path(__file__).parent.parent / "config.toml"


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = "wss://feed.invalid/stream"
    every_s: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    depth: int | None = None
    kinds: tuple[Literal["trade", "quote"], ...] = ("quote",)
    api_key: str = ""


class KeyedSettings(msgspec.Struct, frozen=True, kw_only=True):
    token: str


class PlainSettings(msgspec.Struct, frozen=True, kw_only=True):
    pass


async def run(*_: object) -> None:
    """Stands in the fakes where a plugin listens."""


def module(path: str, **content: object) -> ModuleType:
    made = ModuleType(path)
    vars(made).update(content)
    return made


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds and bots of our own, found like any other module of plugins/feeds and bots."""
    made = (
        module("plugins.feeds.prices", Settings=FeedSettings, NATURE=Nature.LIVE, run=run),
        module("plugins.feeds.keyed", Settings=KeyedSettings, NATURE=Nature.POLLED, run=run),
        module("plugins.feeds.tape", Settings=PlainSettings, NATURE=Nature.RECORDING, run=run),
        module("plugins.feeds.half", Settings=PlainSettings),
        module("bots.bell", Settings=PlainSettings, PLATFORMS=("bell",), open_bot=run),
        module("plugins.commands.bare", USAGE="bare", SUMMARY="Nothing.", EXAMPLES=("bare",), run=run),
    )
    for one in made:
        monkeypatch.setitem(sys.modules, one.__name__, one)


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def read(folder: Path, text: str, **environ: str) -> Config:
    return load(written(folder, text), environ=environ)


def problems(folder: Path, text: str, **environ: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigProblems) as caught:
        read(folder, text, **environ)
    return [(problem.line, problem.key, problem.text) for problem in caught.value.problems]


# ---------------------------------------------------------------------------------------------- the file


def test_a_file_becomes_typed_structs(tmp_path: Path) -> None:
    """What the file says is there with its type; what it does not say has its default."""
    config = read(
        tmp_path,
        """
        [hub]
        roles = ["ingest", "record"]
        [alerts]
        band_percent = 1
        [feeds.gold]
        module = "prices"
        symbols = { XAU-USD = "XAU/USD" }
        every_s = 1.5
        kinds = ["trade", "quote"]
        [feeds.prices]
        fresh_for_s = 3
        [bots.bell]
        [prefer]
        XAU-USD = ["prices", "gold"]
        [instruments.XAU-USD]
        aliases = ["oro"]
        class = "metal"
        """,
    )
    assert config.hub.roles == ("ingest", "record")
    assert config.hub.log_level == "info"
    assert config.alerts.band_percent == 1.0
    gold, prices = config.feeds
    assert (gold.name, gold.module, gold.symbols) == ("gold", "prices", {"XAU-USD": "XAU/USD"})
    assert gold.settings == {"every_s": 1.5, "kinds": ["trade", "quote"]}
    assert plugins.settings_of(plugins.feed("prices"), gold.settings).every_s == 1.5
    assert (prices.name, prices.fresh_for_s, prices.mute_after_s) == ("prices", 3.0, 60.0)
    assert (config.bots[0].name, config.bots[0].settings) == ("bell", {})
    assert config.prefer == {"XAU-USD": ("prices", "gold")}
    assert config.instruments == {"XAU-USD": {"aliases": ["oro"], "class": "metal"}}


def test_every_problem_is_told_at_once_with_its_line_and_its_cure(tmp_path: Path) -> None:
    """Somebody who made many mistakes reads them all in one go."""
    found = problems(
        tmp_path,
        """\
[hub]
log_levl = "debug"
roles = ["ingest", "recrod"]

[bus]
port = "4222"
token = "tok-5ecret"
max_mb = 70000000000

[feeds.binnance]

[feds.prices]
""",
    )
    assert found == [
        (2, "hub.log_levl", 'there is no setting "log_levl" (did you mean "log_level"?)'),
        (3, "hub.roles", 'there is no role "recrod" (did you mean "record"?)'),
        (6, "bus.port", '"4222" is not a whole number'),
        (
            7,
            "bus.token",
            "tokens belong in the environment, never in this file: remove the line and set TOCSIN_BUS_TOKEN, "
            "or TOCSIN_BUS_TOKEN_FILE to the path of a file that holds it",
        ),
        (8, "bus.max_mb", "70000000000 is out of range; it has to be 16 or more"),
        (10, "feeds.binnance.module", found[5][2]),
        (12, "feds", 'there is no section "feds" (did you mean "feeds"?)'),
    ]
    assert found[5][2].startswith('there is no feed module "binnance"')


def test_the_message_names_file_line_and_key(tmp_path: Path) -> None:
    """The exception alone is enough to find the place; a secret is not in it."""
    path = written(tmp_path, '[bus]\ntoken = "tok-5ecret"\nport = -1\n')
    with pytest.raises(ConfigProblems) as caught:
        load(path, environ={"TOCSIN_BUS__SYNC": "weekly"})
    text = str(caught.value)
    assert f"{path}:3: bus.port: -1 is out of range; it has to be 0 (any free port) to 65535" in text
    assert 'environment: TOCSIN_BUS__SYNC: "weekly" is neither "always" nor a time' in text
    assert "tok-5ecret" not in text


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("[hub]\nroles = []", 2, "hub.roles", "one at least"),
        ('[hub]\nroles = ["ingest", "ingest"]', 2, "hub.roles", "each role once"),
        ("[hub]\nroles = [1]", 2, "hub.roles", 'a list of texts, like ["a", "b"]'),
        ('[hub]\nlog = "xml"', 2, "hub.log", '"auto", "text" or "json"'),
        ('[hub]\ntime_zone = "Mars/Base"', 2, "hub.time_zone", "Europe/Berlin"),
        ('[hub]\ntime_zone = "../../etc/passwd"', 2, "hub.time_zone", "is no time zone"),
        ('[hub]\ndata = ""', 2, "hub.data", "has no name"),
        ("hub = 3", 1, "hub", "is not a table"),
        ("[bus]\nport = 70000", 2, "bus.port", "0 (any free port) to 65535"),
        ("[bus]\nport = true", 2, "bus.port", "true is not a whole number"),
        ('[bus]\nsync = "sometimes"', 2, "bus.sync", '"always"'),
        ('[bus]\nurl = "localhost:4222"', 2, "bus.url", "nats://host:4222"),
        ('[bus]\nurl = "nats://tok-5ecret@h:4222"', 2, "bus.url", "TOCSIN_BUS_TOKEN"),
        ('[bus]\nurl = "redis://:tok-5ecret@h:4222"', 2, "bus.url", "is no NATS address"),
        ("[alerts]\nband_percent = nan", 2, "alerts.band_percent", "nan is out of range"),
        ("[alerts]\nband_percent = -0.1", 2, "alerts.band_percent", "0 to 50"),
        ("[alerts]\nlate_after_s = inf", 2, "alerts.late_after_s", "inf is out of range"),
        ("[alerts]\nper_person = 0", 2, "alerts.per_person", "1 or more"),
        ("[delivery]\ngive_up_after_hours = 0", 2, "delivery.give_up_after_hours", "more than 0"),
        ("[delivery]\nallow_private = 1", 2, "delivery.allow_private", "true or false"),
        ('[history]\nurl = "postgres://u:tok-5ecret@h"', 2, "history.url", "TOCSIN_HISTORY__PASSWORD"),
        ('[history]\nurl = "mysql://h"', 2, "history.url", "is no PostgreSQL URL"),
        ('[ledger]\nurl = "postgresql:///there"', 2, "ledger.url", "postgresql://user@host:5432/database"),
        ('[ledger]\nurl = "postgresql://h:port/there"', 2, "ledger.url", "is no PostgreSQL URL"),
        ('[cache]\nurl = "http://h"', 2, "cache.url", "is no Redis URL"),
        ('[cache]\nurl = "redis://:tok-5ecret@h"', 2, "cache.url", "TOCSIN_CACHE__PASSWORD"),
        ('[charts]\ntheme = "drak"', 2, "charts.theme", 'did you mean "dark"?'),
        ("[feeds.prices]\nmute_after_s = 0", 2, "feeds.prices.mute_after_s", "out of range"),
        ("[feeds.prices]\nevery_s = 0", 2, "feeds.prices.every_s", "0 is not what is needed (expected `float` > 0.0)"),
        ("[feeds.prices]\nevry_s = 1", 2, "feeds.prices.evry_s", 'did you mean "every_s"?'),
        ("[feeds.prices]\nenabld = true", 2, "feeds.prices.enabld", 'did you mean "enabled"?'),
        ('[feeds.prices]\nkinds = ["tade"]', 2, "feeds.prices.kinds", "tade"),
        ('[feeds.prices]\nsymbols = { "xau usd" = "x" }', 2, "feeds.prices.symbols.xau usd", 'like "XAU-USD"'),
        ("[feeds.prices.symbols]\nXAU-USD = 3", 1, "feeds.prices.symbols", "a table of texts"),
        ('[feeds.prices]\napi_key = "tok-5ecret"', 2, "feeds.prices.api_key", "TOCSIN_FEEDS__PRICES__API_KEY"),
        ("[feeds.keyed]", 1, "feeds.keyed.token", "set TOCSIN_FEEDS__KEYED__TOKEN"),
        ('[feeds.keyed]\ntoken = "tok-5ecret"', 2, "feeds.keyed.token", "never in this file"),
        ("[feeds.half]", 1, "feeds.half.module", "it lacks NATURE and run"),
        ('[feeds.x]\nmodule = "../../etc"', 2, "feeds.x.module", "not a path"),
        ('[feeds."a b"]', 1, "feeds.a b", "is no name"),
        ("feeds = []", 1, "feeds", "is not a table"),
        ("[feeds]\nprices = 1", 2, "feeds.prices", "is not a table"),
        ("[bots.bel]", 1, "bots.bel.module", "there is no bot module"),
        ("[bots.bell]\nloud = true", 2, "bots.bell.loud", "there is no setting"),
        ('[feeds.prices]\n[prefer]\nXAU-USD = ["price"]', 3, "prefer.XAU-USD", 'did you mean "prices"?'),
        ('[feeds.prices]\n[prefer]\nXAU-USD = "prices"', 3, "prefer.XAU-USD", "is not a list of feeds"),
        ("[instruments.gold]", 1, "instruments.gold", "is no instrument id"),
        ('[instruments.XAU-USD]\nid = "XAU-USD"', 2, "instruments.XAU-USD.id", "remove this line"),
        ("[instruments.XAU-USD]\ndecimals = 99", 2, "instruments.XAU-USD.decimals", "0 to 12"),
        ("[instruments.XAU-USD]\noutlier = nan", 2, "instruments.XAU-USD.outlier", "above 0"),
        ('[instruments.XAU-USD]\nsession = "weekdays"', 2, "instruments.XAU-USD.session", "24x7"),
        ('[feeds.prices]\nsymbols = { XAU-USB = "x" }', 2, "feeds.prices.symbols.XAU-USB", 'did you mean "XAU-USD"?'),
        ('[instruments.XAU-USD]\nclass = "shiny"', 2, "instruments.XAU-USD.class", '"metal"'),
    ],
)
def test_one_mistake_is_one_problem_on_its_own_line(tmp_path: Path, text: str, line: int, key: str, words: str) -> None:
    """Each sort of mistake is told once, where it is, with what is expected, and never with a secret."""
    ((found_line, found_key, said),) = problems(tmp_path, text)
    assert (found_line, found_key) == (line, key)
    assert words in said
    assert "tok-5ecret" not in said


def test_a_syntax_error_is_one_problem_with_its_line(tmp_path: Path) -> None:
    """TOML that cannot be parsed is told at the line where it breaks."""
    ((line, key, text),) = problems(tmp_path, '[hub]\nlog = "text"\ndata = data\n')
    assert (line, key) == (3, "")
    assert "this is not TOML" in text


def test_a_syntax_error_at_the_end_of_the_file_has_a_line_too(tmp_path: Path) -> None:
    """An open string ends with the file."""
    ((line, _, text),) = problems(tmp_path, '[hub]\nroles = ["ingest",')
    assert line == 2
    assert "this is not TOML" in text


def test_a_file_that_is_not_there_or_not_text_is_a_problem(tmp_path: Path) -> None:
    """A path that was given has to be readable."""
    with pytest.raises(ConfigProblems, match="there is no such file"):
        load(tmp_path / "absent.toml", environ={})
    with pytest.raises(ConfigProblems, match="cannot be read"):
        load(tmp_path, environ={})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigProblems, match="not UTF-8"):
        load(tmp_path / "binary.toml", environ={})


def test_what_is_switched_off_is_asked_nothing(tmp_path: Path) -> None:
    """A feed that is not enabled may lack its module and its settings."""
    config = read(tmp_path, '[feeds.absent]\nenabled = false\nanything = "goes"\n')
    assert [(one.name, one.enabled) for one in config.feeds] == [("absent", False)]


def test_a_recording_must_be_alone(tmp_path: Path) -> None:
    """A recording beside another feed would mix yesterday with today."""
    assert read(tmp_path, "[feeds.tape]\n[feeds.prices]\nenabled = false").feeds[0].name == "tape"
    ((line, key, text),) = problems(tmp_path, "[feeds.prices]\n[feeds.tape]\n")
    assert (line, key) == (2, "feeds.tape")
    assert "a recording must have a data folder of its own" in text


def test_recordings_may_be_played_together(tmp_path: Path) -> None:
    """Two vendors of one day, say; beside a live feed each of them is named."""
    tapes = '[feeds.tape]\n[feeds.other]\nmodule = "tape"\n'
    assert [one.name for one in read(tmp_path, tapes).feeds] == ["tape", "other"]
    found = problems(tmp_path, f"{tapes}[feeds.prices]\n")
    assert [key for _, key, _ in found] == ["feeds.tape", "feeds.other"]
    assert all("plays a recording beside prices:" in text for _, _, text in found)


def test_the_data_folder_stands_beside_the_file_unless_it_is_given(tmp_path: Path, monkeypatch: Any) -> None:
    """A relative folder belongs to the file; one from the command line belongs to where it was typed."""
    monkeypatch.chdir("/")
    path = written(tmp_path, '[hub]\ndata = "kept"\n')
    assert load(path, environ={}).folder == tmp_path / "kept"
    assert load(path, data=tmp_path / "other", environ={}).folder == tmp_path / "other"
    assert load(path, data=Path("typed"), environ={}).folder == Path("/typed")


def test_without_a_path_the_file_in_this_folder_counts(tmp_path: Path, monkeypatch: Any) -> None:
    """./config.toml is found; the configuration says where it came from."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, '[hub]\ntime_zone = "Asia/Kolkata"\n')
    config = load(None, environ={})
    assert config.hub.time_zone == "Asia/Kolkata"
    assert config.source == str(tmp_path / "config.toml")


def test_lines_are_found_whatever_the_style_of_the_file() -> None:
    """Headers, dotted and quoted keys, comments and multi-line values."""
    text = '''# hub = 1
[feeds."gold-x".symbols] # here
"XAU-USD" = "a"
  roles = [
    "x",
  ]
text = """
fake = 1
[fake]
"""
a.b = 1
'''
    assert lines_of(text) == {
        ("feeds", "gold-x", "symbols"): 2,
        ("feeds", "gold-x", "symbols", "XAU-USD"): 3,
        ("feeds", "gold-x", "symbols", "roles"): 4,
        ("feeds", "gold-x", "symbols", "text"): 7,
        ("feeds", "gold-x", "symbols", "a", "b"): 11,
    }


SCALARS = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.lists(st.integers(), max_size=2))


@given(
    st.dictionaries(
        st.sampled_from([*SECTIONS, "feeds", "bots", "prefer", "instruments", "odd"]),
        st.one_of(
            SCALARS,
            st.dictionaries(
                st.sampled_from(["url", "port", "prices", "XAU-USD", "token", "roles", "data", "odd"]),
                st.one_of(SCALARS, st.dictionaries(st.sampled_from(["url", "symbols", "name", "id"]), SCALARS)),
            ),
        ),
    )
)
def test_whatever_the_file_holds_it_is_a_config_or_problems(raw: dict[str, Any]) -> None:
    """No content of a file ends in anything but a Config or ConfigProblems' list."""
    reading = configuration.Reading(raw, {}, {})
    config = reading.config(Path("/nowhere"), None, "a test")
    assert isinstance(config, Config)
    assert all(problem.text for problem in reading.problems)


# ------------------------------------------------------------------------------------------- environment


def test_the_environment_replaces_single_settings_with_their_types(tmp_path: Path) -> None:
    """Numbers, switches, lists and tables are read as what the setting is."""
    config = read(
        tmp_path,
        '[hub]\nlog_level = "error"\n[feeds.gold-x]\nmodule = "prices"\nevery_s = 9\n',
        TOCSIN_HUB__LOG_LEVEL="debug",
        TOCSIN_HUB__ROLES="ingest, record",
        TOCSIN_BUS__PORT="4222",
        TOCSIN_DELIVERY__ALLOW_PRIVATE="true",
        TOCSIN_FEEDS__GOLD_X__EVERY_S="0.5",
        TOCSIN_FEEDS__GOLD_X__DEPTH="7",
        TOCSIN_FEEDS__GOLD_X__KINDS="trade",
        TOCSIN_FEEDS__GOLD_X__SYMBOLS="XAU-USD=XAU/USD,BTC-USDT=btcusdt",
        TOCSIN_DATA="is no setting of ours",
    )
    assert (config.hub.log_level, config.hub.roles, config.bus.port) == ("debug", ("ingest", "record"), 4222)
    assert config.delivery.allow_private is True
    (feed,) = config.feeds
    assert feed.settings == {"every_s": 0.5, "depth": 7, "kinds": ["trade"]}
    assert feed.symbols == {"XAU-USD": "XAU/USD", "BTC-USDT": "btcusdt"}


def test_a_wrong_variable_is_named_by_its_name(tmp_path: Path) -> None:
    """Nobody looks in the file for what the environment says."""
    found = problems(
        tmp_path,
        "",
        TOCSIN_ALERTS__PER_PERSON="ten",
        TOCSIN_HUB__LOG_LEVL="debug",
        TOCSIN_HBU__LOG_LEVEL="debug",
        TOCSIN_BUS__PORT="70000",
    )
    assert {key: text for _, key, text in found} == {
        "TOCSIN_ALERTS__PER_PERSON": '"ten" is not a whole number',
        "TOCSIN_HUB__LOG_LEVL": 'there is no setting "log_levl" (did you mean "log_level"?)',
        "TOCSIN_HBU__LOG_LEVEL": 'this names no setting (did you mean "hub"?); the forms are TOCSIN_<SECTION>__<KEY>, '
        "TOCSIN_FEEDS__<NAME>__<KEY> or TOCSIN_BOTS__<NAME>__<KEY>",
        "TOCSIN_BUS__PORT": "70000 is out of range; it has to be 0 (any free port) to 65535",
    }
    assert {line for line, _, _ in found} == {None}


def test_a_token_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    """The bus's token and a feed's are given without standing in config.toml."""
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    assert read(tmp_path, "", TOCSIN_BUS_TOKEN="direct").bus.token == "direct"
    assert read(tmp_path, "", TOCSIN_BUS_TOKEN_FILE=str(secret)).bus.token == "from-a-file"
    config = read(tmp_path, "[feeds.keyed]", TOCSIN_FEEDS__KEYED__TOKEN_FILE=str(secret))
    assert config.feeds[0].settings == {"token": "from-a-file"}
    ((_, key, text),) = problems(tmp_path, "", TOCSIN_BUS_TOKEN_FILE=str(tmp_path / "absent"))
    assert key == "TOCSIN_BUS_TOKEN_FILE"
    assert "cannot be read" in text


# ---------------------------------------------------------------------------------------------- children


def test_a_child_gets_the_same_configuration_without_secrets(tmp_path: Path) -> None:
    """What a parent dumps a child reads back equal, with the tokens of its own environment."""
    environ = {"TOCSIN_BUS_TOKEN": "tok-5ecret", "TOCSIN_FEEDS__KEYED__TOKEN": "k3y-5ecret", "TOCSIN_HUB__DATA": "kept"}
    config = read(
        tmp_path,
        """
        [feeds.prices]
        symbols = { XAU-USD = "XAU/USD" }
        every_s = 0.5
        depth = 3
        kinds = ["trade"]
        [feeds.keyed]
        [feeds.absent]
        enabled = false
        odd = 1
        [bots.bell]
        [prefer]
        XAU-USD = ["keyed", "prices"]
        [instruments.XAU-USD]
        stale_after_s = 5.0
        """,
        **environ,
    )
    raw = dump(config)
    assert b"5ecret" not in raw
    assert parse_dump(raw, environ) == config
    with pytest.raises(ConfigProblems, match="TOCSIN_FEEDS__KEYED__TOKEN"):
        parse_dump(raw, {})


def test_importing_the_configuration_is_light() -> None:
    """A child that reads its configuration has not paid for sockets, chat platforms or databases."""
    heavy = ("aiohttp", "nats", "sqlalchemy", "apprise", "rich.console.", "asyncpg", "matplotlib")
    script = "import sys, hub.config; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "hub.config" in loaded
    assert not [name for name in loaded if name.startswith(heavy)]


# ------------------------------------------------------------------------------------ the shipped config

DEFAULT_LINE = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)


def fields_of(kind: type[msgspec.Struct], leaving_out: Sequence[str] = ()) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)} - set(leaving_out)


def effective(config: Config) -> Config:
    """With the settings of feeds and bots as their modules see them, defaults included."""

    def typed(section: Any, made: Any) -> Any:
        return msgspec.structs.replace(section, settings=plugins.settings_of(made, section.settings))

    feeds = tuple(typed(one, plugins.feed(one.module)) for one in config.feeds)
    return msgspec.structs.replace(
        config, feeds=feeds, bots=tuple(typed(one, plugins.bot(one.module)) for one in config.bots)
    )


def shipped_sections() -> dict[str, Any]:
    """The shipped file with every default switched on, as plain tables."""
    return tomllib.loads(DEFAULT_LINE.sub("", SHIPPED.read_text()))


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_of_a_section_stands_in_the_shipped_file(name: str) -> None:
    """The commented file is the reference; a setting that is added without a line there fails here."""
    assert set(shipped_sections()[name]) == fields_of(SECTIONS[name], ["token", "password"])


def test_every_setting_of_a_feed_and_a_bot_stands_in_the_shipped_file() -> None:
    """The generic settings and the module's own, for each one that is shipped switched on."""
    sections = shipped_sections()
    for name, table in sections["feeds"].items():
        own = fields_of(plugins.feed(name).Settings)
        assert set(table) == fields_of(configuration.FeedSection, ["name", "settings"]) | own, name
    for name, table in sections["bots"].items():
        own = fields_of(plugins.bot(name).Settings, ["token", "app_token"])  # from the environment only
        assert set(table) == fields_of(configuration.BotSection, ["name", "settings"]) | own, name


def test_the_lines_that_are_commented_out_are_the_defaults(tmp_path: Path) -> None:
    """Switching them all on changes nothing."""
    text = SHIPPED.read_text()
    switched_on = DEFAULT_LINE.sub("", text)
    assert switched_on.count("\n# ") < text.count("\n# ") - 20
    assert effective(read(tmp_path, switched_on)) == effective(read(tmp_path, text))


def test_the_built_in_settings_are_the_shipped_file(tmp_path: Path, monkeypatch: Any) -> None:
    """A hub without a file is the hub that the shipped file describes."""
    active = {name: table for name, table in tomllib.loads(SHIPPED.read_text()).items() if table}
    assert active == BUILT_IN
    monkeypatch.chdir(tmp_path)
    built_in, shipped = load(None, environ={}), load(written(tmp_path, SHIPPED.read_text()), environ={})
    assert built_in.source == BUILT_IN_SOURCE
    assert msgspec.structs.replace(built_in, source=shipped.source) == shipped


def test_the_examples_in_the_shipped_file_are_right(tmp_path: Path) -> None:
    """What it offers as an example can be used as it stands."""
    text = SHIPPED.read_text().replace("# for example: ", "")
    config = read(tmp_path, text)
    assert config.prefer
    assert config.instruments


# ---------------------------------------------------------------------------------------------- plugins


def test_a_plugin_is_found_by_its_name_only() -> None:
    """A name is a module's name: no path, no keyword, nothing private."""
    assert plugins.feed("prices").NATURE is Nature.LIVE
    for name in ("../prices", "prices.x", "", "class", "_private", "os/path"):
        with pytest.raises(PluginProblem, match="not a path"):
            plugins.feed(name)


def test_a_plugin_that_is_missing_says_what_there_is(tmp_path: Path, monkeypatch: Any) -> None:
    """The sentence names what was asked for and what could be; helper files beside the feeds are no feeds."""
    (tmp_path / "candles.py").write_text("Settings = NATURE = None\nasync def run(): ...\n")
    (tmp_path / "parsing.py").write_text("def parse(): ...\n")
    monkeypatch.setattr(importlib.import_module("plugins.feeds"), "__path__", [str(tmp_path)])
    with pytest.raises(PluginProblem) as caught:
        plugins.feed("candels")
    said = str(caught.value)
    assert said == 'there is no feed module "candels" (did you mean "candles"?); there is candles'


def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(tmp_path: Path, monkeypatch: Any) -> None:
    """The cure is a line to type."""
    (tmp_path / "ringing.py").write_text("import apprise.nothing_here\n")
    monkeypatch.setattr(importlib.import_module("bots"), "__path__", [str(tmp_path)])
    with pytest.raises(PluginProblem, match=r'pip install "tocsin\[push\]"'):
        plugins.bot("ringing")


def test_a_plugin_that_breaks_while_it_is_imported_is_told(tmp_path: Path, monkeypatch: Any) -> None:
    """A bug in a plugin is that plugin's problem, in a sentence."""
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.setattr(importlib.import_module("plugins.feeds"), "__path__", [str(tmp_path)])
    with pytest.raises(PluginProblem, match="ZeroDivisionError"):
        plugins.feed("broken")


def test_an_entry_point_is_a_plugin_too(tmp_path: Path, monkeypatch: Any) -> None:
    """What another distribution installs is found by its name, after our own modules."""
    about = tmp_path / "far-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: far\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[tocsin.feeds]\nfar = far_feed\nnear = far_feed:run\n")
    (tmp_path / "far_feed.py").write_text("NATURE = 1\nclass Settings: ...\nasync def run(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert plugins.feed("far").__name__ == "far_feed"  # type: ignore[attr-defined]
    assert "far" in plugins.names(plugins.FEEDS)
    with pytest.raises(PluginProblem, match="it has to name a module"):
        plugins.feed("near")
    monkeypatch.delitem(sys.modules, "far_feed")


def test_a_command_has_its_modules_name_unless_it_says_another() -> None:
    """NAME is optional."""
    assert plugins.command("bare").NAME == "bare"


def test_a_command_that_cannot_be_loaded_leaves_the_others(tmp_path: Path, monkeypatch: Any) -> None:
    """One broken command takes no other with it."""
    good = "USAGE = SUMMARY = ''\nEXAMPLES = ()\nasync def run(): ...\n"
    (tmp_path / "fine_one.py").write_text(good)
    (tmp_path / "broken_one.py").write_text(good + "1 / 0\n")
    monkeypatch.setattr(importlib.import_module("plugins.commands"), "__path__", [str(tmp_path)])
    assert [command.NAME for command in plugins.commands()] == ["fine_one"]
    monkeypatch.delitem(sys.modules, "plugins.commands.fine_one")


def test_settings_are_the_modules_own_or_every_wrong_field() -> None:
    """A plain table becomes the struct; a struct stays as it is; all that is wrong is told together."""
    feed = plugins.feed("prices")
    assert plugins.settings_of(feed, {"every_s": 3}) == FeedSettings(every_s=3.0)
    assert plugins.settings_of(feed, None) == FeedSettings()
    assert plugins.settings_of(feed, FeedSettings(depth=2)) == FeedSettings(depth=2)
    with pytest.raises(SettingsProblems) as caught:
        plugins.settings_of(feed, {"every_s": -1, "url": 3, "odd": 1})
    assert [problem.key for problem in caught.value.problems] == ["every_s", "url", "odd"]


def test_what_a_modules_own_check_refuses_is_a_problem_of_its_section(tmp_path: Path, monkeypatch: Any) -> None:
    """A Settings may check its fields against each other."""

    class Between(msgspec.Struct, frozen=True, kw_only=True):
        low: int = 1
        high: int = 2

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError(f"low ({self.low}) is above high ({self.high})")

    between = module("plugins.feeds.between", Settings=Between, NATURE=Nature.LIVE, run=run)
    monkeypatch.setitem(sys.modules, "plugins.feeds.between", between)
    assert problems(tmp_path, "[feeds.between]\nlow = 5") == [(1, "feeds.between", "low (5) is above high (2)")]
