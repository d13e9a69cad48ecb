"""Frequency caps: how often a visitor meets offers, over all experiments of the storefront, control counted alike.

A view counts whatever the variant was, or the variants would be capped at different times and stop being comparable.
Views are counted while any live experiment has a cap.
"""

from collections.abc import Callable

from sqlalchemy import Engine

from experiments.assignment import Assignment, Rule
from experiments.definition import Definition
from experiments.errors import Unavailable
from experiments.incentives import FrequencyCap
from experiments.moment import Micros, day_number
from experiments.offers import NoOffer
from experiments.resolution import Refusal
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading
from experiments.storage.groupcommit import GroupCommit, Part
from experiments.storage.offerviews import View, append_views, views

Viewed = Callable[[int], int | None]
"""In how many days, how many views; None where nobody can say."""
_GROUP = 9
"""After everything else that one transaction writes."""


def viewed(engine: Engine, view: StorefrontView, visitor_id: str, now: Micros) -> Viewed:
    """Asks the store how often a visitor met offers."""
    today = day_number(now, view.storefront.zone)

    def count(days: int) -> int | None:
        try:
            with reading(engine) as conn:
                return views(conn, view.storefront.id, visitor_id, today, days)
        except Unavailable:
            return None

    return count


def is_capped(caps: tuple[FrequencyCap, ...], count: Viewed) -> bool:
    """Whether the visitor has met offers often enough; also where nobody can say."""
    return any((seen := count(cap.days)) is None or seen >= cap.views for cap in caps)


def capped(definition: Definition) -> dict[str, Refusal]:
    """Every variant refused."""
    return {variant.key: Refusal("frequency_cap") for variant in definition.variants}


def counted(engine: Engine, view: StorefrontView, visitor_id: str, made: Assignment, now: Micros) -> Assignment:
    """The assignment with its view counted; refused where another request has just used up the cap."""
    rule = made.rule
    if not view.caps or rule is None or made.reason not in {"assigned", "winner"} or not _shows(rule):
        return made
    row = View(visitor_id, day_number(now, view.storefront.zone), view.caps.get(rule.experiment_id, ()))
    here = view.storefront.id
    part = Part((_GROUP, here), lambda conn, rows: append_views(conn, here, rows), [row])
    ((allowed,),) = GroupCommit.to(engine).write([part])
    drawn = made.variant if made.in_experiment else None
    return made if allowed else Assignment("not_eligible", rule, refusals=capped(rule.definition), drawn=drawn)


def _shows(rule: Rule) -> bool:
    if rule.winner is not None:
        return not isinstance(rule.winner.offer, NoOffer)
    return any(v.weight > 0 and not isinstance(v.offer, NoOffer) for v in rule.definition.variants)
