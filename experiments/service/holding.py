"""Shipping with a holdback: the decision and the experiment that goes on measuring it, in one transaction."""

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import Connection

from experiments.errors import Conflict
from experiments.holdback import follow_up
from experiments.moment import Micros
from experiments.service import defining
from experiments.storage.registry import Experiment, experiments, get_experiment
from experiments.storage.storefronts import Storefront
from experiments.wording import worded


def ship(
    conn: Connection, storefront: Storefront, key: str, variant: str, share: int, reason: str, actor: str, now: Micros,
    learned: Mapping[str, str] = MappingProxyType({}),
) -> Experiment:  # fmt: skip
    """Decide for `variant`, and keep `share` (hundredths of a percent) of the visitors on control from now on.

    `learned` is what else stays with the decision.

    Conflict where the experiment is a holdback itself: to go on measuring, one leaves that running.
    """
    before = get_experiment(conn, storefront.id, key)
    if before.follows is not None:
        raise Conflict(
            "holdback_already",
            worded("%(key)s is a holdback itself: leave it running to go on measuring", key=repr(key)),
        )
    value = follow_up(before.definition, variant, share, {e.key for e in experiments(conn, storefront.id)})
    also = dict(learned) | {"holdback": {"experiment": value["key"], "share": share}}
    decided = defining.decide(conn, storefront, key, variant, reason, actor, now, also)
    defining.create(conn, storefront, value, actor, now, follows=key)
    defining.start(conn, storefront, value["key"], actor, now)
    return decided
