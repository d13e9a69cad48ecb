"""A storefront's own metrics: what is counted, over what, and which way is better."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec

from experiments.errors import FieldError
from experiments.identifiers import Key, Name, Printable
from experiments.metrics import BUILT_IN, COLUMNS, Direction, Metric, event_of, is_flag
from experiments.wording import worded

Column = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
LEAST_CAP, MOST_CAP = 0.9, 0.9999
"""Of the values above 0: a lower one would cut what an offer adds."""


class SavedMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric by its columns, each summed over a visitor's conversion window.

    `event:NAME` counts conversions of that name, `with_event:NAME` is 1 where there was any. `cap` is a percentile of
    the values above 0, to which larger ones are cut.
    """

    type: Literal["proportion", "mean", "ratio"]
    numerator: Column
    denominator: Column | None = None
    direction: Direction = "increase"
    cap: Annotated[float, msgspec.Meta(ge=LEAST_CAP, le=MOST_CAP)] | None = None
    name: Name = ""
    description: Annotated[Printable, msgspec.Meta(max_length=500)] = ""
    version: Annotated[int, msgspec.Meta(ge=1)] = 1

    def metric(self, key: str) -> Metric:
        """As the report reads it; raises Invalid."""
        return Metric(key, self.type, self.numerator, self.denominator, cap=self.cap, direction=self.direction)


class SavedMetricInput(SavedMetric, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A metric as the API writes it; `version`, where given, is the one that was read."""

    key: Key
    version: Annotated[int, msgspec.Meta(ge=1)] | None = None  # type: ignore[assignment]  # given by the store


def check_saved(key: str, saved: SavedMetric, at: str = "") -> Iterator[FieldError]:
    """What is wrong with it, each with its field under `at`."""
    if key in BUILT_IN:
        yield FieldError(f"{at}key", worded("%(key)s is a metric that every storefront has", key=repr(key)))
    for name, column in (("numerator", saved.numerator), ("denominator", saved.denominator)):
        if column is not None and column not in COLUMNS and event_of(column) is None:
            yield FieldError(
                f"{at}{name}", f"{column!r} is not counted; there are {', '.join(COLUMNS)}, event:NAME, with_event:NAME"
            )
    if (saved.type == "ratio") != (saved.denominator is not None):
        yield FieldError(f"{at}denominator", worded("a ratio needs one, and nothing else takes one"))
    if saved.denominator is not None and saved.denominator == saved.numerator:
        yield FieldError(
            f"{at}denominator", worded("must be another one than the numerator: the ratio would always be 1")
        )
    if saved.type == "proportion" and not is_flag(saved.numerator):
        yield FieldError(
            f"{at}numerator",
            worded("a share of visitors needs what is 0 or 1, and %(column)s is not", column=repr(saved.numerator)),
        )
    if saved.type == "proportion" and saved.cap is not None:
        yield FieldError(f"{at}cap", worded("a share of visitors is not capped"))


def own_metrics(saved: Mapping[str, SavedMetric]) -> dict[str, Metric]:
    """Those that a report can read, by key."""
    return {key: one.metric(key) for key, one in saved.items() if not list(check_saved(key, one))}


def event_names(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """The conversions that these metrics count by name."""
    named = (event_of(column) for metric in metrics for column in metric.columns)
    return tuple(dict.fromkeys(name for name in named if name is not None))
