"""Telegram's richer sides: forms step by step, inline mode, pinned boards, and what is written under an alert."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from bots.telegram import steps
from bots.telegram.bot import Telegram as TelegramBot
from hub.model import Argument, Button, Destination, Form, Message, Notification, Reply
from hub.outgoing import message
from hub.plugin import TryLater
from tests.fakes.telegram import PNG, Telegram
from tests.fakes.telegram_rules import parsed
from tests.telegram_room import ALERT, ANNA, BEN, FORM, GOLD, OPS, PRICE, SILVER, Hub, chats, labels, running

NOW = 1_800_000_000_000_000
REFRESH = Button(label="Refresh", line="watch refresh")


@pytest.fixture
async def api() -> AsyncIterator[Telegram]:
    async with chats() as server:
        yield server


@pytest.fixture
def hub() -> Hub:
    made = Hub()
    made.answers["alert"] = lambda line: (
        Reply(title=f"Alert 12 is set: {line.text}")
        if len(line.text.split()) > 3
        else Reply(ok=False, lines=("an alert needs a condition",), form=FORM)
    )
    return made


@pytest.fixture
async def bot(api: Telegram, hub: Hub) -> AsyncIterator[TelegramBot]:
    async with running(api, hub) as opened:
        await api.until(lambda: "all_chat_administrators" in api.menus)
        yield opened


# ------------------------------------------------------------------------------------------------ forms


async def test_an_alert_is_set_by_taps_alone(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """The instrument, which way, and a level near the price: all in one message, edited in place."""
    api.say(ANNA, ANNA, "/alert")
    form = await api.shown(ANNA)
    assert "an alert needs a condition" in form["text"] and "→ instrument: what to watch" in form["text"]
    assert labels(form)[0] == ["Gold", "Silver"]
    await api.answered(api.press(form, "Gold", ANNA))
    await api.until(lambda: "→ condition" in form["text"])
    await api.answered(api.press(form, "above", ANNA))
    await api.until(lambda: "→ level" in form["text"])
    assert "• instrument: XAU-USD\n• condition: above" in form["text"]
    await api.answered(api.press(form, "2,435.31 (+1%)", ANNA))
    await api.until(lambda: form["text"].startswith("Alert 12 is set"))
    assert hub.said[-1] == "alert XAU-USD above 2435.31"
    assert len(api.chats[ANNA].messages) == 1


async def test_a_step_is_answered_in_words_also_after_a_restart(api: Telegram, hub: Hub) -> None:
    """In reply to the message that asks, whose text holds all that is known."""
    hub.answers["price"] = TryLater("no price")
    async with running(api, hub):
        await api.until(lambda: api.menus)
        api.say(OPS, BEN, "/alert@tocsin_bot")
        form = await api.shown(OPS)
        await api.answered(api.press(form, "Silver", BEN))
        await api.until(lambda: "→ condition" in form["text"])
        await api.answered(api.press(form, "below", BEN))
        asked = await api.until(lambda: next((m for m in api.chats[OPS].messages.values() if m.get("asks")), None))
        await api.until(lambda: form["message_id"] not in api.chats[OPS].messages)  # what was asked before goes
    async with running(api, hub):
        api.say(OPS, ANNA, "30,50", reply_to=asked)
        await api.until(lambda: hub.said[-1] == "alert XAG-USD below 30,50")
    assert hub.asked[-1].who.id == str(ANNA), "whoever answers, sets it"


async def test_in_private_the_next_words_answer_what_was_asked(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Unless they are a command; "cancel" ends it."""
    hub.answers["ask"] = Reply(
        title="Which?",
        form=Form(title="Which?", command="alert", arguments=ALERT, values={"condition": "above", "level": "1"}),
    )
    api.say(ANNA, ANNA, "ask")
    await api.shown(ANNA)
    api.say(ANNA, ANNA, "gold")
    await api.until(lambda: hub.said[-1] == "alert gold above 1")
    api.say(ANNA, ANNA, "ask")
    await api.shown(ANNA, 3)
    api.say(ANNA, ANNA, "cancel")
    assert (await api.shown(ANNA, 4))["text"] == "Cancelled."
    api.say(ANNA, ANNA, "ask")
    await api.shown(ANNA, 5)
    api.say(ANNA, ANNA, "price gold")
    await api.until(lambda: hub.said[-1] == "price gold")


