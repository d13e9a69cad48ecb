"""What storefronts call: our own routes, by the endpoint that answers them."""

from collections.abc import Mapping

from experiments.service.serving import AssignmentRequest
from webapp.api.checkout import CheckInput
from webapp.api.intake import IdentityInput
from webapp.openapi import examples
from webapp.openapi.answers import (
    Alive,
    AssignmentAnswer,
    Evaluation,
    Evaluations,
    FeaturePayload,
    PriceCheck,
    Readiness,
    ReceiptAnswer,
)
from webapp.openapi.operation import ANY_KEY, Operation, Query
from webapp.openapi.shapes import CONVERSIONS, EXPOSURES, FREE, ref

TEXT_MEDIA = ("application/json", "text/plain")
"""A beacon of a browser says that it is text."""

HOT: Mapping[str, Operation] = {
    "v1.assignments": Operation(
        tag="Serving", keys=ANY_KEY, body=AssignmentRequest, body_media=TEXT_MEDIA, answer=AssignmentAnswer,
        example=examples.ASSIGNMENT, told=examples.ASSIGNED, refuses=(415,), name="assign",
        summary="Which variant this visitor gets in this placement; with `record`, the exposure is durable before the"
        " answer.",
    ),
    "v1.exposures": Operation(
        tag="Recording", keys=ANY_KEY, body=EXPOSURES, body_media=TEXT_MEDIA, answer=ReceiptAnswer,
        example=examples.EXPOSURE, told=examples.RECEIPT, refuses=(415,), name="record_exposures",
        summary="Record one exposure or an array of them; what is answered is durable.",
    ),
    "v1.conversions": Operation(
        tag="Recording", keys=ANY_KEY, body=CONVERSIONS, body_media=TEXT_MEDIA, answer=ReceiptAnswer,
        example=examples.ORDER, told=examples.RECEIPT, refuses=(415,), name="record_conversions",
        summary="Record one conversion (an order, a refund, anything else) or an array; what is answered is durable.",
    ),
    "v1.identities": Operation(
        tag="Recording", keys=ANY_KEY, body=IdentityInput, body_media=TEXT_MEDIA, answer=ReceiptAnswer,
        example=examples.IDENTITY, told=examples.RECEIPT, refuses=(415,), name="record_identity",
        summary="Tie a visitor to a customer, as at login.",
    ),
    "checkout.answer_check": Operation(
        tag="Serving", keys=ANY_KEY, body=CheckInput, body_media=TEXT_MEDIA, answer=PriceCheck,
        example=examples.PRICE_CHECK, told={"valid": False, "reason": "bad_token"}, name="check_price",
        only_refuses=(400, 401, 403, 413, 415, 422, 503),
        summary="Whether the price that a visitor was shown holds at the checkout, and if not, why.",
    ),
}  # fmt: skip

OFREP_ERRORS = (400, 401, 403, 413, 415, 503)
"""The protocol knows no 422: what is invalid is a 400."""

PROTOCOLS: Mapping[str, Operation] = {
    "ofrep.one": Operation(
        tag="OpenFeature", keys=ANY_KEY, body=ref("EvaluationRequest"), answer=Evaluation, example=examples.CONTEXT,
        only_refuses=(*OFREP_ERRORS, 404), problem="OpenFeatureProblem", name="evaluate_placement",
        summary="One placement as a flag whose value is the offer; never records.",
    ),
    "ofrep.every": Operation(
        tag="OpenFeature", keys=ANY_KEY, body=ref("EvaluationRequest"), answer=Evaluations, example=examples.CONTEXT,
        only_refuses=OFREP_ERRORS, problem="OpenFeatureProblem", name="evaluate_all",
        other={304: "What you hold (`If-None-Match`) is still the answer."},
        summary="All placements as flags, with an ETag; never records.",
    ),
    "streams.stream": Operation(
        tag="OpenFeature", keys=(), media="text/event-stream", answer=str, name="follow_evaluations",
        query=(Query("token", str, "From `eventStreams` of an evaluation of all flags.", required=True),),
        only_refuses=(401, 503), summary="Server-sent events that tell an OpenFeature provider to evaluate again.",
    ),
    "growthbook.features": Operation(
        tag="GrowthBook", keys=(), answer=FeaturePayload, only_refuses=(401, 403, 503), problem="GrowthBookProblem",
        name="read_features", other={304: "What you hold (`If-None-Match`) is still the answer."},
        summary="The storefront's placements as features, for GrowthBook's SDKs; `key` is the public key.",
    ),
    "growthbook.subscribe": Operation(
        tag="GrowthBook", keys=(), media="text/event-stream", answer=str, only_refuses=(401, 403, 503),
        problem="GrowthBookProblem", name="follow_features",
        summary="Server-sent events: the features again, each time that they change; `key` is the public key.",
    ),
}  # fmt: skip

OPERATING: Mapping[str, Operation] = {
    "health.livez": Operation(tag="Operating", keys=(), answer=Alive, only_refuses=(), told={"status": "ok"}),
    "health.readyz": Operation(
        tag="Operating",
        keys=(),
        answer=Readiness,
        only_refuses=(),
        answers={503: Readiness},
        told={"status": "ok", "checks": {"snapshot": "revision 7", "database": "ok"}},
    ),
    "prometheus.metrics": Operation(
        tag="Operating",
        keys=(),
        media="text/plain",
        answer=str,
        only_refuses=(503,),
        name="read_metrics",
    ),
    "openapi.document": Operation(
        tag="Operating",
        keys=(),
        answer=FREE,
        only_refuses=(),
        name="read_description",
        other={304: "What you hold (`If-None-Match`) is still the answer."},
    ),
}
