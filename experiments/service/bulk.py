"""Rows of an import that are plain and sound, read column by column: what they say is what the door would read.

A batch with anything else in it is read row by row, which also finds the words for what is wrong.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from experiments.events import EARLIEST, Exposure, ExposureKind
from experiments.identifiers import ExperimentId
from experiments.importing.events import Fill
from experiments.importing.rowfile import Row
from experiments.moment import DAY, Micros, day_number, micros
from experiments.service.recording import UnknownThing, exposure_row
from experiments.service.snapshot import StorefrontView
from experiments.storage.eventlog import ExposureRow

_FIELDS = frozenset({"experiment", "variant", "visitor_id", "customer_id", "kind", "occurred_at"})
_UNITS = re.compile(r"(?:[\x21-\x7e]{1,128}\n)*")
_TIMES = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)\n)*", re.ASCII)


def plain_exposures(view: StorefrontView, rows: Sequence[Row], fill: Fill, now: Micros) -> list[ExposureRow] | None:
    """The exposures of rows that are all sound; None where one is not, or is written in an unusual way."""
    cells = [row.cells for row in rows]
    if any(row.fault for row in rows) or not set().union(*cells) <= _FIELDS:
        return None
    times = _times([each.get("occurred_at", fill.occurred_at) for each in cells], now)
    if times is None or not _are_units([each[n] for each in cells for n in ("visitor_id", "customer_id") if n in each]):
        return None
    zone = view.storefront.zone
    known: dict[tuple[Any, Any, Any], _Meaning | None] = {}
    found: list[ExposureRow] = []
    for each, at in zip(cells, times, strict=True):
        what = (each.get("experiment", fill.experiment), each.get("variant"), each.get("kind", "viewed"))
        if what not in known:
            known[what] = _meaning(view, *what, now)
        meant = known[what]
        if meant is None:
            return None
        if meant.unit not in each:
            return None
        row = ExposureRow(
            meant.experiment_id,
            meant.kind,
            each[meant.unit],
            meant.variant,
            at,
            day_number(at, zone),
            meant.fingerprint,
        )
        found.append(row)
    return found


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What rows that name the same experiment, variant and kind have in common; `unit` is the field of the unit."""

    experiment_id: ExperimentId
    kind: ExposureKind
    unit: str
    variant: str
    fingerprint: str


def _meaning(view: StorefrontView, experiment: object, variant: object, kind: object, now: Micros) -> _Meaning | None:
    """None where there is no such experiment, variant or kind of exposure."""
    if not isinstance(experiment, str) or not isinstance(variant, str) or kind not in get_args(ExposureKind):
        return None
    try:
        row = exposure_row(
            view, Exposure(experiment, variant, "-", "-", cast("ExposureKind", kind), now), historic=True
        )
    except UnknownThing:
        return None
    unit = f"{view.experiments[experiment].definition.unit}_id"
    return _Meaning(row.experiment_id, row.kind, unit, row.variant, row.fingerprint)


def _are_units(ids: Sequence[Any]) -> bool:
    try:
        return _UNITS.fullmatch("\n".join([*ids, ""])) is not None
    except TypeError:  # a number among them
        return False


def _times(given: Sequence[Any], now: Micros) -> list[Micros] | None:
    """Times as people and programs mostly write them; blank is now."""
    texts = [one for one in given if isinstance(one, str)]
    try:
        if _TIMES.fullmatch("\n".join([*texts, ""])) is None:
            return None
        found = [now if one is None else micros(_datetime(one)) for one in given]
    except (ValueError, TypeError):
        return None
    return found if not found or (min(found) >= EARLIEST and max(found) <= now + DAY) else None


def _datetime(given: Any) -> datetime:
    if isinstance(given, str):
        return datetime.fromisoformat(given)
    if isinstance(given, datetime):
        return given
    raise TypeError
