"""codec: a tick's cost on the wire, frames of columns beside lists of structs."""

import msgspec

from bench.market import frames, ticks
from bench.table import Figure, show, timed
from hub.frame import decode, encode
from hub.model import Tick

COUNT = 20_000


def main() -> None:
    some = ticks(COUNT, 20)
    structs = [Tick(**{**msgspec.structs.asdict(tick), "received_at": 1, "source": "bench"}) for tick in some]
    encode_list = msgspec.msgpack.Encoder().encode
    decode_list = msgspec.msgpack.Decoder(list[Tick]).decode
    for size in (1, 20, 500):
        columns = frames(some, size)
        lists = [structs[i : i + size] for i in range(0, COUNT, size)]
        packed, packed_lists = [encode(frame) for frame in columns], [encode_list(each) for each in lists]
        out = [
            _figure("columns, encode", lambda columns=columns: [encode(frame) for frame in columns]),
            _figure("columns, decode", lambda packed=packed: [decode(each) for each in packed]),
            _figure("structs, encode", lambda lists=lists: [encode_list(each) for each in lists]),
            _figure("structs, decode", lambda lists=packed_lists: [decode_list(each) for each in lists]),
        ]
        sizes = sum(map(len, packed)) / COUNT, sum(map(len, packed_lists)) / COUNT
        title = f"codec: frames of {size} ticks, {sizes[0]:.0f} bytes a tick in columns, {sizes[1]:.0f} as structs"
        show(title, out, beside=out[3])


def _figure(name: str, work: object) -> Figure:
    assert callable(work)
    return Figure(name, [seconds / COUNT * 1e9 for seconds in timed(work)], "ns/tick")
