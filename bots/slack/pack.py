"""Structs in the few thousand characters that Slack carries along with a button or a modal, and back. Pure.

What a button carries outlives a restart of ours and of the hub; `unpack` takes nothing that is not of the type asked
for, and never more than LARGEST bytes.
"""

import base64
import binascii
import zlib
from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
LARGEST = 64_000


def pack(struct: msgspec.Struct, most: int) -> str:
    """Empty where it does not fit."""
    text = base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(struct), 9)).decode()
    return text if len(text) <= most else ""


def unpack(text: str, kind: type[S]) -> S | None:
    """None for what `pack` of this version did not make."""
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.urlsafe_b64decode(text), LARGEST)
        return None if inflate.unconsumed_tail else msgspec.json.decode(raw, type=kind)
    except (ValueError, binascii.Error, zlib.error, msgspec.MsgspecError):
        return None
