"""The management API, by the endpoint that answers: what each takes and gives beyond its own docstring."""

from collections.abc import Mapping

from experiments.audiences import AudienceInput
from experiments.layers import LayerInput
from experiments.service.settings import PlacementChange, StorefrontChange
from webapp.api import offers
from webapp.api.management import DecisionInput, DuplicateInput
from webapp.api.products import LARGEST_PAGE, PAGE
from webapp.api.traffic import PlacementInput, PreviewInput
from webapp.openapi import examples, managed
from webapp.openapi.answers import ReceiptAnswer
from webapp.openapi.operation import Operation, Query
from webapp.openapi.reported import ReportAnswer
from webapp.openapi.shapes import PRODUCTS, ref, whole

LIMIT = Query("limit", whole(1, LARGEST_PAGE, PAGE), "At most so many of them.", example=100)

EXPERIMENTS: Mapping[str, Operation] = {
    "management.list_experiments": Operation(tag="Experiments", answer=managed.ExperimentList),
    "management.create_experiment": Operation(
        tag="Experiments", body=ref("ExperimentInput"), answer=managed.ExperimentAnswer, status=201, refuses=(409,),
        example=examples.DEFINITION,
    ),
    "management.read_experiment": Operation(tag="Experiments", answer=managed.ExperimentAnswer),
    "management.replace_experiment": Operation(
        tag="Experiments", body=ref("ExperimentInput"), answer=managed.ExperimentAnswer, refuses=(409,),
        example=examples.DEFINITION,
    ),
    "management.start_experiment": Operation(
        tag="Experiments", answer=managed.ExperimentAnswer, refuses=(409, 422)
    ),
    "management.act_on_experiment": Operation(
        tag="Experiments", answer=managed.ExperimentAnswer, refuses=(409,), name="{action}_experiment",
        summaries={
            "close": "No new units; those inside keep their variant and are measured.",
            "reopen": "Let new units in again.",
            "pause": "Everyone sees no offer; measuring goes on.",
            "resume": "Serve again after a pause.",
            "unschedule": "Back to a draft, before its start.",
            "stop": "Nobody sees it any more, and nothing more is counted.",
            "archive": "Put it away.",
        },
    ),
    "management.decide_experiment": Operation(
        tag="Experiments", body=DecisionInput, answer=managed.ExperimentAnswer, refuses=(409,),
        example={"decision": "ship", "variant": "bundle", "reason": "It earns more.",
                 "learning": "A set saves a decision.", "next_test": "The same at the checkout."},
    ),
    "management.read_experiment_decision": Operation(tag="Experiments", answer=managed.DecisionAnswer),
    "management.duplicate_experiment": Operation(
        tag="Experiments", body=DuplicateInput, answer=managed.ExperimentAnswer, status=201, refuses=(409,),
        example={"key": "cart-offers-again"},
    ),
    "management.report_experiment": Operation(tag="Experiments", answer=ReportAnswer, refuses=(422,)),
    "management.audit_experiment": Operation(tag="Experiments", answer=managed.AuditTrail),
    "managed_traffic.make_preview": Operation(
        tag="Experiments", body=PreviewInput, answer=managed.PreviewLink, status=201,
        example={"variant": "bundle", "hours": 24},
    ),
}  # fmt: skip

SHOP: Mapping[str, Operation] = {
    "offers.list_offers": Operation(tag="Offers", answer=managed.OfferLibrary),
    "offers.save_offer": Operation(
        tag="Offers", body=ref("SavedOfferInput"), answer=managed.SavedOfferAnswer, status=201, refuses=(409,),
        example=examples.SAVED_OFFER,
    ),
    "offers.read_offer": Operation(tag="Offers", answer=managed.SavedOfferAnswer, path={"key": "tea-to-go"}),
    "offers.replace_offer": Operation(
        tag="Offers", body=ref("SavedOfferChange"), answer=managed.SavedOfferAnswer, refuses=(409,),
        example=examples.SAVED_OFFER, path={"key": "tea-to-go"},
    ),
    "offers.remove_offer": Operation(
        tag="Offers", answer=managed.SavedOfferAnswer, refuses=(409,), path={"key": "tea-to-go"},
    ),
    "previews.preview": Operation(
        tag="Offers",
        body=offers.RehearsalInput,
        answer=managed.Rehearsal,
        refuses=(404,),
        name="rehearse",
        example={"experiment": examples.EXPERIMENT, "context": {"product_id": "A1"}},
    ),
    "offers.audit_offer": Operation(tag="Offers", answer=managed.AuditTrail, path={"key": "tea-to-go"}),
    "products.list_products": Operation(
        tag="Catalogue", answer=managed.ProductPage, refuses=(422,),
        query=(LIMIT, Query("after", str, "The id after which to go on: `next` of the page before.", example="A1")),
    ),
    "products.put_products": Operation(
        tag="Catalogue", body=PRODUCTS, answer=ReceiptAnswer, example=examples.PRODUCTS,
        told={"accepted": 3, "duplicate": 0, "rejected": []},
    ),
    "products.read_product": Operation(tag="Catalogue", answer=managed.ProductAnswer),
    "products.list_versions": Operation(
        tag="Catalogue", answer=managed.ProductVersions, refuses=(422,),
        query=(LIMIT, Query("offset", whole(0, 10**9, 0), "So many of the newest are left out.", example=0)),
    ),
    "managed_traffic.read_storefront": Operation(tag="Traffic", answer=managed.StorefrontAnswer),
    "managed_traffic.change_storefront": Operation(
        tag="Traffic", body=StorefrontChange, answer=managed.StorefrontAnswer,
        example={"bots": "crawlers", "holdout": 500},
    ),
    "managed_traffic.list_placements": Operation(tag="Traffic", answer=managed.PlacementList),
    "managed_traffic.add_placement": Operation(
        tag="Traffic", body=PlacementInput, answer=managed.PlacementAnswer, status=201, refuses=(409,),
        example=examples.NEW_PLACEMENT,
    ),
    "managed_traffic.change_placement": Operation(
        tag="Traffic", body=PlacementChange, answer=managed.PlacementAnswer, refuses=(409,),
        example={"paused": False}, path={"key": "basket-side"},
    ),
    "managed_traffic.list_layers": Operation(tag="Traffic", answer=managed.LayerList),
    "managed_traffic.add_layer": Operation(
        tag="Traffic", body=LayerInput, answer=managed.LayerAnswer, status=201, refuses=(409,), example=examples.LAYER
    ),
    "managed_traffic.list_audiences": Operation(tag="Traffic", answer=managed.AudienceList),
    "managed_traffic.add_audience": Operation(
        tag="Traffic", body=AudienceInput, answer=managed.AudienceAnswer, status=201, refuses=(409,),
        example=examples.AUDIENCE,
    ),
    "managed_traffic.replace_audience": Operation(
        tag="Traffic", body=AudienceInput, answer=managed.AudienceAnswer, refuses=(409,), example=examples.AUDIENCE,
        path={"key": "vip"},
    ),
}  # fmt: skip
