"""The process that draws: charts on stdin, PNGs on stdout, one after another. `python -m charts.worker`.

It ends with its stdin, and on Linux also with its parent while it is busy. Whatever a library prints goes to stderr.
How messages look is in charts.wire; matplotlib is loaded here and nowhere else in the hub.
"""

import ctypes
import gc
import os
import signal
import sys
import traceback

import msgspec

from charts.chart import Chart
from charts.wire import DRAWN, FAILED, READY, read, write

PR_SET_PDEATHSIG = 1
NICENESS = 5  # a tick is worth more than a picture


def main() -> int:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    end_with_parent()
    from charts import paint
    from charts.layout import layout

    decoder = msgspec.msgpack.Decoder(Chart)
    gc.freeze()
    write(answers, READY)
    while (asked := read(sys.stdin.buffer)) is not None:
        try:
            write(answers, DRAWN + paint.png(layout(decoder.decode(asked), paint.width_of)))
        except Exception as error:  # one chart is no reason to load everything anew
            traceback.print_exc()
            write(answers, FAILED + f"{type(error).__name__}: {error}".encode())
        gc.collect()  # a figure is a circle of references around megabytes; nobody waits for this
    return 0


def end_with_parent() -> None:
    """Ctrl-C is for the hub, which ends this by closing its stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
