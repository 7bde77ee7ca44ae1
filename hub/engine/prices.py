"""The newest price of an instrument, as the ledger keeps it for the next start. Depends on hub.ledger and hub.rules."""

import msgspec

from hub.ledger.alerts import SeriesValue
from hub.rules.roots import Root, Sides

_write_sides = msgspec.json.Encoder().encode
sides_of = msgspec.json.Decoder(Sides).decode


def instrument_of(key: str) -> str:
    """Of "price(XAU-USD)", the key of an instrument's own price."""
    return key.partition("(")[2].rstrip(")")


def price_of(root: Root) -> SeriesValue:
    book = root.book
    assert book.value is not None
    sides = root.remember()
    return SeriesValue(
        key=book.key, value=book.value, venue_time=book.at, received_at=book.received_at, source=book.source,
        live=book.live, stale_since=root.stale_since, sides=_write_sides(sides).decode() if sides else None,
    )  # fmt: skip
