"""Conversations: lines, replies and what platforms offer of them."""

from typing import Literal

from hub.model.base import Noun
from hub.model.market import Instrument
from hub.model.people import Place, Role, User, Who


class Button(Noun, frozen=True, kw_only=True):
    label: str
    line: str  # the command line it stands for; at most 64 bytes


class File(Noun, frozen=True, kw_only=True):
    """Something to keep: `name` has no folder in it. At most 4 MB."""

    name: str
    media_type: str
    content: bytes


class Argument(Noun, frozen=True, kw_only=True):
    """One thing that a command takes, for menus, completion and forms. A line holds the values in the order of the
    arguments, each behind its `lead` if it has one ("vs silver"); hub.forms makes it."""

    name: str  # a word in lower case: "instrument"
    about: str  # a few words for a person: "what to watch"
    kind: Literal["instrument", "instruments", "number", "choice", "span", "alert", "text"] = "text"
    choices: tuple[str, ...] = ()  # of a choice; at most 25
    required: bool = False
    lead: str = ""
    example: str = ""
    quoted: bool = False  # it stands in quotation marks in the line


class Form(Noun, frozen=True, kw_only=True):
    """What is still to be said: a platform shows it as its own form, or asks step by step. `values` is what was
    understood, by the argument's name. What comes out of it is a line that begins with `command`."""

    title: str
    command: str
    arguments: tuple[Argument, ...]
    values: dict[str, str] = {}


class MenuEntry(Noun, frozen=True, kw_only=True):
    name: str
    usage: str
    summary: str
    summaries: dict[str, str] = {}  # by language, where there is another than English
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...]
    role: Role  # the least that may run it
    private: bool = False  # its answers are for the asker alone, also where it is asked in a group


class Menu(Noun, frozen=True, kw_only=True):
    """What a hub can be asked, for a platform's own menus and completion; answered on the subject `menu`."""

    commands: tuple[MenuEntry, ...]
    instruments: tuple[Instrument, ...]  # those that are served


class Reply(Noun, frozen=True, kw_only=True):
    """What a command answers: what every platform can show. Table cells are text; the first row is the head. `image`
    is a PNG, and `lines` say in words what it shows. `ok` is false where the request was refused, and then `lines` say
    what to do instead."""

    title: str = ""
    lines: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    image: bytes | None = None
    file: File | None = None
    buttons: tuple[Button, ...] = ()
    form: Form | None = None  # offered with the rest; a platform without forms leaves it out
    private: bool = False  # for the asker's eyes: not into a group where the platform can help it
    replace: bool = False  # in the place of the message whose button was pressed
    ok: bool = True
    facts: dict[str, object] = {}  # the same answer for programs (`tocsin ask --json`)


class Line(Noun, frozen=True, kw_only=True):
    """A line of text from somebody, on its way to `commands`."""

    text: str
    who: Who


class Request(Noun, frozen=True, kw_only=True):
    """A line after it was split and authorised: what `command.<name>` receives. In a group or channel `user` has the
    name and the role of the person who asks, and else what is the place's: owner, time zone, how things are shown."""

    name: str
    arguments: str  # what stands behind the command's name
    user: User
    who: Who
    place: Place | None = None  # that the line is about; None where it is about the person
    may_change: bool = True  # what belongs to the place: its alerts, lists and digests
