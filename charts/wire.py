"""How the hub and the worker that draws talk: over pipes, four bytes of length (big endian) and so many bytes.

A question is a msgpack charts.Chart; an answer is a letter and what it says, DRAWN and a PNG or FAILED and a sentence.
READY comes first, once the worker can draw.
"""

from typing import BinaryIO

READY, DRAWN, FAILED = b"R", b"D", b"F"
LENGTH_BYTES = 4


def read(stream: BinaryIO) -> bytes | None:
    """The next message; None at the end, also where it comes in the middle of one."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head)
    body = stream.read(length)
    return body if len(body) == length else None


def write(stream: BinaryIO, message: bytes) -> None:
    stream.write(framed(message))
    stream.flush()


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(LENGTH_BYTES) + message
