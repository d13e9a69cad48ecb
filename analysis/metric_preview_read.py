"""Reading what a metric's preview is made of: the control of one experiment, for a few days, in bounded time.

A customer's second visitor counts as a unit of its own here, and of very many events the latest are read.
"""

from dataclasses import replace

import numpy as np
from sqlalchemy import Connection, and_, func, select

from analysis import queries
from analysis.experiment import scope_of
from analysis.forecast import arrivals, share_taken
from analysis.journal import read_recent
from analysis.metric_preview import Looked, MetricPreview, preview
from experiments.errors import NotEstimable
from experiments.metrics import Metric
from experiments.moment import DAY, Micros, day_number, iso
from experiments.saved_metrics import event_names
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Storefront
from experiments.storage.tables import conversion, exposure
from experiments.storage.tallies import daily_units
from experiments.wording import worded

MOST_EVENTS = 100_000
"""Conversions that are read at most, the latest: seconds of work, however large the shop is."""


def preview_metric(
    conn: Connection, storefront: Storefront, metric: Metric, days: int, window_days: int, as_of: Micros,
    most_events: int = MOST_EVENTS,
) -> MetricPreview:  # fmt: skip
    """The metric over the visitors who entered in the last days and met a control, each counted within the window.

    Of several experiments the one is taken that met most. Raises NotEstimable where nobody entered any.
    """
    today = day_number(as_of, storefront.zone)
    begun = [e for e in experiments(conn, storefront.id) if e.started_at is not None]
    counted = daily_units(conn, [e.id for e in begun], today - days, today + 1)
    if not counted:
        raise NotEstimable(
            worded("nobody entered an experiment in the last %(days)s days: there is nothing to try it on", days=days)
        )
    chosen = max((e for e in begun if e.id in counted), key=lambda e: sum(counted[e.id].values()))
    since, sampled = _since(conn, storefront, Micros(as_of - days * DAY), as_of, most_events)
    scope = replace(
        scope_of(storefront, chosen, as_of), window=window_days * DAY, names=event_names([metric]),
        entered_since=since, history=0,
    )  # fmt: skip
    share = share_taken(chosen.definition, chosen.definition.coverage_at(as_of))
    share *= 1 - storefront.policy.holdout / 10_000
    daily = arrivals([(counted[chosen.id], share)], range(today - days, today))
    active = [units for units in daily if units] or [float(sum(counted[chosen.id].values()))]
    looked = Looked(chosen.key, iso(since), iso(as_of), window_days, sum(active) / len(active), sampled)
    counts = _counts(conn, scope, chosen)
    if not counts.entered.sum():
        raise NotEstimable(
            worded("nobody met the control of %(key)s since %(day)s", key=repr(chosen.key), day=str(looked.since))
        )
    return preview(metric, read_recent(conn, scope, counts, today), looked)


def _since(
    conn: Connection, storefront: Storefront, first: Micros, as_of: Micros, most: int
) -> tuple[Micros, str | None]:
    """From when on events are read, and what that leaves out."""
    c = conversion.c
    mine = (c.storefront_id == storefront.id, c.at >= first, c.at <= as_of)
    at = conn.scalar(select(c.at).where(*mine).order_by(c.at.desc()).limit(1).offset(most))
    if at is None:
        return first, None
    late = Micros(int(at) + 1)
    return late, f"only the latest {most:,} events were read: those who entered since {iso(late)}"


def _counts(conn: Connection, scope: queries.Scope, experiment: Experiment) -> queries.Counts:
    """Who entered since then and met the control, by day, and who of them saw its offer."""
    e, v = exposure, exposure.alias("v")
    control = experiment.definition.control.key
    mine = and_(
        e.c.experiment_id == scope.experiment_id, e.c.kind == "assigned", e.c.variant == control,
        e.c.at >= scope.entered_since, e.c.at <= scope.until,
    )  # fmt: skip
    seen = and_(
        v.c.experiment_id == e.c.experiment_id, v.c.kind == "viewed", v.c.unit_id == e.c.unit_id, v.c.at <= scope.until
    )
    query = select(e.c.day, func.count(), func.count(v.c.unit_id)).select_from(e.outerjoin(v, seen))
    rows = conn.execute(query.where(mine).group_by(e.c.day)).all()
    first = min((row.day for row in rows), default=0)
    length = max((row.day for row in rows), default=0) - first + 1
    entered, viewed = np.zeros((2, length, 1), dtype=np.int64)
    for day, units, watched in rows:
        entered[day - first, 0], viewed[day - first, 0] = units, watched
    return queries.Counts((control,), first, entered, viewed, 0, {}, None, None)
