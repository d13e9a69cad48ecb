"""Recording: exposures and conversions from a storefront into the event log. What is acknowledged is durable.

What is refused is kept in quarantine, in the same transaction as the good events beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from experiments.currencies import Rates, converted
from experiments.errors import FieldError, Invalid, Malformed
from experiments.events import Conversion, Exposure, NewId, parse_conversion, parse_exposure
from experiments.identifiers import StorefrontId
from experiments.lifecycle import MEASURING
from experiments.moment import Micros, day_number
from experiments.money import LARGEST_MINOR
from experiments.service.snapshot import StorefrontView
from experiments.storage.eventlog import ExposureRow, Outcome
from experiments.storage.eventwriter import EventWriter, Intake
from experiments.storage.links import Link
from experiments.storage.quarantine import Refused
from experiments.storage.registry import Experiment
from experiments.traits import traits_of
from experiments.wording import Term, worded

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that was refused: which, under what code, and why."""

    index: int
    code: str
    message: str
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch."""

    accepted: int = 0
    duplicate: int = 0
    rejected: tuple[Rejection, ...] = field(default=())

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(
            self.accepted + other.accepted, self.duplicate + other.duplicate, (*self.rejected, *other.rejected)
        )


class Recording(msgspec.Struct, frozen=True):
    """What one call wants recorded, yet to be written, and what of it was refused."""

    storefront_id: StorefrontId
    given: Intake
    at: Micros
    rejected: tuple[Rejection, ...] = ()

    def write(self, writer: EventWriter) -> Receipt:
        """What became of it, once all of it is durable."""
        return self.receipt(writer.write(self.storefront_id, self.given, self.at))

    def receipt(self, outcomes: Sequence[Outcome]) -> Receipt:
        """What became of it, by what became of its events."""
        return receipt_of(outcomes, self.rejected)


class UnknownThing(Invalid):
    """An event about an experiment or a variant that is not there, or not to be counted now."""

    def __init__(self, code: str, name: str, message: str) -> None:
        super().__init__([FieldError(name, message)])
        self.code = code


def read_exposures(
    view: StorefrontView, raws: Sequence[bytes], now: Micros, *, historic: bool = False, source: str | None
) -> Recording:
    """Exposures to record, from their JSON; with `historic`, as imports are, also of experiments that are not live.

    What is refused is quarantined under `source`, unless that is None.
    """
    read, rejected = _read(raws, lambda raw: exposure_row(view, parse_exposure(raw, now), historic=historic))
    given = Intake(exposures=read, refused=_refused(source, raws, rejected))
    return Recording(view.storefront.id, given, now, rejected)


def record_exposures(
    writer: EventWriter,
    view: StorefrontView,
    raws: Sequence[bytes],
    now: Micros,
    *,
    historic: bool = False,
    source: str | None = "exposures",
) -> Receipt:
    """Record exposures, read as `read_exposures` does."""
    return read_exposures(view, raws, now, historic=historic, source=source).write(writer)


def exposure_recording(view: StorefrontView, row: ExposureRow, now: Micros) -> Recording:
    """To record one exposure that this process itself decided."""
    return Recording(view.storefront.id, Intake(exposures=[row]), now)


def read_conversions(
    writer: EventWriter,
    view: StorefrontView,
    raws: Sequence[bytes],
    now: Micros,
    new_id: NewId,
    *,
    source: str | None,
) -> Recording:
    """Conversions to record, from their JSON.

    What is refused is quarantined under `source`, unless that is None.
    """
    known: list[Rates] = []

    def rates() -> Rates:
        if not known:  # asked for once a call, and only where foreign money is
            known.append(writer.rates(view.storefront.id))
        return known[0]

    def conversion_row(raw: bytes) -> Conversion:
        parsed = of_catalogue(parse_conversion(raw, now, view.storefront.zone, new_id), view)
        return with_costs(in_currency(parsed, view, rates), view)

    read, rejected = _read(raws, conversion_row)
    given = Intake(conversions=read, refused=_refused(source, raws, rejected))
    return Recording(view.storefront.id, given, now, rejected)


def record_conversions(
    writer: EventWriter,
    view: StorefrontView,
    raws: Sequence[bytes],
    now: Micros,
    new_id: NewId,
    *,
    source: str | None = "conversions",
) -> Receipt:
    """Record conversions, read as `read_conversions` does."""
    return read_conversions(writer, view, raws, now, new_id, source=source).write(writer)


def quarantine(writer: EventWriter, view: StorefrontView, refused: Sequence[Refused], now: Micros) -> None:
    """Keep what an intake refused before it was an exposure or a conversion."""
    writer.write(view.storefront.id, Intake(refused=refused), now)


def _refused(source: str | None, raws: Sequence[bytes], rejected: Sequence[Rejection]) -> list[Refused]:
    return [] if source is None else [Refused(source, raws[r.index], r.code, r.message) for r in rejected]


def exposure_row(view: StorefrontView, exposure: Exposure, *, historic: bool) -> ExposureRow:
    """The exposure with its experiment, variant and unit found; UnknownThing says what is not there."""
    experiment = view.experiments.get(exposure.experiment)
    if experiment is None:
        message = worded("there is no experiment %(key)s", key=repr(exposure.experiment))
        raise UnknownThing("unknown_experiment", "experiment", message)
    if experiment.definition.variant(exposure.variant) is None:
        known = ", ".join(v.key for v in experiment.definition.variants)
        message = worded("%(given)s is not among %(known)s", given=repr(exposure.variant), known=known)
        raise UnknownThing("unknown_variant", "variant", message)
    unit = experiment.definition.unit
    unit_id = exposure.visitor_id if unit == "visitor" else exposure.customer_id
    if unit_id is None:
        key = repr(experiment.key)
        message = (
            worded("is required: the unit of %(key)s is the visitor", key=key)
            if unit == "visitor"
            else worded("is required: the unit of %(key)s is the customer", key=key)
        )
        raise UnknownThing("no_unit", f"{unit}_id", message)
    if not historic:
        if unit_id in experiment.definition.allow_list:
            message = worded(
                "%(unit)s is on the allow-list of %(key)s: who only looks is never counted",
                unit=repr(unit_id), key=repr(experiment.key),
            )  # fmt: skip
            raise UnknownThing("forced", f"{unit}_id", message)
        _check_counts(experiment, exposure.at)
    day = day_number(exposure.at, view.storefront.zone)
    planned = experiment.definition.analysis.segments
    traits = traits_of(view.catalogue, planned, exposure.attributes or {}, exposure.context, None)
    return ExposureRow(
        experiment.id, exposure.kind, unit_id, exposure.variant, exposure.at, day, experiment.fingerprint, traits
    )


def _check_counts(experiment: Experiment, at: Micros) -> None:
    live = experiment.state in MEASURING or (experiment.state == "scheduled" and _has_begun(experiment, at))
    late = experiment.stopped_at is not None and at < experiment.stopped_at
    if not live and not late:
        message = worded(
            "%(key)s is %(state)s: exposures to it are not counted",
            key=repr(experiment.key), state=Term("state", experiment.state),
        )  # fmt: skip
        raise UnknownThing("not_running", "experiment", message)


def _has_begun(experiment: Experiment, at: Micros) -> bool:
    start = experiment.definition.schedule.start_at
    return start is not None and start.timestamp() * 1e6 <= at


def with_costs(conversion: Conversion, view: StorefrontView) -> Conversion:
    """An order with the catalogue's costs where it brought none; unknown costs stay unknown."""
    if conversion.type != "order" or not conversion.lines:
        return conversion
    lines = tuple(
        line if line.cost is not None else replace(line, cost=_catalogue_cost(view, line.product_id))
        for line in conversion.lines
    )
    cost = conversion.cost
    if cost is None and all(line.cost is not None for line in lines):
        cost = sum((line.cost or 0) * line.quantity for line in lines)
        if cost > LARGEST_MINOR:
            raise Invalid.at("cost", worded("of all lines together is larger than any sale"))
    return replace(conversion, lines=lines, cost=cost)


