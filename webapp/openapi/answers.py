"""What the routes of storefronts answer, as types; what they take are the types that decode it."""

from typing import Any, Literal

import msgspec

from experiments.assignment import Reason
from experiments.served import RefusalCode


class FieldProblem(msgspec.Struct, frozen=True):
    """One broken rule: where (`variants[1].weight`), and what to do about it."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error, on every route (RFC 9457); `errors` names each broken rule of a 422."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    message: str
    errors: list[FieldProblem] | msgspec.UnsetType = msgspec.UNSET


class OpenFeatureProblem(Problem, frozen=True, kw_only=True):
    """An error as OpenFeature's providers read it, and ours beside it."""

    errorCode: Literal[  # noqa: N815 - the protocol's name
        "PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"
    ]
    errorDetails: str  # noqa: N815 - as above
    key: str | msgspec.UnsetType = msgspec.UNSET


class GrowthBookProblem(Problem, frozen=True, kw_only=True):
    """An error as GrowthBook's SDKs read it, and ours beside it."""

    error: str


class ServedProduct(msgspec.Struct, frozen=True):
    """A product of a served offer."""

    product_id: str
    title: str
    price: str
    quantity: int
    url: str
    image: str


class ServedInstalments(msgspec.Struct, frozen=True):
    """What paying in parts comes to; `last` is the last part."""

    count: int
    amount: str
    last: str
    text: str | msgspec.UnsetType = msgspec.UNSET


class ServedSocialProof(msgspec.Struct, frozen=True):
    """In how many orders of the last days a product was."""

    product_id: str
    orders: int
    days: int


class ServedTier(msgspec.Struct, frozen=True):
    """One of several choices."""

    name: str
    offer_id: str
    products: list[ServedProduct]
    price: str
    regular_price: str
    saving: str
    instalments: ServedInstalments | msgspec.UnsetType = msgspec.UNSET


class WithheldStep(msgspec.Struct, frozen=True):
    """A next step that cannot be shown, and why."""

    step: Literal["if_declined", "if_accepted"]
    refusal: RefusalCode
    product_id: str | None


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    offer_id: str
    products: list[ServedProduct]
    price: str
    regular_price: str
    saving: str
    currency: str
    headline: str | msgspec.UnsetType = msgspec.UNSET
    body: str | msgspec.UnsetType = msgspec.UNSET
    call_to_action: str | msgspec.UnsetType = msgspec.UNSET
    image: str | msgspec.UnsetType = msgspec.UNSET
    free_shipping_over: str | msgspec.UnsetType = msgspec.UNSET
    valid_until: str | msgspec.UnsetType = msgspec.UNSET
    stacks_with_discounts: bool | msgspec.UnsetType = msgspec.UNSET
    base_product_id: str | msgspec.UnsetType = msgspec.UNSET
    instalments: ServedInstalments | msgspec.UnsetType = msgspec.UNSET
    social_proof: list[ServedSocialProof] | msgspec.UnsetType = msgspec.UNSET
    tiers: list[ServedTier] | msgspec.UnsetType = msgspec.UNSET
    if_declined: "ServedUpsell | ServedCrossSell | ServedBundle | msgspec.UnsetType" = msgspec.UNSET
    if_accepted: "ServedUpsell | ServedCrossSell | ServedBundle | msgspec.UnsetType" = msgspec.UNSET
    withheld: list[WithheldStep] | msgspec.UnsetType = msgspec.UNSET


class ServedNothing(msgspec.Struct, frozen=True, tag_field="type", tag="none"):
    """No offer is shown."""


class ServedUpsell(_Shown, frozen=True, tag_field="type", tag="upsell", kw_only=True):
    """A dearer product instead; money as decimal strings."""


class ServedCrossSell(_Shown, frozen=True, tag_field="type", tag="cross_sell", kw_only=True):
    """Products to add; money as decimal strings."""


class ServedBundle(_Shown, frozen=True, tag_field="type", tag="bundle", kw_only=True):
    """Products together for less; money as decimal strings."""


