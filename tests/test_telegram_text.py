"""Telegram's limits as a table, what is cut to them, which words are a line, and what our server refuses."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError
from aiogram.types import BotCommand, BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup
from hypothesis import given
from hypothesis import strategies as st

from bots.telegram import inline, limits, lines, menu, render
from hub.model import Button, Destination, Instrument, Menu, MenuEntry, Notification, Reply, Role
from hub.outgoing import message
from tests.fakes import telegram_rules as rules
from tests.fakes.telegram import TOKEN, Telegram

NOW = 1_800_000_000_000_000
WORDS = st.text(max_size=600)
ROWS = st.lists(st.tuples(st.text(max_size=60), st.text(max_size=30)), max_size=120).map(tuple)


def notification(number: int, title: str, text: str, note: str = "") -> Notification:
    return Notification(
        id=number, alert_id=number, title=title, text=text, note=note, instrument="X", created_at=NOW, ticked_at=NOW
    )


# ----------------------------------------------------------------------------------------------- limits


def test_the_table_of_limits() -> None:
    """As the Bot API states them; the pace is below what its FAQ allows."""
    assert (limits.TEXT, limits.CAPTION, limits.CALLBACK_BYTES, limits.COMMANDS) == (4096, 1024, 64, 100)
    assert (limits.DESCRIPTION, limits.INLINE_RESULTS, limits.TOAST, limits.BUTTONS) == (256, 50, 200, 100)
    for budget, most, per_s in zip(
        (*limits.OVERALL[:1], *limits.PRIVATE, *limits.GROUP), (30, 1, 1, 20), (1, 1, 1, 60), strict=True
    ):
        assert budget.most / budget.per_s <= most / per_s and budget.per_s >= per_s
    assert (limits.of_chat("-5"), limits.of_chat("5")) == (limits.GROUP, limits.PRIVATE)


@given(st.text(max_size=300), st.integers(1, 200))
def test_a_cut_text_fits_and_begins_alike(text: str, most: int) -> None:
    """Counted as Telegram may count; what fits stays whole."""
    cut = limits.cut(text, most)
    assert rules.units(cut.encode("utf-8", "replace").decode()) <= most
    assert cut == text if limits.size(text) <= most else text.startswith(cut[:-1])


@given(
    title=st.text(max_size=300),
    lines=st.lists(WORDS, max_size=20).map(tuple),
    rows=ROWS,
    most=st.sampled_from([1024, 4096]),
)
def test_whatever_a_reply_holds_it_is_sound_markup_within_the_limit(
    title: str, lines: tuple[str, ...], rows: tuple[tuple[str, str], ...], most: int
) -> None:
    """No text can break out of its place, and no length breaks a limit."""
    shown = render.text(Reply(title=title, lines=lines, table=(("a", "b"), *rows) if rows else ()), most)
    text, entities = rules.parsed(shown)
    assert 0 < rules.units(text) <= most
    assert {one["type"] for one in entities} <= {"bold", "pre"}


@pytest.mark.parametrize("most", [limits.TEXT, limits.CAPTION])
def test_the_longest_reply_keeps_what_matters(most: int) -> None:
    """The title whole, the words beside the table, its first rows, and how much is missing."""
    rows = tuple((f"Thing {number}", f"{number:,}.00 USD") for number in range(400))
    reply = Reply(
        title="Prices of everything", table=(("thing", "price"), *rows), lines=("One of them is stale.", "x " * 4_000)
    )
    text, _ = rules.parsed(render.text(reply, most))
    assert text.startswith("Prices of everything\nthing")
    assert "Thing 0 " in text and "0.00 USD" in text and "more lines" in text and "One of them is stale." in text
    assert most * 0.9 < rules.units(text) <= most


@given(st.lists(st.tuples(st.text(min_size=1, max_size=250), WORDS, WORDS), min_size=1, max_size=50))
def test_no_alert_loses_its_title(rung: list[tuple[str, str, str]]) -> None:
    """However many wait for one chat, and whatever stands in them."""
    destination = Destination(id=1, owner_id=1, platform="telegram", address="1", label="x")
    sent = message(destination, [notification(number, *each) for number, each in enumerate(rung)])
    posts = render.alerts(sent)
    texts = [rules.worded(post.html, "HTML", rules.TEXT)["text"] for post in posts]
    assert sum(text.count("🔔") for text in texts) >= len(rung)
    for post in posts:
        rules.keyboard(
            {"inline_keyboard": [[{"text": k.label, "callback_data": k.data} for k in row] for row in post.rows]}
        )


@given(st.lists(st.tuples(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=80)), max_size=130))
def test_buttons_are_whole_or_absent(buttons: list[tuple[str, str]]) -> None:
    """A line that does not fit into 64 bytes is no button rather than another line."""
    offered = [Button(label=label, line=line) for label, line in buttons if line.split()]
    rows = render.rows(offered)
    keys = [key for row in rows for key in row]
    assert {key.data for key in keys} <= {one.line for one in offered} and len(keys) <= 100
    assert all(len(key.data.encode()) <= 64 for key in keys) and all(1 <= len(row) <= 4 for row in rows)
    if keys:
        rules.keyboard(
            {"inline_keyboard": [[{"text": k.label or "?", "callback_data": k.data} for k in row] for row in rows]}
        )


def test_menus_hold_what_telegram_takes() -> None:
    """At most 100 commands, whose names are such; a name with a dash gets Telegram's underscore."""
    entries = [
        MenuEntry(name=name, usage=name, summary="s" * 300, examples=(name,), arguments=(), role=Role.MEMBER)
        for name in ("buy-in", "Ünsinn", *(f"c{number}" for number in range(120)))
    ]
    scope = menu.Scope(roles=(Role.MEMBER,), groups=False)
    commands = menu.commands_of(Menu(commands=tuple(entries), instruments=()), scope)
    assert len(commands) == 100 and commands[0].command == "buy_in"
    rules.commands([{"command": one.command, "description": one.description} for one in commands])


