"""Schemas: those of the types that decode and answer, and the little that no type says."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

import msgspec

from experiments.audiences import AudienceInput
from experiments.catalogue import ProductInput
from experiments.definition import Definition, LayerRange
from experiments.events import CancellationInput, ExposureInput, OrderInput, OtherInput, RefundInput
from experiments.service.library import SavedOfferInput
from webapp.api.intake import LARGEST_BATCH
from webapp.openapi.answers import GrowthBookProblem, OpenFeatureProblem, Problem
from webapp.openapi.operation import Shape

Schema = dict[str, Any]
AT = "#/components/schemas/"


def ref(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": AT + name}


def whole(least: int, most: int, otherwise: int) -> Schema:
    """A whole number in bounds, with what it is where it is not given."""
    return {"type": "integer", "minimum": least, "maximum": most, "default": otherwise}


FREE: Schema = {"description": "Whatever its sender's own documentation says."}


def _one_or_many(schema: Schema) -> Schema:
    """One, or a batch in which each is judged by itself, so that a bad one does not spoil the others."""
    loose = {"description": "Anything else is refused by itself, and told in `rejected`."}
    many = {"type": "array", "maxItems": LARGEST_BATCH, "items": {"anyOf": [schema, loose]}}
    return {"anyOf": [schema, many]}


EXPOSURES = _one_or_many(ref("ExposureInput"))
CONVERSIONS = _one_or_many(ref("Conversion"))
PRODUCTS: Schema = {"anyOf": [ref("ProductInput"), {"type": "array", "items": ref("ProductInput")}]}

NAMED: tuple[Shape, ...] = (
    Problem, OpenFeatureProblem, GrowthBookProblem, Definition, SavedOfferInput, AudienceInput, ProductInput,
    ExposureInput, OrderInput, RefundInput, CancellationInput, OtherInput, LayerRange,
)  # fmt: skip
"""Types that schemas of ours name."""

DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
TYPED = {"OrderInput": "order", "RefundInput": "refund", "CancellationInput": "order_cancelled"}


def components(shapes: Collection[Shape]) -> tuple[dict[int, Schema], dict[str, Schema]]:
    """The schema of each shape by its identity, and all that they name."""
    types = list({id(shape): shape for shape in (*shapes, *NAMED) if not isinstance(shape, Mapping)}.values())
    made, named = msgspec.json.schema_components(types, ref_template=AT + "{name}")
    plain: dict[str, Schema] = {name: _plain(schema) for name, schema in named.items()}
    by_shape = {id(shape): _plain(schema) for shape, schema in zip(types, made, strict=True)}
    by_shape |= {id(shape): shape for shape in shapes if isinstance(shape, Mapping)}
    return by_shape, plain | _written(plain)


def _plain(schema: Any) -> Any:
    """As every reader of JSON Schema understands it: patterns without Python's own, decimals as what is read."""
    if isinstance(schema, list):
        return [_plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        others = {name: value for name, value in schema.items() if name not in {"type", "format"}}
        return {"type": ["string", "number"], "pattern": DECIMAL} | others
    shown = {name: _plain(inner) for name, inner in schema.items()}
    if isinstance(pattern := shown.get("pattern"), str):
        shown["pattern"] = pattern.replace(r"\Z", "$").replace(r"\ud800-\udfff", "")
    return shown


def _written(named: Mapping[str, Schema]) -> dict[str, Schema]:
    """What the doors take beyond the types behind them."""
    written = {name: _with_type(named[name], kind) for name, kind in TYPED.items()}
    written["OtherInput"] = _of_somebody(_without_types(named["OtherInput"]))
    written["ExposureInput"] = _of_somebody(named["ExposureInput"])
    kinds = [ref(name) for name in (*TYPED, "OtherInput")]
    written["Conversion"] = {"title": "Conversion", "description": "What a unit did.", "anyOf": kinds}
    return written | _taken_offers(named) | _evaluation()


def _with_type(schema: Schema, kind: str) -> Schema:
    return schema | {"properties": schema["properties"] | {"type": {"const": kind}}}


def _without_types(schema: Schema) -> Schema:
    kind = schema["properties"]["type"] | {"not": {"enum": list(TYPED.values())}}
    kind["examples"] = ["offer_accepted", "offer_dismissed", "page_view", "newsletter_signup"]
    return schema | {"properties": schema["properties"] | {"type": kind}}


def _of_somebody(schema: Schema) -> Schema:
    told = [{"required": [unit], "properties": {unit: {"type": "string"}}} for unit in ("visitor_id", "customer_id")]
    return schema | {"anyOf": told}


def _taken_offers(named: Mapping[str, Schema]) -> dict[str, Schema]:
    """A definition at the door: offers by their key in the library, layers by their key alone."""
    saved = {
        "title": "SavedReference", "description": "An offer of the library, as it is when the definition is saved.",
        "type": "object", "properties": {"saved": named["LayerRange"]["properties"]["key"]}, "required": ["saved"],
        "additionalProperties": False,
    }  # fmt: skip
    variant = deepcopy(named["Variant"])
    variant["title"] = "VariantInput"
    variant["properties"]["offer"] = {"anyOf": [named["Variant"]["properties"]["offer"], ref("SavedReference")]}
    definition = deepcopy(named["Definition"])
    definition["title"] = "ExperimentInput"
    definition["properties"]["variants"]["items"] = ref("VariantInput")
    key = {"description": "The layer's key: the part is found.", **named["LayerRange"]["properties"]["key"]}
    definition["properties"]["layer"]["anyOf"].insert(0, key)
    change = deepcopy(named["SavedOfferInput"])
    change |= {"title": "SavedOfferChange", "required": ["offer"]}
    return {
        "SavedReference": saved, "VariantInput": variant, "ExperimentInput": definition, "SavedOfferChange": change
    }  # fmt: skip


def _evaluation() -> dict[str, Schema]:
    """OpenFeature's evaluation request: one flat object about the visitor."""
    unit = {"type": "string", "pattern": r"^[\x21-\x7e]{1,128}$", "description": "The visitor's id."}
    context = {
        "type": "object", "required": ["targetingKey"], "properties": {"targetingKey": unit},
        "description": "Any attributes; `customerId`, `product_id`, `cart` and `currency` are the offer's context.",
    }  # fmt: skip
    request = {
        "title": "EvaluationRequest", "type": "object", "properties": {"context": context}, "required": ["context"]
    }  # fmt: skip
    return {"EvaluationRequest": request}
