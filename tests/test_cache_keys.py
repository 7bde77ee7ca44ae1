"""The names of keys: one table in the code, one for other programs, and both say the same."""

import re
from collections.abc import Callable
from inspect import getmembers, isfunction, signature
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.cache import keys
from hub.hot import BOARDS, SPANS
from hub.model import Quote

PAGE = Path(__file__).parent.parent / "docs" / "cache.md"
FUNCTIONS: dict[str, Callable[..., str]] = dict(getmembers(keys, isfunction))
WORDS = {"start_us": "start", "end_us": "end", "user_id": "user", "instrument": "INSTRUMENT"}


def written() -> set[str]:
    """Every key as a table writes it: `price:<INSTRUMENT>`."""
    made = {made_of(make, lambda name: f"<{WORDS.get(name, name)}>") for make in FUNCTIONS.values()}
    return {*made, keys.PRICES}


def made_of(make: Callable[..., str], value_of: Callable[[str], Any]) -> str:
    return make(*(value_of(name) for name in signature(make).parameters))


@pytest.mark.parametrize("text", [PAGE.read_text(), keys.__doc__ or ""], ids=["docs/cache.md", "hub/cache/keys.py"])
def test_every_key_is_in_the_table(text: str) -> None:
    """And every key of the table is made somewhere."""
    assert set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)) == written()


def test_the_page_names_every_board() -> None:
    """By its spans."""
    (told,) = re.findall(r"^Spans of .*?\.", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    movers, volatile = told.split(";")
    assert re.findall(r"`(\w+)`", movers) == ["movers", *SPANS]
    assert {keys.volatile(span) for span in re.findall(r"`(\d\w+)`", volatile)} == {
        board for board in BOARDS if board.startswith("volatile")
    }


def test_the_price_on_the_page_is_a_quote() -> None:
    """Byte for byte as it is written, but for the line break."""
    (shown,) = re.findall(r"```json\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    packed = shown.replace("\n ", "").encode()
    assert msgspec.json.encode(msgspec.json.decode(packed, type=Quote)) == packed


def test_the_page_names_every_field_of_a_price() -> None:
    """Also those that are left out as usual."""
    section = PAGE.read_text().split("## A price")[1].split("## Rankings")[0]
    named = set(re.findall(r"[`\"](\w+)[`\"]", section))
    assert set(Quote.__struct_fields__) <= named


def test_keys_of_different_things_are_different() -> None:
    """No two of them can meet."""
    starts = [made_of(make, str).split(":")[0] for make in FUNCTIONS.values()]
    assert len({*starts, keys.PRICES}) == len(FUNCTIONS) + 1
