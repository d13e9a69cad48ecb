"""What the management API answers, as types."""

from typing import Any, Literal

import msgspec

from experiments.crawlers import BotFilter
from experiments.definition import Definition
from experiments.lifecycle import Action, State
from experiments.offers import Bundle, CrossSell, Upsell
from experiments.served import RefusalCode
from experiments.signals import Consent
from webapp.openapi.answers import ServedOffer


class LocalTime(msgspec.Struct, frozen=True):
    """One moment in UTC and on the storefront's clock."""

    utc: str
    local: str


class RampTime(msgspec.Struct, frozen=True):
    """From when on the coverage is what."""

    at: LocalTime
    coverage: int


class Times(msgspec.Struct, frozen=True):
    """The schedule's times in UTC and on the storefront's clock."""

    timezone: str
    start_at: LocalTime | None
    end_at: LocalTime | None
    ramp: list[RampTime]


class HeldBack(msgspec.Struct, frozen=True):
    """The experiment that goes on measuring what was shipped, and how many hundredths of a percent see control."""

    experiment: str
    share: int


class Decided(msgspec.Struct, frozen=True):
    """What was decided, by whom, and why."""

    decision: Literal["ship", "do_not_ship"]
    variant: str | None
    reason: str
    by: str
    holdback: HeldBack | msgspec.UnsetType = msgspec.UNSET
    learning: str | msgspec.UnsetType = msgspec.UNSET
    next_test: str | msgspec.UnsetType = msgspec.UNSET


class ExperimentAnswer(Definition, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A definition, and what has become of it; `actions` are those that its state allows.

    `follows` is, of a holdback, the experiment whose winner it goes on measuring.
    """

    state: State
    version: int
    fingerprint: str
    created_at: str | None
    started_at: str | None
    stopped_at: str | None
    decided_at: str | None
    decision: Decided | None
    follows: str | None
    actions: list[Action]
    times: Times


class DecisionAnswer(msgspec.Struct, frozen=True):
    """A decision with the report that it was made by, as it was then."""

    experiment: str
    decision: Decided | None
    decided_at: str
    data_until: str
    fingerprint: str
    code_version: str
    report: dict[str, Any]


class ExperimentList(msgspec.Struct, frozen=True):
    """Every experiment of the storefront."""

    experiments: list[ExperimentAnswer]


class AuditLine(msgspec.Struct, frozen=True):
    """Who did what, with what it was before and after."""

    at: str
    actor: str
    action: str
    before: Any
    after: Any


class AuditTrail(msgspec.Struct, frozen=True):
    """Every change, newest first."""

    audit: list[AuditLine]


class PreviewLink(msgspec.Struct, frozen=True):
    """A link to one variant, and until when it is good."""

    token: str
    url: str
    expires_at: str
    experiment: str
    variant: str


class OpenedPreview(msgspec.Struct, frozen=True):
    """What a preview link shows."""

    storefront: str
    preview: str
    experiment: str
    variant: str
    expires_at: str


class OfferUse(msgspec.Struct, frozen=True):
    """A variant that took the offer; not `current` where the offer has changed since."""

    experiment: str
    variant: str
    state: State
    current: bool


class SavedOfferAnswer(msgspec.Struct, frozen=True):
    """An offer of the library."""

    key: str
    name: str
    offer: Upsell | CrossSell | Bundle
    version: int
    created_at: str
    updated_at: str
    used_by: list[OfferUse]


class OfferLibrary(msgspec.Struct, frozen=True):
    """Every saved offer, by key."""

    offers: list[SavedOfferAnswer]


class ProductAnswer(msgspec.Struct, frozen=True):
    """A product; money as decimal strings, `stock` null where it is not counted."""

    product_id: str
    title: str
    price: str
    category: str
    compare_at: str | None
    cost: str | None
    stock: int | None
    url: str
    image: str
    attributes: dict[str, str]


class ProductPage(msgspec.Struct, frozen=True):
    """Products in the order of their ids; `next` is what to ask on after, or null."""

    products: list[ProductAnswer]
    total: int
    next: str | None


class ProductVersion(msgspec.Struct, frozen=True):
    """What a product was called and cost from a moment on."""

    at: str
    title: str
    category: str
    price: str
    compare_at: str | None
    cost: str | None


class ProductVersions(msgspec.Struct, frozen=True):
    """A product's versions, newest first; `next` is the offset to go on from, or null."""

    product_id: str
    versions: list[ProductVersion]
    total: int
    next: int | None


class StorefrontAnswer(msgspec.Struct, frozen=True):
    """The storefront and its settings; `holdout` in hundredths of a percent."""

    key: str
    name: str
    currency: str
    timezone: str
    origins: list[str]
    bots: BotFilter
    consent: Consent
    honours_gpc: bool
    holdout: int
    review_required: bool
    reviewers: list[str]


class PlacementRule(msgspec.Struct, frozen=True):
    """An experiment of a placement; `winner` is the variant that everybody gets."""

    experiment: str
    state: State
    winner: str | None
    coverage: int


class PlacementAnswer(msgspec.Struct, frozen=True):
    """A slot, with its rules in the order in which they are tried."""

    key: str
    name: str
    touchpoint: str | None
    paused: bool
    rules: list[PlacementRule]


class PlacementList(msgspec.Struct, frozen=True):
    """The storefront's slots."""

    placements: list[PlacementAnswer]


class FreeRange(msgspec.Struct, frozen=True):
    """A part [start, end) that nobody holds."""

    start: int
    end: int


class LayerHold(msgspec.Struct, frozen=True):
    """The part [start, end) that an experiment holds."""

    experiment: str
    state: State
    start: int
    end: int


class LayerAnswer(msgspec.Struct, frozen=True):
    """A layer: who holds what, and what is free, in hundredths of a percent."""

    key: str
    name: str
    unit: Literal["visitor", "customer"]
    free: int
    free_ranges: list[FreeRange]
    holds: list[LayerHold]


class LayerList(msgspec.Struct, frozen=True):
    """Every layer."""

    layers: list[LayerAnswer]


class AudienceAnswer(msgspec.Struct, frozen=True):
    """A saved audience: a list with its attribute and values, or a condition."""

    key: str
    name: str
    type: Literal["list", "condition"]
    attribute: str | msgspec.UnsetType = msgspec.UNSET
    values: list[str | int | float] | msgspec.UnsetType = msgspec.UNSET
    condition: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class AudienceList(msgspec.Struct, frozen=True):
    """The saved audiences."""

    audiences: list[AudienceAnswer]


class Margin(msgspec.Struct, frozen=True):
    """What is left of an offer's price after the cost of its goods."""

    amount: str
    share: float


class Scene(msgspec.Struct, frozen=True):
    """What one variant shows there, or why it cannot."""

    variant: str
    offer: ServedOffer | None
    refusal: RefusalCode | None
    margin: Margin | None
    product_id: str | msgspec.UnsetType | None = msgspec.UNSET


class PastRefusals(msgspec.Struct, frozen=True):
    """How often a variant could have been shown, and why not."""

    variant: str
    shown: int
    refusals: dict[str, int]


class Past(msgspec.Struct, frozen=True):
    """What the offers would have met on the last days' carts."""

    days: int
    carts: int
    eligible: int
    variants: list[PastRefusals]


class Rehearsal(msgspec.Struct, frozen=True):
    """Every variant as a visitor would see it, and what the last days say."""

    could_enter: bool
    variants: list[Scene]
    past: Past
