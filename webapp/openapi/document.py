"""The document: every route of ours, from the rules that answer it, the types that it reads, and its own docstring."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import get_args

from flask import Flask

from experiments.identifiers import PLACEMENT_KEY
from webapp.errors import PROBLEM_JSON, TITLES
from webapp.openapi import examples
from webapp.openapi.afterwards import AFTERWARDS
from webapp.openapi.alerting import ALERTS
from webapp.openapi.foreign import FOREIGN
from webapp.openapi.managing import EXPERIMENTS, SHOP
from webapp.openapi.measuring import METRICS
from webapp.openapi.operation import Operation, Query, Shape, Tag
from webapp.openapi.reviewing import REVIEWING
from webapp.openapi.serving import HOT, OPERATING, PROTOCOLS
from webapp.openapi.shapes import Schema, components, ref
from webapp.openapi.staffing import STAFFING
from webapp.openapi.steering import STEERING

OPERATIONS: Mapping[str, Operation] = {
    **HOT, **EXPERIMENTS, **STEERING, **REVIEWING, **AFTERWARDS, **SHOP, **ALERTS, **METRICS, **PROTOCOLS, **FOREIGN,
    **OPERATING, **STAFFING,
}  # fmt: skip
"""By endpoint; what is not here is not described, and a test says so."""

ABOUT = """A/B experiments on the offers a shop makes: no offer, upsell, cross-sell, bundle.

Keys: public (`pk_…`) assign and record from the storefront's pages, secret (`sk_…`) from its servers, admin (`ak_…`)
manage. A key belongs to one storefront. Errors have one shape on every route: `Problem`. Money is a decimal string,
time is ISO 8601 with its offset.
"""

SECURITY: Mapping[str, Schema] = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`X-API-Key: KEY`"},
    "Basic": {"type": "http", "scheme": "basic", "description": "The key as the user's name, no password: `KEY:`"},
}

_ARGUMENT = re.compile(r"<(?:(?P<kind>\w+)(?:\((?P<choices>[^)]*)\))?:)?(?P<name>\w+)>")
_LICENSE = {"name": "MIT", "identifier": "MIT"}
_TEXT: Schema = {"type": "string", "minLength": 1}
_PART: Mapping[str, Schema] = {"placement": {"type": "string", "pattern": PLACEMENT_KEY.replace(r"\Z", "$")}}
"""What stands in a path, where it is not any text."""
_KEYED = (401, 403, 503)
_WITH_BODY = (400, 413, 422)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, as a caller writes it; `choice` is the value of the path's choice, where it has one."""

    path: str
    method: str
    endpoint: str
    arguments: tuple[str, ...]
    choice: Mapping[str, str]
    operation: Operation | None
    docstring: str


def document(app: Flask) -> Schema:
    """The application's description."""
    described = [(route, route.operation) for route in routes(app) if route.operation is not None]
    by_shape, named = components([shape for _, operation in described for shape in _shapes(operation)])
    paths: dict[str, Schema] = {}
    for route, operation in sorted(described, key=lambda found: found[0].path):
        paths.setdefault(route.path, {})[route.method.lower()] = _described(route, operation, by_shape)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Offerlab", "version": version("offerlab"), "description": ABOUT, "license": _LICENSE},
        "tags": [{"name": tag} for tag in get_args(Tag)],
        "paths": paths,
        "components": {"schemas": dict(sorted(named.items())), "securitySchemes": dict(SECURITY)},
    }


def routes(app: Flask) -> Iterator[Route]:
    """Every route of the application; one with a choice in its path is as many as there are choices."""
    for rule in app.url_map.iter_rules():
        view = inspect.getdoc(app.view_functions[rule.endpoint]) or ""
        for path, choice in _paths(rule.rule):
            arguments = tuple(m["name"] for m in _ARGUMENT.finditer(rule.rule) if m["name"] not in choice)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                operation = OPERATIONS.get(rule.endpoint)
                yield Route(path, method, rule.endpoint, arguments, choice, operation, view)


