"""The gallery: its page and its pictures belong together, and come from the data that it names."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from charts import gallery

PAGE = gallery.ROOT / "docs" / "gallery.md"
FOLDER = gallery.ROOT / "docs" / "gallery"
LARGEST_BYTES = 60_000


def test_the_page_shows_every_picture_and_no_other() -> None:
    """And none is too heavy for a repository."""
    shown = re.findall(r"!\[[^\]]+\]\(gallery/([^)]+)\)", PAGE.read_text())
    assert sorted(shown) == sorted(path.name for path in FOLDER.iterdir())
    assert len(shown) >= 20
    for path in FOLDER.iterdir():
        content = path.read_bytes()
        assert len(content) < LARGEST_BYTES, path.name
        assert Image.open(BytesIO(content)).format == "PNG"


def test_the_page_credits_where_the_prices_come_from() -> None:
    """With their licences."""
    text = PAGE.read_text()
    assert "QuantConnect, Lean | Apache-2.0" in text and "Quanthack | MIT" in text


def test_the_gallery_is_drawn_again_from_the_data(tmp_path: Path) -> None:
    """The same page, and a picture for each of its places."""
    data = gallery.data_folder()
    if not data.is_dir():
        pytest.skip(f"no market data at {data}")
    made = gallery.make(data, tmp_path)
    assert (tmp_path / "gallery.md").read_text() == PAGE.read_text()
    assert {f"{picture.name}.png" for picture in made} == {path.name for path in FOLDER.iterdir()}


def test_without_the_data_the_cure_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is written."""
    monkeypatch.setenv("TOCSIN_DATA", str(tmp_path / "nowhere"))
    assert gallery.main() == 1
    assert "name its folder in TOCSIN_DATA" in capsys.readouterr().err
