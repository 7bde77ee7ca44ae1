"""What delivery sends through Telegram: alerts in order and within the pace, and what each refusal means."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
import structlog.testing

from bots.pace import EVERYTHING, Budget, Pace, Rank, Turns
from bots.telegram import Settings, limits
from bots.telegram.bot import Telegram as TelegramBot
from hub.bothost import Sender
from hub.model import Destination, Message, Nature, Notification, Receipt, Reply
from hub.outgoing import message
from hub.plugin import GiveUp, Gone, TryLater
from tests.fakes.telegram import PNG, TOKEN, Telegram
from tests.telegram_room import ANNA, BEN, OPS, Hub, chats, running

NOW = 1_800_000_000_000_000


@pytest.fixture
async def api() -> AsyncIterator[Telegram]:
    async with chats() as server:
        for chat in (ANNA, BEN):
            server.chats[chat].started = True
        yield server


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def bot(api: Telegram, hub: Hub) -> AsyncIterator[TelegramBot]:
    async with running(api, hub) as opened:
        yield opened


def rang(number: int, **facts: Any) -> Notification:
    values: dict[str, Any] = {"id": number, "alert_id": number, "instrument": "XAU-USD", "created_at": NOW}
    values |= {"title": f"Gold crossed above {number}", "text": f"evidence {number}", "ticked_at": NOW}
    return Notification(**(values | facts))


def to(address: str | int, rung: Sequence[Notification] = ()) -> Message:
    destination = Destination(id=1, owner_id=1, platform="telegram", address=str(address), label="somewhere")
    return message(destination, rung or [rang(1)])


async def test_an_alert_with_its_evidence_its_buttons_and_its_chart(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """The words first and at once; the picture behind them, without a sound, asked for in the person's name."""
    hub.answers["chart"] = Reply(title="Gold", image=PNG)
    receipt = await bot.send(to(ANNA, [rang(12, note="sell <half>", nature=Nature.SIMULATED)]))
    shown = api.chats[ANNA].messages[int(receipt)]
    assert shown["text"] == "🔔 Gold crossed above 12\nevidence 12\nsell <half>\nThese prices are simulated."
    assert [one["type"] for one in shown["entities"]] == ["bold", "italic"]
    picture = await api.shown(ANNA, 2)
    assert picture["photo"] and picture["quiet"] and picture["answers"] == shown["message_id"]
    (asked,) = hub.asked
    assert (asked.text, asked.who.id, asked.who.address) == ("chart XAU-USD 24h", str(ANNA), str(ANNA))


@pytest.mark.parametrize(
    "answer", [TryLater("no hub"), Reply(ok=False, lines=("no",)), Reply(title="x", image=b"no picture")]
)
async def test_a_chart_that_cannot_be_had_holds_nothing_back(
    api: Telegram, hub: Hub, bot: TelegramBot, answer: Reply | TryLater
) -> None:
    """The alert is sent all the same, once."""
    hub.answers["chart"] = answer
    await bot.send(to(ANNA))
    while not hub.asked:
        await asyncio.sleep(0)
    await bot.send(to(ANNA, [rang(2)]))
    assert len(api.chats[ANNA].messages) == 2 and len(hub.asked) == 1, "one picture a minute a chat"


async def test_an_alert_whose_markup_is_refused_goes_in_bare_words(api: Telegram, bot: TelegramBot) -> None:
    """No bell is lost over how it looks; the log says that there is a bug."""
    api.markup_refused = True
    with structlog.testing.capture_logs() as logs:
        await bot.send(to(ANNA, [rang(12, text="a < b & c")]))
    assert (await api.shown(ANNA))["text"] == "🔔 Gold crossed above 12\na < b & c"
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a bug in wording an alert"]


async def test_into_a_topic_and_a_group(api: Telegram, bot: TelegramBot) -> None:
    """The address says the topic; one that was deleted is gone."""
    await bot.send(to(f"{OPS}:5"))
    assert (await api.shown(OPS))["message_thread_id"] == 5
    with pytest.raises(Gone, match="message thread not found"):
        await bot.send(to(f"{OPS}:6"))


