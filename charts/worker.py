"""The process that draws: charts on stdin, PNGs on stdout, one after another. `python -m charts.worker`.

Each message is four bytes of length (big endian) and so many bytes: a msgpack charts.Chart one way; the other way a
letter and the answer, DRAWN and a PNG or FAILED and a sentence. READY comes first, once matplotlib is loaded. It ends
with its stdin, and on Linux also with its parent while it is busy. Whatever a library prints goes to stderr.
"""

import ctypes
import os
import signal
import sys
import traceback
from typing import BinaryIO

import msgspec

from charts.chart import Chart

READY, DRAWN, FAILED = b"R", b"D", b"F"
LENGTH_BYTES = 4
PR_SET_PDEATHSIG = 1
NICENESS = 5  # a tick is worth more than a picture


def main() -> int:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    end_with_parent()
    from charts import paint
    from charts.layout import layout

    decoder = msgspec.msgpack.Decoder(Chart)
    write(answers, READY)
    while (asked := read(sys.stdin.buffer)) is not None:
        try:
            write(answers, DRAWN + paint.png(layout(decoder.decode(asked), paint.width_of)))
        except Exception as error:  # one chart is no reason to load everything anew
            traceback.print_exc()
            write(answers, FAILED + f"{type(error).__name__}: {error}".encode())
    return 0


def end_with_parent() -> None:
    """Ctrl-C is for the hub, which ends this by closing its stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def read(stream: BinaryIO) -> bytes | None:
    """The next message; None at the end, also where it comes in the middle of one."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head)
    body = stream.read(length)
    return body if len(body) == length else None


def write(stream: BinaryIO, message: bytes) -> None:
    stream.write(len(message).to_bytes(LENGTH_BYTES) + message)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