ServedOffer = ServedNothing | ServedUpsell | ServedCrossSell | ServedBundle


class Withheld(msgspec.Struct, frozen=True):
    """A variant that could not be shown here, and why."""

    variant: str
    refusal: RefusalCode
    product_id: str | None


class Gate(msgspec.Struct, frozen=True):
    """One question that was asked on the way, and its answer."""

    gate: str
    passed: bool
    why: str


class DecidingStep(msgspec.Struct, frozen=True):
    """A rule of the placement, or what stands before them all (`experiment` null), and what it decided."""

    experiment: str | None
    reason: Reason | None
    gates: list[Gate]
    state: str | msgspec.UnsetType = msgspec.UNSET
    variant: str | msgspec.UnsetType | None = msgspec.UNSET
    why: str | msgspec.UnsetType = msgspec.UNSET


class AssignmentAnswer(msgspec.Struct, frozen=True):
    """Which variant this visitor gets here, why, and what it shows."""

    placement: str
    visitor_id: str
    experiment: str | None
    variant: str | None
    in_experiment: bool
    reason: Reason
    offer: ServedOffer
    refusals: list[Withheld] | msgspec.UnsetType = msgspec.UNSET
    price_token: str | msgspec.UnsetType | None = msgspec.UNSET
    """The proof of the price that was shown; hand it back at the checkout and in `price_tokens`."""
    price_tokens: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """By offer id, where there are several prices."""
    steps: list[DecidingStep] | msgspec.UnsetType = msgspec.UNSET
    """With `explain`: what decided."""


class RejectedEvent(msgspec.Struct, frozen=True):
    """An event that was not taken; `index` is its place in what was sent."""

    index: int
    code: str
    message: str
    errors: list[FieldProblem] | msgspec.UnsetType = msgspec.UNSET


class ReceiptAnswer(msgspec.Struct, frozen=True):
    """What became of the events: what is accepted is durable, a duplicate changed nothing."""

    accepted: int
    duplicate: int
    rejected: list[RejectedEvent]


class PriceCheck(msgspec.Struct, frozen=True):
    """Whether the price that the visitor was shown holds, and if not, why."""

    valid: bool
    reason: str | msgspec.UnsetType = msgspec.UNSET
    product_id: str | msgspec.UnsetType = msgspec.UNSET
    offer_id: str | msgspec.UnsetType = msgspec.UNSET
    products: list[str] | msgspec.UnsetType = msgspec.UNSET
    price: str | msgspec.UnsetType = msgspec.UNSET
    regular_price: str | msgspec.UnsetType = msgspec.UNSET
    currency: str | msgspec.UnsetType = msgspec.UNSET
    expires_at: str | msgspec.UnsetType = msgspec.UNSET


class Evaluation(msgspec.Struct, frozen=True):
    """One placement as OpenFeature's flag: its value is the offer."""

    key: str
    value: ServedOffer
    variant: str
    reason: Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"]
    metadata: dict[str, str | bool]


class FlagSet(msgspec.Struct, frozen=True):
    """Which storefront's flags these are."""

    flagSetId: str  # noqa: N815 - the protocol's name


class Evaluations(msgspec.Struct, frozen=True):
    """Every placement of the storefront, and the streams that tell of changes."""

    flags: list[Evaluation]
    metadata: FlagSet
    eventStreams: list[dict[str, Any]]  # noqa: N815 - the protocol's name


class FeaturePayload(msgspec.Struct, frozen=True):
    """The storefront's placements as GrowthBook's SDKs evaluate them."""

    features: dict[str, Any]
    status: int | msgspec.UnsetType = msgspec.UNSET


class Success(msgspec.Struct, frozen=True):
    """What Segment's clients wait for."""

    success: bool


class DeliveryAnswer(msgspec.Struct, frozen=True):
    """What became of a webhook's delivery."""

    state: str
    reason: str | msgspec.UnsetType | None = msgspec.UNSET


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests can be answered in full, and what each check found."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]