async def test_many_alerts_are_one_message_with_every_title(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Evidence gives way to titles, and only where these do not fit there is a second message."""
    await bot.send(to(ANNA, [rang(n, text="e" * 300) for n in range(1, 31)]))
    shown = await api.shown(ANNA)
    assert shown["text"].startswith("30 alerts\n") and len(api.chats[ANNA].messages) == 1
    assert all(f"Gold crossed above {n}\n" in shown["text"] + "\n" for n in range(1, 31))
    await bot.send(to(BEN, [rang(n, title=f"{n} " + "t" * 190) for n in range(1, 51)]))
    texts = [one["text"] for one in api.chats[BEN].messages.values()]
    assert len(texts) == 3 and [text.split("\n")[0] for text in texts[:2]] == ["50 alerts", "50 alerts, continued"]
    assert sum(text.count("🔔") for text in texts) == 50
    assert api.broken == []


async def test_what_was_held_says_so_and_when_it_rang(api: Telegram, bot: TelegramBot) -> None:
    """One below its evidence; many in their title, with a time for each where evidence has no room."""
    await bot.send(to(ANNA, [rang(12, note="sell half", held_until=NOW + 1)]))
    assert (await api.shown(ANNA))["text"] == (
        "🔔 Gold crossed above 12\nevidence 12\nsell half\nheld through your quiet hours"
    )
    many = [rang(n, text="e" * 300, created_at=NOW + n * 600_000_000, held_until=NOW + 1) for n in range(1, 31)]
    await bot.send(to(BEN, many))
    text = (await api.shown(BEN))["text"]
    assert text.startswith("30 alerts in your quiet hours, 08:10 to 13:00 UTC\n")
    assert "🔔 08:20:00 Gold crossed above 2\n" in text and "🔔 13:00:00 Gold crossed above 30" in text
    assert api.broken == []


async def test_a_second_try_goes_on_behind_the_parts_that_are_there(api: Telegram, bot: TelegramBot) -> None:
    """What Telegram has taken is not sent twice."""
    long = to(BEN, [rang(n, title=f"{n} " + "t" * 190) for n in range(1, 51)])
    with pytest.raises(TryLater):
        await _cut_after_one(api, bot.send(long))
    api.down = None
    await bot.send(long)
    assert len(api.chats[BEN].messages) == 3


async def _cut_after_one(api: Telegram, sending: Any) -> None:
    task = asyncio.ensure_future(sending)
    await api.shown(BEN)
    api.down = 502
    await task


@pytest.mark.parametrize(
    ("closed", "reason"),
    [
        ("Forbidden: bot was blocked by the user", "blocked"),
        ("Forbidden: bot was kicked from the supergroup chat", "kicked"),
        ("Forbidden: user is deactivated", "deactivated"),
        ("Bad Request: TOPIC_CLOSED", "TOPIC_CLOSED"),
        ("Bad Request: not enough rights to send text messages to the chat", "give the bot the right to write there"),
        ("Bad Request: CHAT_SEND_PLAIN_FORBIDDEN", "give the bot the right to write there"),
    ],
)
async def test_who_closes_the_door_is_gone(api: Telegram, bot: TelegramBot, closed: str, reason: str) -> None:
    """Gone, with Telegram's word; the receipt says so, and the next chat is not touched by it."""
    api.chats[ANNA].closed = closed
    receipt = await Sender(bot).send(to(ANNA))
    assert receipt.outcome == "gone" and reason in receipt.text
    await bot.send(to(BEN))


@pytest.mark.parametrize("address", ["", "anna", "1:x", "-100999"])
async def test_an_address_that_is_none_is_given_up(api: Telegram, bot: TelegramBot, address: str) -> None:
    """At once, with the reason; `check` says the same without sending anything."""
    with pytest.raises(GiveUp):
        await bot.send(to(address))
    with pytest.raises(GiveUp):
        await bot.check(to_destination(address))
    await bot.check(to_destination(str(ANNA)))
    assert not any(chat.messages for chat in api.chats.values())


def to_destination(address: str) -> Destination:
    return Destination(id=1, owner_id=1, platform="telegram", address=address, label="x")


async def test_a_group_that_became_a_supergroup_is_told_with_its_new_address(
    api: Telegram, hub: Hub, bot: TelegramBot
) -> None:
    """Delivery hears where it is now; a reply goes there at once."""
    api.group(-555, "Old")
    api.chats[-555].moved_to = OPS
    receipt = await Sender(bot).send(to(-555))
    assert receipt == Receipt(outcome="gone", text="that group is a supergroup now", moved_to=str(OPS))
    asked = len(api.calls)
    assert await Sender(bot).send(to(-555)) == receipt
    assert not any(name == "sendMessage" for name, _ in api.calls[asked:]), "it is known by now"
    api.say(-555, ANNA, "/price@tocsin_bot gold")
    assert "Prices" in (await api.shown(OPS))["text"]


async def test_telegrams_waiting_time_is_obeyed(api: Telegram, bot: TelegramBot) -> None:
    """429 is TryLater with its time; until then that chat is not asked again, and the others are."""
    api.limited[ANNA] = (time.monotonic() + 1e9, 40)
    receipt = await Sender(bot).send(to(ANNA))
    assert (receipt.outcome, receipt.retry_after_s) == ("later", 40.0)
    before = len(api.broken)
    again = await Sender(bot).send(to(ANNA))
    assert again.outcome == "later" and again.retry_after_s is not None and 30 < again.retry_after_s <= 40
    assert len(api.broken) == before
    await bot.send(to(BEN))


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_trouble_of_telegrams_own_is_tried_later(api: Telegram, bot: TelegramBot, status: int) -> None:
    """Nothing is lost by it."""
    api.down = status
    with pytest.raises(TryLater):
        await bot.send(to(ANNA))
    api.down = None
    await bot.send(to(ANNA))
    assert len(api.chats[ANNA].messages) == 1


async def test_no_connection_is_tried_later(api: Telegram, hub: Hub) -> None:
    """Sending does not need the listening side, and says no address of the server."""
    bot = TelegramBot(Settings(token=TOKEN, server="http://127.0.0.1:1"), Pace((), lambda chat: ()))
    with pytest.raises(TryLater) as caught:
        await bot.send(to(ANNA))
    with pytest.raises(TryLater):
        await bot.run(hub)
    await bot.close()
    assert TOKEN not in str(caught.value) and "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("token", ["42:" + "B" * 35, "nonsense", "42:", "1:2 3"])
async def test_a_wrong_token_gives_up_with_the_cure(api: Telegram, hub: Hub, token: str) -> None:
    """One line that names @BotFather and the variable, and not the token."""
    with structlog.testing.capture_logs() as logs, pytest.raises(GiveUp) as caught:
        async with running(api, hub, token=token):
            pass
    assert "@BotFather" in caught.value.reason and "TOCSIN_BOTS__TELEGRAM__TOKEN" in caught.value.reason
    assert token not in caught.value.reason + str(logs)


async def test_a_token_that_is_revoked_while_it_runs(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Alerts wait, as the operator can mend it."""
    api.token = "42:" + "C" * 35
    with pytest.raises(TryLater, match="@BotFather"):
        await bot.send(to(ANNA))


async def test_a_second_program_with_the_same_token_is_told(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Telegram gives messages to one only; sending goes on in both."""
    async with running(api, Hub()):
        await api.until(lambda: any("terminated by other" in text for _, text in api.broken))
        await bot.send(to(ANNA))


async def test_a_webhook_of_before_is_removed(api: Telegram, hub: Hub) -> None:
    """Else nothing would ever be heard."""
    api.webhook = "https://old.example/hook"
    async with running(api, hub):
        assert api.webhook == ""


# ------------------------------------------------------------------------------------------------- pace


async def test_a_thousand_alerts_keep_telegrams_limits(api: Telegram) -> None:
    """By a clock of the test's own: each chat once a second, groups 20 a minute, 30 a second over all; alerts before
    replies before boards, and order kept in a chat."""
    now_s, sent = 0.0, []
    turns = Turns(Pace(limits.OVERALL, limits.of_chat), lambda: now_s)
    turns.pace.hold(EVERYTHING, 1.0)
    chosen = [str(chat) for chat in (*range(1, 31), *range(-10, 0))]

    async def send(chat: str, rank: Rank, number: int) -> None:
        await turns.turn(chat, rank, 1e6)
        sent.append((now_s, chat, rank, number))

    tasks = [
        asyncio.create_task(send(chat, (Rank.BOARD, Rank.REPLY, Rank.ALERT)[number % 3], number))
        for number in range(25)
        for chat in chosen
    ]
    await asyncio.sleep(0)
    while len(sent) < len(tasks):
        wait_s = turns.admit()
        await asyncio.sleep(0)
        now_s += max(wait_s or 0.0, 1e-6)
    for chat in chosen:
        times = [at for at, where, _, _ in sent if where == chat]
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
        assert not chat.startswith("-") or all(b - a >= 60 for a, b in zip(times, times[20:], strict=False))
        for rank in Rank:
            numbers = [number for _, where, of, number in sent if where == chat and of == rank]
            assert numbers == sorted(numbers)
        ranks = [of for _, where, of, _ in sent if where == chat]
        assert ranks == sorted(ranks)
    every = [at for at, *_ in sent]
    assert all(b - a >= 1.0 for a, b in zip(every, every[30:], strict=False))
    assert len(sent) == 1_000


async def test_everything_arrives_once_at_a_server_that_holds_to_the_limits(api: Telegram, hub: Hub) -> None:
    """Over real sockets; should a slow machine bunch what left evenly, 429 puts it off and nothing is lost."""
    api.paced = True
    everybody = [api.person(number, f"Person {number}") for number in range(1_000, 1_040)]
    for person in everybody:
        api.chats[person].started = True
    async with running(api, hub, Pace(limits.OVERALL, limits.of_chat), charts_with_alerts=False) as bot:
        sender = Sender(bot)

        async def arrives(person: int) -> None:
            while (receipt := await sender.send(to(person, [rang(person)]))).outcome == "later":
                await asyncio.sleep(receipt.retry_after_s or 0.1)
            assert receipt.outcome == "sent"

        await asyncio.gather(*map(arrives, everybody))
    assert all(len(api.chats[person].messages) == 1 for person in everybody)
    assert {text for _, text in api.broken} <= {"Too Many Requests: retry after 3"}


async def test_a_flood_in_one_group_is_put_off_not_refused(api: Telegram, hub: Hub) -> None:
    """Beyond what can be waited for, delivery is told when to come again."""
    async with running(api, hub, Pace((), lambda chat: (Budget(2, 60.0),)), charts_with_alerts=False) as bot:
        await bot.send(to(OPS, [rang(1)]))
        await bot.send(to(OPS, [rang(2)]))
        receipt = await Sender(bot).send(to(OPS, [rang(3)]))
    assert receipt.outcome == "later" and receipt.retry_after_s is not None and 50 < receipt.retry_after_s <= 60
    assert api.broken == []
