"""Every key of the cache in one table; docs/cache.md tells other programs what stands under them. Pure.

| key | what | until |
| --- | --- | --- |
| `price:<INSTRUMENT>` | the newest Quote, as JSON | a day after ingest last kept it |
| `prices` | the instruments that have a price, as a JSON list | ingest has not kept them for three minutes |
| `movers:<span>` | board: instrument → change over the span, as a share | it is replaced or unranked |
| `volatile:<span>` | board: instrument → yearly volatility over the span, as a share | it is replaced or unranked |
| `window:<INSTRUMENT>:<start>:<end>:<points>` | candles of a span, its times in microseconds UTC | its time to live |
| `chart:<digest>` | a rendered chart, PNG | its time to live |
| `lines:<user>:<minute>` | counter: lines of a person in that minute since 1970 | two minutes |
| `codes:<what>:<user>:<window>` | counter: codes that somebody made, or got wrong, in ten minutes | twenty minutes |
"""

PRICES = "prices"


def price(instrument: str) -> str:
    return f"price:{instrument}"


def movers(span: str) -> str:
    return f"movers:{span}"


def volatile(span: str) -> str:
    return f"volatile:{span}"


def window(instrument: str, start_us: int, end_us: int, points: int) -> str:
    return f"window:{instrument}:{start_us}:{end_us}:{points}"


def chart(digest: str) -> str:
    return f"chart:{digest}"


def lines(user_id: int, minute: int) -> str:
    return f"lines:{user_id}:{minute}"


def codes(what: str, user_id: int, window: int) -> str:
    return f"codes:{what}:{user_id}:{window}"
