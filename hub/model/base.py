"""What all nouns are, and the unit of time."""

import msgspec

SECOND_US = 1_000_000


class Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all nouns are: frozen, named fields, and an unknown field is refused rather than dropped."""
