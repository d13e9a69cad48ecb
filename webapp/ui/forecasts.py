"""What the define page knows of the past: visitors of the placement, baselines, and how long this would take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flask import current_app
from sqlalchemy import Connection

from analysis.experiment import plain_report
from analysis.forecast import Duration, Past, arrivals, duration, past_of, share_taken
from analysis.learnings import Summary
from experiments.definition import Definition
from experiments.errors import Invalid, NotEstimable
from experiments.moment import SECOND, Micros, day_number
from experiments.storage.registry import Experiment
from experiments.storage.storefronts import Placement, Storefront
from experiments.storage.tallies import daily_units
from webapp.learned import similar_tests
from webapp.ui.told import refused

DAYS = 14
"""How far back visitors are counted."""
KEPT_FOR = 600 * SECOND
"""How old what the past says may be: it hardly changes while somebody fills in a page."""
LOOKED_AT = 3
"""Past experiments of a placement that are asked for a baseline, the newest first."""
_MOST_KEPT = 500
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the past says of a definition; None where it says nothing, and `reason` why there is no duration."""

    seen: int
    """Units that entered experiments of this placement in the last days."""
    eligible_a_day: float | None
    typed: bool
    """Whether the visitors a day are what somebody typed."""
    past: Past | None
    duration: Duration | None
    reason: str


def forecast(
    conn: Connection,
    storefront: Storefront,
    placement: str,
    definition: Definition | None,
    known: Sequence[Experiment],
    typed_daily: float | None,
    at: Micros,
) -> Forecast:
    """The forecast of a definition, as far as it is complete, at a placement."""
    there = [e for e in known if e.definition.placement == placement and e.started_at is not None]
    key = (storefront.id, placement)
    seen, daily = _kept("arrivals", key, at, lambda: _arrivals(conn, storefront, there, at))
    past = _kept("past", key, at, lambda: _past(conn, storefront, there, at))
    eligible = typed_daily if typed_daily is not None else daily or None
    found, reason = None, ""
    if definition is not None:
        held = past.metrics.get(definition.metrics.primary) if past else None
        if held is None:
            reason = "no_baseline"
        elif eligible is None:
            reason = "no_traffic"
        else:
            try:
                found = duration(definition, held.baseline, eligible, storefront.policy.holdout)
            except (NotEstimable, Invalid) as refusal:
                reason = refused(refusal)
    return Forecast(seen, eligible, typed_daily is not None, past, found, reason)


def _arrivals(conn: Connection, storefront: Storefront, there: Sequence[Experiment], at: Micros) -> tuple[int, float]:
    today = day_number(at, storefront.zone)
    counted = daily_units(conn, [e.id for e in there], today - DAYS, today + 1)
    shares = {e.id: share_taken(e.definition, e.definition.coverage_at(at)) for e in there}
    whole = 1 - storefront.policy.holdout / 10_000
    days = arrivals([(counted.get(e.id, {}), shares[e.id] * whole) for e in there], range(today - DAYS, today))
    active = [units for units in days if units]
    seen = sum(sum(by_day.values()) for by_day in counted.values())
    return seen, sum(active) / len(active) if active else 0.0


def _past(conn: Connection, storefront: Storefront, there: Sequence[Experiment], at: Micros) -> Past | None:
    newest = sorted(there, key=lambda e: e.started_at or 0, reverse=True)[:LOOKED_AT]
    for experiment in newest:
        found = past_of(experiment.key, plain_report(conn, storefront, experiment, at))
        if found is not None:
            return found
    return None


def earlier_tests(
    conn: Connection, storefront: Storefront, definition: Definition | None, slots: Sequence[Placement], at: Micros
) -> Summary | None:
    """What decided experiments like this one found; of its offer type where its variants show one, else of any."""
    if definition is None:
        return None
    types = {str(v.offer.__struct_config__.tag) for v in definition.variants} - {"none"}
    offer, metric = types.pop() if len(types) == 1 else None, definition.metrics.primary
    touchpoint = next((slot.touchpoint for slot in slots if slot.key == definition.placement), None)
    key = (storefront.id, f"{metric} {offer} {touchpoint}")
    return _kept("earlier", key, at, lambda: similar_tests(conn, metric, offer, touchpoint))


def _kept(what: str, key: tuple[int, str], at: Micros, make: Callable[[], _T]) -> _T:
    kept: dict[tuple[str, int, str], tuple[Micros, _T]] = current_app.extensions.setdefault("offerlab_past", {})
    held = kept.get((what, *key))
    if held is not None and 0 <= at - held[0] < KEPT_FOR:
        return held[1]
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    made = make()
    kept[what, *key] = (at, made)
    return made