def _paths(rule: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    chosen = next((m for m in _ARGUMENT.finditer(rule) if m["kind"] == "any"), None)
    if chosen is None:
        yield _ARGUMENT.sub(r"{\g<name>}", rule), {}
        return
    for value in (part.strip() for part in chosen["choices"].split(",")):
        path = rule.replace(chosen[0], value)
        yield _ARGUMENT.sub(r"{\g<name>}", path), {chosen["name"]: value}


def _shapes(operation: Operation) -> Iterator[Shape]:
    yield from (operation.body, operation.answer, *operation.answers.values())
    yield from (query.shape for query in operation.query)


def _described(route: Route, operation: Operation, by_shape: Mapping[int, Schema]) -> Schema:
    """One operation of the document."""
    value = next(iter(route.choice.values()), "")
    said = operation.summary or operation.summaries.get(value, "") or route.docstring
    said = said.format(**route.choice) if route.choice else said
    first, _, rest = said.partition("\n\n")
    name = operation.name or route.endpoint.rpartition(".")[2]
    made: Schema = {
        "tags": [operation.tag],
        "operationId": name.format(**route.choice),
        "summary": " ".join(first.split()).replace("`", "").rstrip("."),
        "description": " ".join(rest.split()),
        "parameters": [*_in_path(route, operation), *(_query(query, by_shape) for query in operation.query)],
        "requestBody": _body(operation, by_shape),
        "responses": dict(sorted(_responses(route, operation, by_shape).items())),
        "security": [{scheme: list(operation.keys)} for scheme in SECURITY] if operation.keys else [],
    }
    return {part: value for part, value in made.items() if value or part == "security"}


def _in_path(route: Route, operation: Operation) -> Iterator[Schema]:
    known = {**examples.PATHS, **operation.path}
    for name in route.arguments:
        shown = {"name": name, "in": "path", "required": True, "schema": _PART.get(name, _TEXT)}
        yield shown | ({"example": known[name]} if name in known else {})


def _query(query: Query, by_shape: Mapping[int, Schema]) -> Schema:
    shown = {"name": query.name, "in": "query", "description": query.description, "required": query.required}
    made = shown | {"schema": by_shape[id(query.shape)]}
    return made if query.example is None else made | {"example": query.example}


def _body(operation: Operation, by_shape: Mapping[int, Schema]) -> Schema:
    if operation.body is None:
        return {}
    content = {"schema": by_shape[id(operation.body)]}
    if operation.example is not None:
        content["example"] = operation.example  # type: ignore[assignment]  # any JSON
    return {"required": True, "content": dict.fromkeys(operation.body_media, content)}


def _responses(route: Route, operation: Operation, by_shape: Mapping[int, Schema]) -> dict[str, Schema]:
    answered = {operation.status: operation.answer} | dict(operation.answers)
    told: dict[str, Schema] = {}
    for status, shape in answered.items():
        content = {"schema": by_shape[id(shape)]}
        if operation.told is not None and status == operation.status:
            content["example"] = operation.told  # type: ignore[assignment]  # any JSON
        told[str(status)] = {"description": _MEANING[status], "content": {operation.media: content}}
    told |= {str(status): {"description": meaning} for status, meaning in operation.other.items()}
    return told | {str(status): _refusal(status, operation) for status in _refused(route, operation)}


def _refused(route: Route, operation: Operation) -> set[int]:
    if operation.only_refuses is not None:
        return set(operation.only_refuses)
    refused = set(operation.refuses) | (set(_KEYED) if operation.keys else set())
    refused |= set(_WITH_BODY) if operation.body is not None else set()
    return refused | ({404} if route.arguments else set())


def _refusal(status: int, operation: Operation) -> Schema:
    shown = {"description": TITLES[status], "content": {PROBLEM_JSON: {"schema": ref(operation.problem)}}}
    if status == 503:
        after = {"description": "Seconds after which to try again.", "schema": {"type": "integer"}, "required": True}
        return shown | {"headers": {"Retry-After": after}}
    return shown


_MEANING = {200: "As asked", 201: "Made", 503: "Not ready"}