def of_catalogue(conversion: Conversion, view: StorefrontView) -> Conversion:
    """The conversion without a product that the storefront does not sell: its views are nothing to count."""
    if conversion.product_id is None or view.catalogue.get(conversion.product_id) is not None:
        return conversion
    return replace(conversion, product_id=None)


def _catalogue_cost(view: StorefrontView, product_id: str) -> int | None:
    product = view.catalogue.get(product_id)
    return None if product is None else product.cost


def in_currency(conversion: Conversion, view: StorefrontView, rates: Callable[[], Rates]) -> Conversion:
    """The conversion in the storefront's money; UnknownThing where no rate of its day or before is known."""
    currency = view.storefront.currency
    if conversion.currency is None or conversion.currency == currency:
        return conversion
    found = converted(conversion, currency, rates())
    if found is None:
        message = worded(
            "is %(given)s, and %(storefront)s counts in %(currency)s and knows no rate for that day "
            "(offerlab import rates)",
            given=conversion.currency, storefront=repr(view.storefront.key), currency=currency,
        )  # fmt: skip
        raise UnknownThing("wrong_currency", "currency", message)
    return found


def _read(raws: Sequence[bytes], parse: Callable[[bytes], T]) -> tuple[list[T], tuple[Rejection, ...]]:
    read: list[T] = []
    rejected: list[Rejection] = []
    for index, raw in enumerate(raws):
        try:
            read.append(parse(raw))
        except Invalid as refusal:
            rejected.append(Rejection(index, refusal.code, refusal.message, refusal.errors))
        except Malformed as refusal:
            rejected.append(Rejection(index, refusal.code, refusal.message))
    return read, tuple(rejected)


def receipt_of(outcomes: Sequence[Outcome], rejected: tuple[Rejection, ...]) -> Receipt:
    """What became of the events that were written, beside those that were not."""
    accepted = sum(outcome == "accepted" for outcome in outcomes)
    return Receipt(accepted, len(outcomes) - accepted, rejected)


def link_recording(view: StorefrontView, visitor_id: str, customer_id: str, now: Micros) -> Recording:
    """To record that a visitor is a customer; of several customers the first counts."""
    return Recording(view.storefront.id, Intake(links=[Link(visitor_id, customer_id, now)]), now)