# ------------------------------------------------------------------------------------------------ lines

COMMANDS = frozenset(("price", "alert", "buy-in"))


@pytest.mark.parametrize(
    ("text", "private", "group"),
    [
        ("/price gold", "price gold", "price gold"),
        ("/PRICE@Tocsin_Bot  gold\nsilver", "price gold silver", "price gold silver"),
        ("/price@other_bot gold", None, None),
        ("/weather", "weather", None),
        ("/weather@tocsin_bot", "weather", "weather"),
        ("/buy_in", "buy-in", "buy-in"),
        ("gold > 2400", "gold > 2400", None),
        ("@tocsin_bot gold > 2400", "@tocsin_bot gold > 2400", "gold > 2400"),
        ("alert gold > 1 note “sell half”", 'alert gold > 1 note "sell half"', None),
        ("/start", "help", "help"),
        ("/start hello", "help", "help"),
        ("/start K7QM2XPT", "link K7QM2XPT", "link K7QM2XPT"),
        ("/start a b", "help", "help"),
        ("/start " + "x" * 65, "help", "help"),
        ("   ", None, None),
    ],
)
def test_what_is_a_line(text: str, private: str | None, group: str | None) -> None:
    """Everything in private; in a group what is ours or names us."""
    assert lines.said(text, private=True, bot="tocsin_bot", commands=COMMANDS) == private
    assert lines.said(text, private=False, bot="tocsin_bot", commands=COMMANDS) == group


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("$BTC and #gold!", "price BTC gold"),
        ("$btc $btc", "price btc"),
        ("it costs $5, see #7 and &#gold; or x$btc", None),
        ("https://x.example/#gold", None),
        ("$nothing", None),
    ],
)
def test_symbols_in_a_sentence(text: str, line: str | None) -> None:
    """Only what this hub follows, once each; no sums of money, no addresses."""
    assert lines.symbols(text, lambda word: word.lower() in ("btc", "gold")) == line


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", ["price"]),
        ("gold", ["price gold"]),
        ("go", ["price XAU-USD"]),
        ("10 g gold inr", ["price 10 g gold inr", "convert 10 g gold inr"]),
        ("gold 22k inr", ["price gold 22k inr", "convert 1 gold 22k inr", "convert 1 g gold 22k inr"]),
        ("forget yes", ["price forget yes", "convert 1 forget yes", "convert 1 g forget yes"]),
        ("zzz", ["price zzz"]),
    ],
)
def test_inline_text_becomes_questions_only(text: str, asked: list[str]) -> None:
    """While somebody types, nothing may ever be done."""
    gold = Instrument(id="XAU-USD", name="Gold", aliases=("gold",))
    assert inline.lines(text, [gold]) == asked


# ------------------------------------------------------------------------------- our server, by aiogram


@pytest.fixture
async def refused_by() -> AsyncIterator[Any]:
    """What aiogram hears of a call."""
    async with Telegram().serving() as server:
        server.person(7, "Anna")
        server.chats[7].started = True
        session = AiohttpSession(api=TelegramAPIServer.from_base(server.url))
        bot = Bot(TOKEN, session=session, default=DefaultBotProperties(parse_mode="HTML"))

        async def refused(call: str, **arguments: Any) -> str:
            with pytest.raises(TelegramAPIError) as caught:
                await getattr(bot, call)(**arguments)
            return str(caught.value)

        refused.bot = bot  # type: ignore[attr-defined]
        yield refused
        await session.close()


async def test_our_server_refuses_what_telegram_refuses(refused_by: Any) -> None:
    """Sizes, markup, keyboards, chats, files, and presses that nobody made; what is right is taken."""
    bot = refused_by.bot
    long_data = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="x", callback_data="x" * 65)]])
    assert "too long" in await refused_by("send_message", chat_id=7, text="x" * 4097)
    assert "text is empty" in await refused_by("send_message", chat_id=7, text="  \n")
    assert "can't parse entities" in await refused_by("send_message", chat_id=7, text="a <b> c")
    assert "can't parse entities" in await refused_by("send_message", chat_id=7, text="<now>")
    assert "BUTTON_DATA_INVALID" in await refused_by("send_message", chat_id=7, text="x", reply_markup=long_data)
    assert "chat not found" in await refused_by("send_message", chat_id=8, text="x")
    assert "query is too old" in await refused_by("answer_callback_query", callback_query_id="1")
    picture = BufferedInputFile(b"\x89PNG\r\n\x1a\n", filename="x.png")
    assert "caption is too long" in await refused_by("send_photo", chat_id=7, photo=picture, caption="x" * 1025)
    no_picture = BufferedInputFile(b"text", filename="x.png")
    assert "IMAGE_PROCESS_FAILED" in await refused_by("send_photo", chat_id=7, photo=no_picture)
    many = [BotCommand(command=f"c{number}", description="x") for number in range(101)]
    assert "TOO_MUCH" in await refused_by("set_my_commands", commands=many)
    assert "COMMAND_INVALID" in await refused_by(
        "set_my_commands", commands=[BotCommand(command="A-b", description="x")]
    )
    sent = await bot.send_message(chat_id=7, text="<b>" + "😀" * 2048 + "</b>")
    assert (sent.entities[0].type, sent.entities[0].length) == ("bold", 4096)
    assert "not modified" in await refused_by(
        "edit_message_text", chat_id=7, message_id=sent.message_id, text="<b>" + "😀" * 2048 + "</b>"
    )
    assert "not found" in await refused_by("edit_message_text", chat_id=7, message_id=1, text="x")
