"""The `tocsin` command. What it runs is imported when it runs, so that `tocsin --help` is quick.

Exit codes: 0 done, 1 refused or not reached, 2 cannot start or go on, 130 interrupted. A problem that we know is a
sentence on stderr; a trace is a bug.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from hub import __version__, cli_data
from hub.cli_data import ConfigFile, DataFolder

if TYPE_CHECKING:
    from hub.config import Config

NOT_REACHED = 1
CANNOT_START = 2
INTERRUPTED = 130

app = App(
    name="tocsin",
    help="A self-hosted price notification hub.",
    version=f"tocsin {__version__}",
    result_action="return_value",
)

OwnFolder = Annotated[Path | None, Parameter(name="--data", help="A folder to keep it in; forgotten by default.")]
Person = Annotated[str | None, Parameter(name="--as", help="Whose name to use; operator by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs.")]
SaveTo = Annotated[
    Path | None, Parameter(name="--save", help="Where a picture or a file goes; into the current folder by default.")
]
Roles = Annotated[str | None, Parameter(name="--roles", help="What this process does, comma separated: ingest,record.")]
Words = Annotated[str, Parameter(allow_leading_hyphen=True, help='What to ask, as in a chat: "price gold".')]
Recording = Annotated[str, Parameter(help="The files to play; FILE@Etc/GMT+5 says the time zone of its stamps.")]
Formats = Annotated[
    list[str], Parameter(name="--format", negative="", help="How the recording is written; one for all, or one each.")
]
Instruments = Annotated[
    list[str],
    Parameter(name="--instrument", negative="", help="Whose prices, as XAU-USD or A,B; one for all, or one each."),
]
AlertLines = Annotated[
    list[str] | None, Parameter(name="--alert", negative="", help='An alert to set first: "gold > 2400".')
]
SplitLines = Annotated[
    list[str] | None, Parameter(name="--split", negative="", help='A split of its stock: "AAPL 7:1 2014-06-09".')
]
Targets = Annotated[
    list[str] | None, Parameter(name="--notify", negative="", help="Where alerts go: an apprise or webhook URL.")
]


# ------------------------------------------------------------------------------------------- running a hub


@app.command
def run(*, config: ConfigFile = None, data: DataFolder = None, roles: Roles = None) -> int:
    """Run the hub until Ctrl-C."""
    from hub import logs
    from hub.supervise import supervise

    settings = _load(config, data, roles)
    logs.setup(settings.hub.log, settings.hub.log_level, process="supervise")
    return asyncio.run(supervise(settings))


@app.command
def demo(
    *, data: DataFolder = None, chat: Annotated[bool, Parameter(help="Open a chat, or only run the hub.")] = True
) -> int:
    """Run the hub on a simulated market, with a chat."""
    from hub import demo

    return asyncio.run(demo.main(data, chat=chat))


@app.command
def replay(
    *files: Recording,
    format: Formats,
    instrument: Instruments,
    date: Annotated[str, Parameter(help="The day of a recording that holds times only, as 2026-11-20.")] = "",
    speed: Annotated[str, Parameter(help="max, or so many times as fast as it was.")] = "max",
    times: Annotated[Literal["kept", "shifted"], Parameter(help="The recording's own times, or as of now.")] = "kept",
    alert: AlertLines = None,
    split: SplitLines = None,
    notify: Targets = None,
    data: OwnFolder = None,
    json: AsJson = False,
) -> int:
    """Play recordings through a whole hub and tell what rang."""
    from hub import replay
    from hub.replay.asked import Asked

    asked = Asked(
        files=files,
        formats=format,
        instruments=instrument,
        date=date,
        speed=speed,
        times=times,
        alerts=tuple(alert or ()),
        splits=tuple(split or ()),
        notify=tuple(notify or ()),
        data=data,
        as_json=json,
    )
    return asyncio.run(replay.main(asked))


# ------------------------------------------------------------------------------------------- talking to one


@app.command
def chat(*, data: DataFolder = None, config: ConfigFile = None, as_: Person = None) -> int:
    """Talk to the running hub; alerts arrive while you type."""
    from hub import talk

    return asyncio.run(talk.chat(_reached(config, data), as_))


@app.command
def ask(
    *line: Words,
    data: DataFolder = None,
    config: ConfigFile = None,
    as_: Person = None,
    json: AsJson = False,
    save: SaveTo = None,
) -> int:
    """Ask one line and print the answer."""
    from hub import talk

    if not line:
        _say('what to ask? For example: tocsin ask "price gold"')
        return NOT_REACHED
    settings = _reached(config, data)
    _log_apart(settings, "ask")
    return asyncio.run(talk.ask(" ".join(line), config=settings, name=as_, as_json=json, save=save))


@app.command
def status(*, data: DataFolder = None, config: ConfigFile = None) -> int:
    """Tell how the hub is: feeds, positions, deliveries, children."""
    from hub import talk

    settings = _reached(config, data)
    _log_apart(settings, "status")
    return asyncio.run(talk.status(settings))


@app.command
def check(*, config: ConfigFile = None, data: DataFolder = None) -> int:
    """Look at the configuration and at everything it names, and tell what to change."""
    from hub.check import check

    return asyncio.run(check(config, data))


@app.command
def version() -> int:
    """Print the version."""
    print(f"tocsin {__version__}")
    return 0


cli_data.add_to(app)


# ------------------------------------------------------------------------------------------- for the supervisor


@app.command(show=False)
def core() -> int:
    """A child of `tocsin run`: every role but the bots."""
    from hub import child

    return child.main(["core"])


@app.command(show=False)
def bot(name: str) -> int:
    """A child of `tocsin run`: one bot."""
    from hub import child

    return child.main(["bot", name])


# ------------------------------------------------------------------------------------------- the edge


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and ends the process with its exit code."""
    sys.exit(guarded(lambda: app(arguments)))


