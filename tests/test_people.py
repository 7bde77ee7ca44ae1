"""People, where they are reached, and their alerts as they read them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import Config
from hub.ledger import Ledger, alerts, open_ledger, tables
from hub.ledger import alerts_view as view
from hub.ledger.people import add_destination, destinations_of, find_user, label_of, role_of, user_of
from hub.model import SECOND_US, Role, State, User, Who

NOW = 1_800_000_000 * SECOND_US
OPERATOR = Who(platform="console", id="operator", name="operator")
ANNA = Who(platform="console", id="anna", name="Anna")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(Config(folder=tmp_path)) as opened:
        yield opened


async def test_a_person_is_made_once_and_found_again(ledger: Ledger) -> None:
    """The second line of the same identity is of the same user, with one destination on the console."""
    first = await ledger.write(lambda c: user_of(c, ANNA, NOW, time_zone="Europe/Berlin"))
    again = await ledger.write(lambda c: user_of(c, ANNA, NOW + 1, time_zone="UTC"))
    assert first == again == await ledger.read(lambda c: find_user(c, ANNA))
    assert first.time_zone == "Europe/Berlin"
    (destination,) = await ledger.read(lambda c: destinations_of(c, first.owner_id))
    assert (destination.platform, destination.address, destination.label) == ("console", "anna", "console")


async def test_only_the_machine_s_own_person_is_operator(ledger: Ledger) -> None:
    """The console's default name is the operator; another name on it, and that name elsewhere, are not."""
    operator = await ledger.write(lambda c: user_of(c, OPERATOR, NOW))
    member = await ledger.write(lambda c: user_of(c, ANNA, NOW))
    stranger = await ledger.write(
        lambda c: user_of(c, Who(platform="telegram", id="operator"), NOW, default_role=Role.GUEST)
    )
    assert (operator.role, member.role, stranger.role) == (Role.OPERATOR, Role.MEMBER, Role.GUEST)
    assert len({operator.owner_id, member.owner_id, stranger.owner_id}) == 3
    assert await ledger.read(lambda c: destinations_of(c, stranger.owner_id)) == []


@pytest.mark.parametrize(
    ("who", "operator_exists", "role"),
    [
        (ANNA, False, Role.OPERATOR),
        (ANNA, True, Role.MEMBER),
        (OPERATOR, True, Role.OPERATOR),
        (Who(platform="discord", id="anna"), False, Role.MEMBER),
    ],
)
def test_the_account_s_own_name_counts_while_nobody_else_operates(who: Who, operator_exists: bool, role: Role) -> None:
    """`anna` runs the hub: she is its operator unless there is one, and only on this machine."""
    assert role_of(who, Role.MEMBER, "anna", operator_exists) == role


async def test_a_destination_is_added_once(ledger: Ledger) -> None:
    """Adding it again gives the same row, and another owner may have the same address."""
    user = await ledger.write(lambda c: user_of(c, ANNA, NOW))
    other = await ledger.write(lambda c: user_of(c, OPERATOR, NOW))
    url = "https://hooks.example.org/secret"
    first = await ledger.write(lambda c: add_destination(c, user.owner_id, "webhook", url, "", NOW))
    again = await ledger.write(lambda c: add_destination(c, user.owner_id, "webhook", url, "", NOW + 5))
    elsewhere = await ledger.write(lambda c: add_destination(c, other.owner_id, "webhook", url, "", NOW))
    assert first == again
    assert elsewhere.id != first.id
    assert first.label == "webhook hooks.example.org"


@pytest.mark.parametrize(
    ("platform", "address", "label"),
    [
        ("webhook", "https://user:pass@hooks.example.org/s3cret?token=s3cret", "webhook hooks.example.org"),
        ("push", "ntfy://alerts.example.org/s3cret", "push ntfy ale…"),
        ("push", "tgram://123456789:s3cret/chat", "push tgram 123…"),
        ("push", "gotify://short/s3cret", "push gotify"),
        ("push", "json://[broken/s3cret", "push"),
        ("console", "anna", "console"),
    ],
)
def test_a_label_holds_no_secret(platform: str, address: str, label: str) -> None:
    """Enough to tell two apart; never a path, a user, a token."""
    assert label_of(platform, address) == label
    assert "s3cret" not in label


# ---------------------------------------------------------------------------------------------- alerts


def insert_alert(connection: sa.Connection, user: User, number: int, state: State, **more: object) -> None:
    values = {
        "id": number,
        "owner_id": user.owner_id,
        "user_id": user.id,
        "text": "XAU-USD > 2400 once",
        "instrument": "XAU-USD",
        "series": "price(XAU-USD)",
        "state": state,
        "armed_at": NOW,
        "created_at": NOW,
    }
    connection.execute(tables.alerts.insert().values(**(values | more)))