async def test_a_form_that_is_understood_whole_is_looked_over(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """It is shown with what can be added or changed, and sent when one says so."""
    values = {"instrument": "gold", "condition": "above", "level": "2400"}
    hub.answers["ask"] = Reply(title="So?", form=Form(title="So?", command="alert", arguments=ALERT, values=values))
    api.say(ANNA, ANNA, "ask")
    form = await api.shown(ANNA)
    assert ["Send ✓", "Cancel"] in labels(form) and any("+ note" in row for row in labels(form))
    await api.answered(api.press(form, "+ note", ANNA))
    await api.until(lambda: "→ note" in form["text"])
    api.say(ANNA, ANNA, "sell half")
    form = await api.shown(ANNA, 2)
    assert "• note: sell half" in form["text"]
    await api.answered(api.press(form, "Send ✓", ANNA))
    await api.until(lambda: hub.said[-1] == "alert gold above 2400 note sell half")


async def test_a_press_on_an_old_form_that_cannot_be_read_says_so(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Telegram gives only the number of a message that is too old."""
    old = {"message_id": 1, "date": 0, "chat": {"id": ANNA, "type": "private"}}
    answer = await api.answered(api.press_data(old, "=go", ANNA))
    assert "too old" in answer["text"]


@pytest.mark.parametrize(
    "values",
    [{}, {"instrument": "gold"}, {"instrument": "gold", "note": "• level: 5 → x <b>", "condition": "above"}],
)
def test_a_form_is_read_back_from_its_own_message(values: dict[str, str]) -> None:
    """Everything that is known and what is asked stand in the text; what was written stays what it was."""
    draft = steps.draft(Form(title="", command="alert", arguments=ALERT, values=values))
    shown = steps.shown(draft, ALERT, [GOLD, SILVER], above="<b>words</b>")
    assert steps.read(parsed(shown.html)[0]) == draft


def test_choices_that_do_not_fit_are_asked_in_words() -> None:
    """A button holds 64 bytes; a longer choice is no button."""
    long = Argument(name="zone", about="where", kind="choice", choices=("x" * 70,), required=True)
    shown = steps.shown(steps.draft(Form(title="", command="a", arguments=(long,))), (long,), [])
    assert shown.ask == "where" and shown.rows == ()


# ------------------------------------------------------------------------------------------ inline mode


async def test_inline_mode_answers_with_prices_that_can_be_sent(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """A sent one is brought up to date in place by its button, whoever presses it."""
    answer = await api.answered(api.type_inline(BEN, "gold"))
    assert [one["title"] for one in answer["results"]] == ["Gold (XAU-USD)"]
    assert answer["is_personal"] is True and "2,411.20 USD" in answer["results"][0]["description"]
    sent = api.choose(answer)
    hub.answers["price"] = Reply(title="Prices", lines=("2,500.00",))
    await api.answered(api.press(sent, "Refresh", ANNA))
    await api.until(lambda: "2,500.00" in sent["text"])
    assert api.broken == []


async def test_inline_mode_only_asks(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Whatever is typed, nothing is done: prices, and what an amount comes to."""
    hub.answers["price"] = Reply(ok=False, lines=('there is no instrument "22k"',))
    hub.answers["convert"] = lambda line: Reply(ok=line.text == "convert 1 g gold 22k inr", lines=("7,000 INR",))
    answer = await api.answered(api.type_inline(BEN, "gold 22k inr"))
    assert answer["results"][0]["input_message_content"]["message_text"] == "7,000 INR"
    answer = await api.answered(api.type_inline(BEN, "delete 12"))
    assert answer["results"] == [] and answer["button"]["start_parameter"] == "hello"
    await api.answered(api.type_inline(BEN, ""))
    await api.answered(api.type_inline(BEN, "sil"))
    assert {line.split()[0] for line in hub.said} == {"price", "convert"}
    assert hub.said[-2:] == ["price", "price XAG-USD"]


async def test_inline_results_never_are_too_many(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """50 are the most that Telegram takes."""
    rows = tuple((f"Thing {n} (T-{n})", "1.00 USD", "") for n in range(80))
    hub.answers["price"] = Reply(title="Prices", table=(PRICE.table[0], *rows))
    assert len((await api.answered(api.type_inline(BEN, "")))["results"]) == 50


# --------------------------------------------------------------------------------------------- boards


def board(text: str) -> Reply:
    return Reply(title="Watch list", lines=(text,), buttons=(REFRESH,), replace=True)


async def test_a_board_is_pinned_kept_up_to_date_and_ended(api: Telegram, hub: Hub) -> None:
    """Edited in place while it changes, as the person who asked for it; nothing is sent while nothing changes."""
    hub.answers["watch"] = board("gold 1")
    async with running(api, hub, board_every_s=0.02):
        api.say(OPS, ANNA, "/board@tocsin_bot", thread=5)
        shown = await api.shown(OPS)
        await api.until(lambda: api.chats[OPS].pinned == shown["message_id"])
        await asyncio.sleep(0.1)
        assert "edited" not in shown
        hub.answers["watch"] = board("gold 2")
        await api.until(lambda: "gold 2" in shown["text"])
        assert {line.who.id for line in hub.asked} == {str(ANNA)}
        api.say(OPS, ANNA, "/watch@tocsin_bot board off")
        assert (await api.shown(OPS, 2))["text"] == "The board ended."
        assert api.chats[OPS].pinned is None
    assert api.broken == []


async def test_a_board_goes_on_after_a_restart(api: Telegram, hub: Hub) -> None:
    """Its state stands in the pin: the first that is heard from the chat brings it back, as its owner's."""
    hub.answers["watch"] = board("gold 1")
    async with running(api, hub, board_every_s=60):
        api.say(OPS, ANNA, "/board@tocsin_bot")
        shown = await api.shown(OPS)
        await api.until(lambda: api.chats[OPS].pinned)
    hub.answers["watch"] = board("gold 2")
    hub.asked.clear()
    async with running(api, hub, board_every_s=0.02):
        api.say(OPS, BEN, "good morning")
        await api.until(lambda: "gold 2" in shown["text"])
    assert {line.who.id for line in hub.asked} == {str(ANNA)}


async def test_a_board_without_the_right_to_pin_says_what_it_needs(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """It goes on unpinned."""
    api.chats[OPS].may_pin = False
    hub.answers["watch"] = board("gold 1")
    api.say(OPS, ANNA, "/board@tocsin_bot")
    assert "right to pin" in (await api.shown(OPS, 2))["text"]


async def test_a_press_on_a_board_is_the_pressers_and_keeps_it_a_board(
    api: Telegram, hub: Hub, bot: TelegramBot
) -> None:
    """The button goes on naming whose board it is; only the line is run, as who pressed."""
    hub.answers["watch"] = board("gold 1")
    api.say(OPS, ANNA, "/board@tocsin_bot")
    shown = await api.shown(OPS)
    hub.answers["watch"] = board("gold 2")
    await api.answered(api.press(shown, "Refresh", BEN))
    await api.until(lambda: "gold 2" in shown["text"])
    assert (hub.asked[-1].text, hub.asked[-1].who.id) == ("watch refresh", str(BEN))
    assert shown["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == f"~{ANNA}:watch refresh"


# ------------------------------------------------------------------------------- under an alert that rang


def rang() -> Notification:
    return Notification(
        id=1,
        alert_id=12,
        title="Gold crossed above 2,400.00",
        text="before 2,399 <now> 2,401",
        instrument="XAU-USD",
        created_at=NOW,
        ticked_at=NOW,
    )


def sending(chat: int, *rung: Notification) -> Message:
    return message(Destination(id=1, owner_id=1, platform="telegram", address=str(chat), label="Desk"), rung)


async def test_after_a_press_the_alert_shows_who_did_what(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Under its evidence, which stays, with all its buttons and what the answer added; the last five remain."""
    hub.answers["snooze"] = lambda line: Reply(
        title=f"Alert 12 is silent: {line.text}", buttons=(Button(label="Wake", line="snooze 12 off"),)
    )
    await bot.send(sending(OPS, rang()))
    shown = await api.shown(OPS)
    assert labels(shown)[:2] == [["15 min", "1 h", "Tomorrow"], ["−5 %", "−1 %", "+1 %", "+5 %"]]
    await api.answered(api.press(shown, "1 h", BEN))
    await api.until(lambda: "edited" in shown)
    assert shown["text"] == (
        "🔔 Gold crossed above 2,400.00\nbefore 2,399 <now> 2,401\n— Alert 12 is silent: snooze 12 1h · Ben <b>"
    )
    assert labels(shown)[0] == ["↩ Wake"] and labels(shown)[1] == ["15 min", "1 h", "Tomorrow"]
    for count in range(2, 8):
        hub.answers["snooze"] = Reply(title=f"Silent, {count}")
        await api.answered(api.press(shown, "15 min", ANNA))
        await api.until(partial(lambda count: f"Silent, {count}" in shown["text"], count))
    assert shown["text"].count("· Anna") == 5 and "Ben" not in shown["text"] and "2,401" in shown["text"]
    assert len(api.chats[OPS].messages) == 1


async def test_a_chart_asked_of_an_alert_comes_beside_it(api: Telegram, hub: Hub) -> None:
    """What shows something is a message of its own; the alert stays as it was."""
    hub.answers["chart"] = Reply(title="Gold", image=PNG)
    api.chats[ANNA].started = True
    async with running(api, hub, charts_with_alerts=False) as bot:
        await bot.send(sending(ANNA, rang()))
        shown = await api.shown(ANNA)
        await api.answered(api.press(shown, "Chart", ANNA))
        assert (await api.shown(ANNA, 2))["photo"] and "edited" not in shown
