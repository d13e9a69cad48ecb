"""Working out anew what a storefront's events suggest: read, count, store, and tell every process."""

from sqlalchemy import Engine

from analysis.associations import by_segment
from experiments.associations import Suggestions
from experiments.moment import DAY, SECOND, Micros
from experiments.storage.associations import (
    Progress,
    baskets,
    claim,
    newest_order,
    progress,
    write_suggestions,
)
from experiments.storage.database import reading, writing
from experiments.storage.productviews import has_views, write_most_viewed
from experiments.storage.sales import write_sold
from experiments.storage.storefronts import Storefront, bump_revision

ABANDONED = 10 * 60 * SECOND
"""After so long a process that began to work it out is taken for dead."""
REFRESH_EVERY = 5 * 60 * SECOND
"""No history is worked out more often, however many orders there are."""
GROWN_BY = 0.01
"""How many new orders, of those known, make it worth counting again before the day is over."""


def refresh(engine: Engine, storefront: Storefront, now: Micros, *, force: bool = False) -> Suggestions | None:
    """What the orders suggest now, stored; None where the last count is still good or another process is at it.

    Once a day it is counted again without a new order too, as the last days are others by then.
    """
    with reading(engine) as conn:
        seen, newest = progress(conn, storefront.id), newest_order(conn, storefront.id)
        anything = newest > 0 or has_views(conn, storefront.id)
    if not force and not (anything and _is_due(seen, newest, now)):
        return None
    with writing(engine) as conn:
        if not claim(conn, storefront.id, seen, now):
            return None
    with reading(engine) as conn:
        newest = newest_order(conn, storefront.id)
        found = by_segment(baskets(conn, storefront.id))
    with writing(engine) as conn:
        write_suggestions(conn, storefront.id, found, newest, now)
        write_most_viewed(conn, storefront.id)
        write_sold(conn, storefront.id, now)
        bump_revision(conn)
    return found


def _is_due(seen: Progress, newest: int, now: Micros) -> bool:
    at_it = seen.claimed_at > seen.at and now - seen.claimed_at < ABANDONED
    if at_it or now - seen.at < REFRESH_EVERY:
        return False
    grown = newest > seen.last_id and newest - seen.last_id >= max(1, GROWN_BY * seen.orders)
    return grown or now - seen.at >= DAY