def guarded(command: Callable[[], object]) -> int:
    """The exit code of a command; a problem that we know becomes a sentence."""
    try:
        result = command()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `tocsin ask ... | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_REACHED
    except Exception as error:
        problems = [_known(one) for one in _each(error)]
        if not all(problems):
            raise
        for sentence, _ in filter(None, problems):
            _say(sentence)
        return max(code for _, code in filter(None, problems))


def _known(error: BaseException) -> tuple[str, int] | None:
    """Its sentence and exit code; none for a bug."""
    from hub.broker import BrokerProblem
    from hub.config import ConfigProblems
    from hub.load import PluginProblem, SettingsProblems
    from hub.lock import HubProblem
    from hub.plugin import BadRequest, GiveUp, TryLater

    if isinstance(error, ConfigProblems | BrokerProblem | HubProblem | PluginProblem | SettingsProblems):
        return str(error), CANNOT_START
    if isinstance(error, TryLater | GiveUp | BadRequest):
        return str(error), NOT_REACHED
    return None


def _each(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _each(one)
    else:
        yield error


def _say(sentence: str) -> None:
    """What it quotes from a file or a server does nothing to the terminal."""
    from hub.render import safe

    print("\n".join(f"tocsin: {safe(line)}" for line in sentence.split("\n")), file=sys.stderr)


def _log_apart(settings: "Config", process: str) -> None:
    """What is logged goes to stderr, and only what a person has to know: stdout is the answer."""
    from hub import logs

    logs.setup(settings.hub.log, "error", process=process)


def _reached(path: Path | None, data: Path | None) -> "Config":
    """The configuration of the hub to talk to: where nothing was named and only the demo runs here, the demo's."""
    from hub import demo, talk

    settings = _load(path, data)
    folder = demo.FOLDER.absolute()
    if path is None and data is None and talk.address_of(settings) is None and talk.find_hub(folder) is not None:
        _say(f"(asking the demo on {demo.FOLDER}; no hub runs on {settings.folder})")
        return demo.config(folder)
    return settings


def _load(path: Path | None, data: Path | None, roles: str | None = None) -> "Config":
    """The configuration; roles of the command line are read, and refused, like those of the environment."""
    from hub.config import load

    said = {} if roles is None else {"TOCSIN_HUB__ROLES": roles}
    return load(path, data=data, environ={**os.environ, **said})
