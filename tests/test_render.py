"""How replies look as text."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hub.model import Button, Message, Nature, Notification, Reply
from hub.render import HOSTILE, ansi, message_lines, plain, rich_lines, safe, table_lines

TABLE = (("instrument", "price", "day"), ("Gold (XAU-USD)", "2,411.20 USD", "+0.31 %"), ("銀", "30.1 USD", "-12.00 %"))


def test_a_reply_reads_from_its_title_to_its_buttons() -> None:
    """Title, table, lines, and what can be said next, with a word where the line does not say what it does."""
    buttons = (Button(label="Why", line="why 1"), Button(label="Wake", line="snooze 1 off"))
    reply = Reply(title="Alert 1", lines=("one\ntwo",), buttons=buttons)
    assert plain(reply) == "Alert 1\none\ntwo\nNext: why 1   snooze 1 off (Wake)"


def test_columns_line_up_also_with_wide_characters() -> None:
    """Numbers end at the same cell, whatever stands before them."""
    head, gold, silver = plain(Reply(table=TABLE)).split("\n")
    assert head.startswith("instrument")
    assert cell_len(gold.rpartition("USD")[0]) == cell_len(silver.rpartition("USD")[0])
    assert cell_len(gold) == cell_len(silver)


def test_a_short_row_is_filled_up() -> None:
    """A ragged table from another process is still shown."""
    assert plain(Reply(table=(("a", "b"), ("1",)))).split("\n") == ["a  b", "1"]


LONG = (
    ("no.", "alert", "state", "price", "away", "rang"),
    ("1", "Gold rises to 4,060.00 or above, every time", "rang, waits behind its band", "4,166.44", "-2.55 %", "never"),
    ("12", "Silver crosses 52.000, every time", "waiting", "51.487", "+1.00 %", "20:13:11, simulated"),
)


def test_a_table_that_is_too_wide_is_wrapped_at_words() -> None:
    """Text gives way and numbers stay whole; nothing is lost."""
    lines = plain(Reply(table=LONG), 80).split("\n")
    assert max(map(cell_len, lines)) <= 80
    assert lines[0].split() == list(LONG[0])
    assert "4,166.44" in lines[1] and "-2.55 %" in lines[1]
    assert sorted(" ".join(lines).split()) == sorted(" ".join(cell for row in LONG for cell in row).split())


def test_lines_and_buttons_are_wrapped_within_a_width_only() -> None:
    """At words, and no button is torn apart; a program gets each whole."""
    buttons = tuple(Button(label=label, line=f"stats XAU-USD by {label}") for label in ("hour", "weekday", "month"))
    reply = Reply(lines=("one two three four five six seven eight nine ten",), buttons=buttons)
    assert plain(reply, 30).split("\n") == [
        "one two three four five six",
        "seven eight nine ten",
        "Next: stats XAU-USD by hour (hour)",
        "      stats XAU-USD by weekday (weekday)",
        "      stats XAU-USD by month (month)",
    ]
    assert len(plain(reply).split("\n")) == 2


def test_on_a_narrow_terminal_each_row_stands_below_the_other() -> None:
    """With the heads as names, where columns would be torn apart."""
    lines = plain(Reply(table=LONG), 40).split("\n")
    assert max(map(cell_len, lines)) <= 40
    assert lines[0] == "1"
    assert "  price 4,166.44 · away -2.55 %" in lines
    assert [line.plain for line in rich_lines(Reply(table=LONG), 40)] == lines


@given(
    st.lists(st.lists(st.text(alphabet="ab 銀😀1,.+-% ", max_size=40), max_size=5), max_size=4), st.integers(10, 120)
)
def test_every_table_fits_the_terminal(table: list[list[str]], width: int) -> None:
    """Whatever the cells hold; and without a width each row stays one line."""
    assert all(cell_len(line) <= width for line in table_lines(table, width))
    assert len(table_lines(table)) == len(table)


def test_hostile_text_is_written_out() -> None:
    """Escape sequences, overrides and lone surrogates do nothing to the terminal."""
    shown = plain(Reply(title="a\x1b[2Jb", lines=("c\u202ed", "e\x07", "f\ud800"), table=(("g\nh",),)))
    assert "\\x1b[2J" in shown
    assert "\\u202e" in shown
    assert "\\x07" in shown
    assert "\\ud800" in shown
    assert "g h" in shown


def test_markup_is_text() -> None:
    """What looks like rich markup stays as it was written, in colour too."""
    reply = Reply(title="[red]x[/red]", lines=("[link=file:///x]y[/link]",))
    assert [line.plain for line in rich_lines(reply)] == plain(reply).split("\n")
    assert "[link=file:///x]y[/link]" in ansi(rich_lines(reply), 80)


def test_a_refusal_is_red_and_a_fall_too() -> None:
    """Colour says what the text says."""
    assert "\x1b[31m" in ansi(rich_lines(Reply(ok=False, lines=("no",))), 80)
    assert "\x1b[32m+0.31 %" in ansi(rich_lines(Reply(table=TABLE)), 80)
    assert "\x1b[31m-12.00 %" in ansi(rich_lines(Reply(table=TABLE)), 80)


def test_an_alert_of_simulated_prices_says_so() -> None:
    """Also where the notification's own text forgot it."""
    notification = Notification(
        id=1, alert_id=1, title="t", text="x", nature=Nature.SIMULATED, created_at=1, ticked_at=1
    )
    message = Message(
        id="m", platform="console", address="a", title="Gold", text="x\x1b", notifications=(notification,)
    )
    assert message_lines(message) == ["Gold", "x\\x1b", "These prices are simulated."]


@given(st.text())
def test_no_text_reaches_the_terminal_unseen(text: str) -> None:
    """Whatever comes in, what goes out is one printable, encodable line."""
    shown = safe(text)
    assert not {ord(character) for character in shown} & HOSTILE
    shown.encode()
