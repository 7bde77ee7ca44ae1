"""Every key of the cache in one table; docs/cache.md tells other programs what stands under them. Pure.

| key | what | until |
| --- | --- | --- |
| `price:<INSTRUMENT>` | the newest Quote, as JSON | it is replaced |
| `movers:<span>` | board: instrument → change over the span, as a share | it is replaced, or the instrument is unranked |
| `volatile:<span>` | board: instrument → yearly volatility over the span, as a share | the same |
| `window:<INSTRUMENT>:<start>:<end>:<points>` | a window of candles, times in microseconds UTC | its time to live |
| `chart:<digest>` | a rendered chart, PNG | its time to live |
| `lines:<user>:<minute>` | counter: lines of a person in that minute since 1970 | 120 s |
"""


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
