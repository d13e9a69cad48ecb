"""Which variation a unit draws in one experiment: `run` of GrowthBook's SDK specification, compiled once.

The steps and their order are those of the JavaScript SDK (1.8.0, specification 0.8.0). Left out is what only scripts
in a page use: targeting by URL pattern and by `groups`, and overrides of a whole experiment.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from experiments.bucketing import Allocation, bucket_ranges, in_namespace, usable_weights
from experiments.ecmascript import to_string, truthy
from experiments.prerequisites import compile_prerequisites
from experiments.stickiness import Stickiness, StickyBuckets
from experiments.targeting import SavedGroups, compile_condition

Definition = Mapping[str, Any]  # an experiment, a rule or a feature in GrowthBook's JSON


class Context(msgspec.Struct, frozen=True):
    """Whom an evaluation is about, and what overrides it."""

    attributes: Mapping[str, object]
    forced_variations: Mapping[str, int] = {}  # a variation's index by the experiment's key
    url: str = ""  # a query `?<experiment key>=<index>` in it forces that variation
    enabled: bool = True
    qa_mode: bool = False  # only forced variations
    sticky: StickyBuckets | None = None  # None: the hash alone decides


class DrawResult(msgspec.Struct, frozen=True):
    """What a unit drew; one that is not in the experiment has its first variation, and the reason says why."""

    in_experiment: bool
    variation_index: int
    variation_key: str
    value: object
    reason: str
    hash_attribute: str
    hash_value: object = ""
    hash_used: bool = False
    bucket: float | None = None
    name: str | None = None
    passthrough: bool = False
    sticky_bucket_used: bool = False


class Filters:
    """Mutual exclusion: a unit must lie in the ranges of every filter."""

    __slots__ = ("_each",)

    def __init__(self, filters: list[Definition]) -> None:
        self._each = [
            (
                one.get("attribute") or "id",
                Allocation(one.get("seed") or "", one.get("hashVersion") or 2, one["ranges"]),
            )
            for one in filters
        ]

    def let_in(self, attributes: Mapping[str, object]) -> bool:
        """Whether each of them holds the unit; without a value to hash it is out."""
        for attribute, allocation in self._each:
            value = attributes.get(attribute)
            if not truthy(value) or not allocation.holds(value if type(value) is str else to_string(value)):
                return False
        return True


class Experiment:
    """A compiled experiment; if it is `filtered`, somebody has asked its filters before."""

    def __init__(
        self, definition: Definition, saved_groups: SavedGroups | None = None, *, filtered: bool = False
    ) -> None:
        self.definition = definition
        self.key: str = definition["key"]
        self._arms = _arms(definition["variations"], definition.get("meta") or [])
        self._attribute: str = definition.get("hashAttribute") or "id"
        self._fallback: str | None = definition.get("fallbackAttribute")
        inactive = definition.get("status") == "draft" or definition.get("active") is False
        self._unrunnable = inactive or len(self._arms) < 2
        self._overrules = "force" in definition or definition.get("status") == "stopped"
        filters = definition.get("filters")
        self._filters = Filters(filters) if filters and not filtered else None
        # filters are the newer way: where there are any, the namespace is not asked
        self._namespace: tuple[str, float, float] | None = definition.get("namespace") if filters is None else None
        condition = definition.get("condition")
        self._condition = compile_condition(condition, saved_groups) if condition else None
        self.prerequisites = compile_prerequisites(definition, saved_groups)
        self._allocation = _allocation(definition)
        self._stickiness = None if definition.get("disableStickyBucketing") else _stickiness(definition)

    def draw(self, context: Context, prerequisites_hold: Callable[[], bool] | None = None) -> DrawResult:
        """The variation of the unit that the context is about."""
        attribute, value = self._attribute, context.attributes.get(self._attribute)
        if type(value) is not str or not value:
            attribute, value = self._hashed(context)
        if self._unrunnable or context.forced_variations or context.url or not context.enabled:
            overridden = self._override(context, attribute, value)
            if overridden is not None:
                return overridden
        if value == "":
            return self._out("no_hash_value", attribute, value)
        text = value if type(value) is str else to_string(value)
        kept, barred = -1, False
        sticky = context.sticky if self._stickiness else None
        if sticky is not None and self._stickiness:
            kept, barred = self._stickiness.look_up(context.attributes, sticky)
        if kept < 0 and (reason := self._excluded(context, text, prerequisites_hold)):
            return self._out(reason, attribute, value)
        found = self._allocation.find(text)
        if found is None:
            return self._out("unknown_hash_version", attribute, value)
        if barred:
            return self._out("older_bucket_version", attribute, value, sticky=True)
        n, index = found
        if kept >= 0:
            index = kept
        if index < 0:
            return self._out("coverage", attribute, value)
        if self._overrules or context.qa_mode:
            return self._overrule(context, attribute, value)
        key, variation, name, passthrough = self._arms[index]
        if sticky is not None and self._stickiness:
            self._stickiness.keep(attribute, value, key, sticky)
        reason = "drawn" if kept < 0 else "sticky"
        return DrawResult(
            True, index, key, variation, reason, attribute, value, True, n, name, passthrough, kept >= 0
        )  # fmt: skip

    def _override(self, context: Context, attribute: str, value: object) -> DrawResult | None:
        """What comes before the hash: an experiment that cannot run, or a variation forced from outside."""
        if len(self._arms) < 2:
            return self._out("too_few_variations", attribute, value)
        if not context.enabled:
            return self._out("disabled", attribute, value)
        index = forced_by_url(self.key, context.url, len(self._arms))
        if index is None:
            index = context.forced_variations.get(self.key)
        if index is not None:
            return self._in(index, "forced", attribute, value)
        return self._out("inactive", attribute, value) if self._unrunnable else None

    def _overrule(self, context: Context, attribute: str, value: object) -> DrawResult:
        """What comes after it."""
        if "force" in self.definition:
            return self._in(self.definition["force"], "forced", attribute, value)
        return self._out("qa_mode" if context.qa_mode else "stopped", attribute, value)

    def _hashed(self, context: Context) -> tuple[str, object]:
        """The attribute that is hashed and its value; "" for one that is missing, null, 0 or false."""
        value = context.attributes.get(self._attribute)
        if not truthy(value) and self._fallback and self._stickiness and context.sticky is not None:
            other = context.attributes.get(self._fallback)
            return (self._fallback, other) if truthy(other) else (self._attribute, "")
        return self._attribute, value if truthy(value) else ""

    def _excluded(self, context: Context, text: str, prerequisites_hold: Callable[[], bool] | None) -> str | None:
        if self._filters is not None and not self._filters.let_in(context.attributes):
            return "filters"
        if self._namespace and not in_namespace(text, self._namespace):
            return "namespace"
        if self._condition is not None and not self._condition.matches(context.attributes):
            return "condition"
        return "prerequisite" if prerequisites_hold is not None and not prerequisites_hold() else None

    def _in(self, index: int, reason: str, attribute: str, value: object) -> DrawResult:
        if not 0 <= index < len(self._arms):
            return self._out("no_such_variation", attribute, value)
        key, variation, name, passthrough = self._arms[index]
        return DrawResult(
            True, index, key, variation, reason, attribute, value, name=name, passthrough=passthrough
        )  # fmt: skip

    def _out(self, reason: str, attribute: str, value: object, *, sticky: bool = False) -> DrawResult:
        key, variation, name, passthrough = self._arms[0] if self._arms else ("0", None, None, False)
        return DrawResult(
            False, 0, key, variation, reason, attribute, value,
            name=name, passthrough=passthrough, sticky_bucket_used=sticky,
        )  # fmt: skip


_Arm = tuple[str, object, str | None, bool]


def _arms(variations: Sequence[object], meta: Sequence[Definition]) -> list[_Arm]:
    described = [*meta, *[{}] * len(variations)]
    return [
        (each.get("key") or str(index), variation, each.get("name") or None, bool(each.get("passthrough")))
        for index, (variation, each) in enumerate(zip(variations, described, strict=False))
    ]


def _allocation(definition: Definition) -> Allocation:
    count = len(definition["variations"])
    coverage = definition.get("coverage", 1)
    ranges = definition.get("ranges") or bucket_ranges(coverage or 0, usable_weights(count, definition.get("weights")))
    return Allocation(definition.get("seed") or definition["key"], definition.get("hashVersion") or 1, ranges)


def _stickiness(definition: Definition) -> Stickiness:
    return Stickiness(
        experiment=definition["key"],
        attribute=definition.get("hashAttribute") or "id",
        fallback=definition.get("fallbackAttribute"),
        bucket_version=definition.get("bucketVersion") or 0,
        minimum_version=definition.get("minBucketVersion") or 0,
        variation_keys=[each.get("key") for each in definition.get("meta") or []],
    )


_WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]+")


def forced_by_url(key: str, url: str, count: int) -> int | None:
    """The index that the query `?key=index` of a URL asks for; None without one of these variations."""
    query = [*url.split("?"), ""][1].partition("#")[0]
    for pair in query.split("&"):
        name, _, text = pair.partition("=")
        if name == key:
            number = _WHOLE_NUMBER.match(text)
            return int(number[0]) if number and 0 <= int(number[0]) < count else None
    return None