def insert_trigger(connection: sa.Connection, alert_id: int, generation: int) -> None:
    connection.execute(
        tables.triggers.insert().values(
            alert_id=alert_id,
            generation=generation,
            direction="up",
            level=2400.0,
            before_price=2399.5,
            before_time=NOW,
            price=2400.0 + generation,
            venue_time=NOW,
            received_at=NOW,
            source="demo",
            nature="simulated",
            late=False,
            stream="s",
            sequence=generation,
            ticked_at=NOW,
            created_at=NOW,
        )
    )


async def test_alerts_are_listed_by_owner_with_their_last_trigger(ledger: Ledger) -> None:
    """What is over comes last and only when asked for; what is somebody else's never."""
    user = await ledger.write(lambda c: user_of(c, ANNA, NOW))
    other = await ledger.write(lambda c: user_of(c, OPERATOR, NOW))

    def fill(connection: sa.Connection) -> None:
        insert_alert(connection, user, 1, State.DONE, generation=2)
        insert_alert(connection, user, 2, State.ARMED, up_armed=True, down_armed=False)
        insert_alert(connection, user, 3, State.DELETED)
        insert_alert(connection, other, 4, State.ARMED)
        insert_trigger(connection, 1, 1)
        insert_trigger(connection, 1, 2)

    await ledger.write(fill)
    assert [each.alert.id for each in await ledger.read(lambda c: view.alerts_of(c, user.owner_id))] == [2]
    listed = await ledger.read(lambda c: view.alerts_of(c, user.owner_id, finished=True))
    assert [each.alert.id for each in listed] == [2, 1, 3]
    assert (listed[0].up_armed, listed[0].down_armed, listed[0].last_trigger) == (True, False, None)
    last = listed[1].last_trigger
    assert last is not None
    assert (last.generation, last.price, last.nature) == (2, 2402.0, "simulated")
    assert await ledger.read(lambda c: alerts.used(c, user.owner_id)) == 1
    assert await ledger.read(lambda c: view.alert_of(c, user.owner_id, 4)) is None
    assert await ledger.read(lambda c: view.alert_of(c, other.owner_id, 4)) is not None


async def test_deliveries_are_told_in_plain_words(ledger: Ledger) -> None:
    """Sent with its time, waiting with its reason, given up with its reason; the newest first."""
    user = await ledger.write(lambda c: user_of(c, ANNA, NOW))
    waiting = {"state": "due", "attempts": 3, "due_at": NOW + 8 * SECOND_US, "reason": "no answer"}
    rows: list[dict[str, object]] = [
        {"state": "sent", "settled_at": NOW + 3 * SECOND_US, "due_at": NOW},
        waiting,
        {"state": "dead", "attempts": 1, "settled_at": NOW, "due_at": NOW, "reason": "410 gone"},
        {"state": "due", "due_at": NOW - 1},
    ]

    def fill(connection: sa.Connection) -> None:
        insert_alert(connection, user, 1, State.DONE)
        (destination,) = destinations_of(connection, user.owner_id)
        for index, row in enumerate(rows):
            common = {"key": f"alert:1:{index}", "title": "t", "text": "x", "created_at": NOW}
            connection.execute(
                tables.notifications.insert().values(destination_id=destination.id, alert_id=1, **common, **row)
            )

    await ledger.write(fill)
    assert await ledger.read(lambda c: view.deliveries_of(c, 1, "UTC", NOW)) == (
        "console: waiting since 08:00:00",
        "console: given up 08:00:00, 1 attempt: 410 gone",
        "console: waiting since 08:00:00, 3 attempts, again at 08:00:08: no answer",
        "console: sent 08:00:03",
    )


async def test_the_life_of_an_alert_is_told_in_the_person_s_time_zone(ledger: Ledger) -> None:
    """The newest first; another day with its date."""
    user = await ledger.write(lambda c: user_of(c, ANNA, NOW))

    def fill(connection: sa.Connection) -> None:
        insert_alert(connection, user, 1, State.ARMED)
        for at, text in ((NOW - 86_400 * SECOND_US, "created by anna"), (NOW, "snoozed")):
            connection.execute(tables.alert_events.insert().values(alert_id=1, at=at, text=text))

    await ledger.write(fill)
    told = await ledger.read(lambda c: view.history_of(c, 1, "Asia/Tokyo", NOW))
    assert told == ("17:00:00 snoozed", "2027-01-14 17:00:00 created by anna")
