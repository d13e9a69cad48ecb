"""Of many rules, those that could take a unit: what a layer keeps it out of need not be asked one by one."""

from collections.abc import Sequence

from experiments.assignment import Rule, Unit
from experiments.bucketing import BUCKETS, Bucketer

WORTH_IT = 4
"""Rules in layers from which on a shortlist is quicker than asking them all."""


class Shortlist:
    """A placement's rules, found by the unit's place in their layers: whoever is left out would not take the unit.

    Those with an allow-list, which goes before the layer, and winners are never left out.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._always = [i for i, rule in enumerate(rules) if not _sliced(rule)]
        self._layers: dict[tuple[str, str], tuple[Bucketer, list[tuple[int, ...]]]] = {}
        for i, rule in enumerate(rules):
            if _sliced(rule) and rule.layer is not None:
                key = (rule.layer.seed, rule.definition.unit)
                _, holders = self._layers.setdefault(key, (rule.layer, [()] * BUCKETS))
                for place in rule.layer_range:
                    holders[place] = (*holders[place], i)

    def of(self, unit: Unit) -> list[Rule]:
        """The rules to ask, in the order of priority."""
        found: Sequence[int] = self._always
        for (_, kind), (bucketer, holders) in self._layers.items():
            unit_id = unit.visitor_id if kind == "visitor" else unit.customer_id
            if unit_id is not None and (holding := holders[bucketer(unit_id)]):
                found = sorted((*found, *holding)) if found else holding
        return [self._rules[i] for i in found]


def shortlist(rules: Sequence[Rule]) -> Shortlist | None:
    """A shortlist, where there are enough rules in layers for it."""
    return Shortlist(rules) if sum(map(_sliced, rules)) >= WORTH_IT else None


def _sliced(rule: Rule) -> bool:
    return rule.layer is not None and not rule.allowed and rule.winner is None
