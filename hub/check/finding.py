"""What one look of `tocsin check` found."""

import msgspec

LOOK_S = 3.0
"""Every look outside ends within so long."""


class Finding(msgspec.Struct, frozen=True):
    """It is a problem exactly when it has a cure."""

    edge: str
    text: str
    cure: str = ""
