"""What an alert's line says, as a value; and that value as its one canonical line, and in words for people. Pure."""

from decimal import Decimal
from typing import Literal

import msgspec

from hub.i18n import _, later
from hub.model import Instrument
from hub.rules.mistakes import SIGNS
from hub.rules.numbers import digits
from hub.wording import own

Condition = Literal["above", "below", "crosses"]
Repeat = Literal["once", "every time"]
REPEATS: dict[Repeat, str] = {"once": later("once"), "every time": later("every time")}


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A named function of ticks. Alerts with the same `key` look at the same numbers."""

    kind: Literal["price"] = "price"
    instruments: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.kind}({','.join(self.instruments)})"


class Band(msgspec.Struct, frozen=True):
    """How far the value has to come back before the alert is armed again: absolute, or in percent of the level."""

    value: float
    percent: bool


class AlertSpec(msgspec.Struct, frozen=True, kw_only=True):
    series: Series
    condition: Condition
    level: float
    band: Band | None = None  # None: the hub's default
    repeat: Repeat = "once"
    urgent: bool = False  # sent before all that is not
    via: tuple[str, ...] = ()  # the platforms that it goes to; none: all of its owner's destinations
    note: str = ""


def canonical(spec: AlertSpec) -> str:
    """The one line for it: `XAU-USD > 2400 every time band 0.1% note "sell half"`."""
    parts = [*spec.series.instruments, SIGNS[spec.condition], digits(spec.level)]
    if spec.repeat != "once":
        parts.append(spec.repeat)
    if spec.band is not None:
        parts.append(f"band {digits(spec.band.value)}{'%' if spec.band.percent else ''}")
    if spec.urgent:
        parts.append("urgent")
    if spec.via:
        parts.append(f"via {', '.join(spec.via)}")
    if spec.note:
        parts.append('note "' + spec.note.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return " ".join(parts)


def band_of(spec: AlertSpec, default_percent: float) -> float:
    """How far behind its level it is armed again, in the instrument's currency."""
    band = spec.band or Band(default_percent, percent=True)
    return spec.level * band.value / 100 if band.percent else band.value


def describe(spec: AlertSpec, instrument: Instrument) -> str:
    """For people: "Gold rises to 2,400.00 or above, once"."""
    level = _price(spec.level, instrument.decimals)
    happens = {
        "above": _("{instrument} rises to {level} or above"),
        "below": _("{instrument} falls to {level} or below"),
        "crosses": _("{instrument} crosses {level}"),
    }[spec.condition]
    parts = [happens.format(instrument=instrument.name, level=level), _(REPEATS[spec.repeat])]
    if spec.band is not None:
        band = own(digits(spec.band.value)) + (" %" if spec.band.percent else "")
        parts.append(_("band {band}").format(band=band))
    if spec.urgent:
        parts.append(_("urgent"))
    if spec.via:
        parts.append(_("via {places}").format(places=_(" and ").join(spec.via)))
    if spec.note:
        parts.append(_('note "{note}"').format(note=spec.note))
    return ", ".join(parts)


def _price(value: float, decimals: int) -> str:
    """With the instrument's decimals, or more where the level has more."""
    written = digits(value)
    places = len(written.partition(".")[2])
    return own(f"{Decimal(written):,.{max(decimals, places)}f}")
