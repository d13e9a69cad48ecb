"""Who is served at all, and where: the storefront's settings, placements, layers, audiences, preview links."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, request

from experiments.audiences import audience_json
from experiments.errors import Invalid, NotFound
from experiments.identifiers import Key, PlacementKey
from experiments.moment import Micros, iso
from experiments.service import layering, settings
from experiments.service.serving import Preview
from experiments.service.snapshot import in_order
from experiments.shape import decode
from experiments.storage.audiences import audiences
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Placement, get_storefront, placements
from webapp.api.management import authenticate, json_answer, json_body, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import the_lab
from webapp.visit import PREVIEW, check_previewable, contents, sealed

blueprint = Blueprint("traffic", __name__)
managed = Blueprint("managed_traffic", __name__, url_prefix="/api/v1")
managed.before_request(authenticate)

HOUR = 3_600_000_000
DEMO = "demo"
"""The one storefront whose pages are ours, so that a cookie of ours is a first-party cookie there."""


@managed.get("/storefront")
def read_storefront() -> Response:
    """The key's storefront and its settings."""
    with reading(the_lab().engine) as conn:
        return json_answer(settings.storefront_json(get_storefront(conn, the_storefront().key)))


@managed.patch("/storefront")
def change_storefront() -> Response:
    """Other settings: name, origins, bots, consent, honours_gpc, holdout."""
    value, lab, caller = json_body(), the_lab(), the_caller()
    with writing(lab.engine) as conn:
        changed = settings.change_settings(conn, caller.view.storefront, value, caller.actor, now())
    lab.snapshots.refresh(now())
    return json_answer(settings.storefront_json(changed))


class PlacementInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A placement as the API writes it."""

    key: PlacementKey
    name: str = ""
    touchpoint: str | None = None


def placement_json(placement: Placement, rules: list[Experiment]) -> dict[str, Any]:
    """A placement with its rules in the order in which they are tried."""
    return {
        "key": placement.key,
        "name": placement.name,
        "touchpoint": placement.touchpoint,
        "paused": placement.paused,
        "rules": [
            {"experiment": e.key, "state": e.state, "winner": e.winner, "coverage": e.definition.coverage}
            for e in rules
            if e.definition.placement == placement.key
        ],
    }


@managed.get("/placements")
def list_placements() -> Response:
    """The storefront's slots."""
    with reading(the_lab().engine) as conn:
        found = placements(conn, the_storefront().id)
        rules = in_order(experiments(conn, the_storefront().id))
    return json_answer({"placements": [placement_json(p, rules) for p in found]})


@managed.post("/placements")
def add_placement() -> Response:
    """A new slot."""
    given = decode(request.get_data() or b"{}", PlacementInput)
    lab, caller = the_lab(), the_caller()
    with writing(lab.engine) as conn:
        made = settings.create_placement(
            conn, caller.view.storefront.id, given.key, given.name, given.touchpoint, now(), caller.actor
        )
    lab.snapshots.refresh(now())
    return json_answer(placement_json(made, []), 201)


@managed.patch("/placements/<key>")
def change_placement(key: str) -> Response:
    """Its name, its touchpoint, or its kill switch: {"paused": true} shows everyone no offer."""
    value, lab, caller = json_body(), the_lab(), the_caller()
    with writing(lab.engine) as conn:
        changed = settings.edit_placement(conn, caller.view.storefront.id, key, value, caller.actor, now())
        rules = in_order(experiments(conn, caller.view.storefront.id))
    lab.snapshots.refresh(now())
    return json_answer(placement_json(changed, rules))


@managed.get("/layers")
def list_layers() -> Response:
    """Every layer with who holds what, and what is free."""
    with reading(the_lab().engine) as conn:
        return json_answer({"layers": layering.layers_json(conn, the_storefront())})


@managed.post("/layers")
def add_layer() -> Response:
    """A new layer, all of it free."""
    value, lab, caller = json_body(), the_lab(), the_caller()
    with writing(lab.engine) as conn:
        made = layering.create_layer(conn, caller.view.storefront, value, caller.actor, now())
        shown = next(s for s in layering.layers_json(conn, caller.view.storefront) if s["key"] == made.key)
    lab.snapshots.refresh(now())
    return json_answer(shown, 201)


@managed.get("/audiences")
def list_audiences() -> Response:
    """The saved audiences."""
    with reading(the_lab().engine) as conn:
        found = audiences(conn, the_storefront().id)
    return json_answer({"audiences": [audience_json(a) for a in found.values()]})


@managed.post("/audiences")
def add_audience() -> Response:
    """A new saved audience."""
    value, lab, caller = json_body(), the_lab(), the_caller()
    with writing(lab.engine) as conn:
        made = settings.create_audience(conn, caller.view.storefront.id, value, caller.actor, now())
    lab.snapshots.refresh(now())
    return json_answer(audience_json(made), 201)


@managed.put("/audiences/<key>")
def replace_audience(key: str) -> Response:
    """The same audience, meaning others."""
    value, lab, caller = json_body(), the_lab(), the_caller()
    with writing(lab.engine) as conn:
        changed = settings.replace_audience(conn, caller.view.storefront.id, key, value, caller.actor, now())
    lab.snapshots.refresh(now())
    return json_answer(audience_json(changed))


class PreviewInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which variant to look at, and for how long the link is good."""

    variant: Key
    hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = 24


@managed.post("/experiments/<key>/preview")
def make_preview(key: str) -> Response:
    """A signed link to one variant, whatever the experiment's state; what is seen by it is never analysed."""
    given = decode(request.get_data() or b"{}", PreviewInput)
    lab, caller = the_lab(), the_caller()
    preview = Preview(key, given.variant)
    check_previewable(caller, preview)
    until = Micros(now() + given.hours * HOUR)
    token = sealed(lab, caller.view.storefront.key, preview, until)
    shown = {"token": token, "url": f"{request.host_url}preview/{token}", "expires_at": iso(until)}
    return json_answer(shown | {"experiment": key, "variant": given.variant}, 201)


@blueprint.get("/preview/<token>")
def open_preview(token: str) -> Response:
    """What a preview link shows; with `to`, on to that page of the shop, which hands the token on.

    On the demo, whose pages are ours, a cookie keeps it until it expires.
    """
    lab, at = the_lab(), now()
    held = contents(lab, token, at)
    if held is None:
        raise NotFound("This preview link has expired, or never was")
    storefront, preview, until = held
    target = request.args.get("to")
    if target is not None:
        _check_target(storefront, target)
        page, hash_mark, anchor = target.partition("#")
        mark = "&" if "?" in page else "?"
        answer = Response(status=302, headers={"Location": f"{page}{mark}{PREVIEW}={token}{hash_mark}{anchor}"})
    else:
        shown = {"experiment": preview.experiment, "variant": preview.variant, "expires_at": iso(until)}
        answer = json_answer({"storefront": storefront, "preview": token} | shown)
    if storefront == DEMO:  # read by the page's own script, so not HttpOnly: it opens nothing but a look
        seconds = (until - at) // 1_000_000
        answer.set_cookie(PREVIEW, token, max_age=seconds, samesite="Lax", secure=lab.settings.secure_cookies)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _check_target(storefront: str, target: str) -> None:
    """Invalid where the link would lead away from the shop."""
    views = the_lab().snapshots.current(now()).storefronts.values()
    origins = next((view.storefront.origins for view in views if view.storefront.key == storefront), ())
    if not any(target == origin or target.startswith((f"{origin}/", f"{origin}?")) for origin in origins):
        raise Invalid.at("to", f"must be a page of the storefront's origins: {', '.join(origins) or 'it has none'}")
