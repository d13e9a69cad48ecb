"""The offer library over the management API, and previews of what offers come to."""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from experiments.context import ContextInput
from experiments.errors import Invalid
from experiments.identifiers import Key
from experiments.moment import iso
from experiments.service import library
from experiments.service.library import Use
from experiments.service.rehearsing import parse_draft, rehearsal_json, rehearsed
from experiments.shape import decode
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit
from experiments.storage.savedoffers import SavedOffer, get_saved_offer, saved_offers
from webapp.api.management import (
    audit_answer,
    authenticate,
    json_answer,
    json_body,
    the_caller,
    the_storefront,
)
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("offers", __name__, url_prefix="/api/v1/offers")
blueprint.before_request(authenticate)


def saved_json(saved: SavedOffer, used_by: list[Use]) -> dict[str, Any]:
    """A saved offer, with the variants that took it."""
    return {
        "key": saved.key,
        "name": saved.name,
        "offer": msgspec.to_builtins(saved.offer),
        "version": saved.version,
        "created_at": iso(saved.created_at),
        "updated_at": iso(saved.updated_at),
        "used_by": [
            {"experiment": use.experiment, "variant": use.variant, "state": use.state, "current": use.current}
            for use in used_by
        ],
    }


@blueprint.get("")
def list_offers() -> Response:
    """The library: every saved offer, by key, with the variants that took it."""
    here = the_storefront().id
    with reading(the_lab().engine) as conn:
        found = saved_offers(conn, here)
        used = library.uses(conn, here, {saved.key: saved for saved in found})
    return json_answer({"offers": [saved_json(saved, used[saved.key]) for saved in found]})


@blueprint.post("")
def save_offer() -> Response:
    """A new saved offer."""
    value, caller = json_body(), the_caller()
    with writing(the_lab().engine) as conn:
        made = library.save_offer(conn, the_storefront().id, value, caller.actor, now())
    return json_answer(saved_json(made, []), 201)


@blueprint.get("/<key>")
def read_offer(key: str) -> Response:
    """One saved offer."""
    here = the_storefront().id
    with reading(the_lab().engine) as conn:
        found = get_saved_offer(conn, here, key)
        used = library.uses(conn, here, {key: found})
    return json_answer(saved_json(found, used[key]))


@blueprint.put("/<key>")
def replace_offer(key: str) -> Response:
    """Its next version; experiments keep what they took, until a draft is saved again."""
    value, caller, here = json_body(), the_caller(), the_storefront().id
    if not isinstance(value, dict):
        raise Invalid.at("", "must be an object")
    with writing(the_lab().engine) as conn:
        changed = library.change_offer(conn, here, key, {"key": key} | value, caller.actor, now())
        used = library.uses(conn, here, {key: changed})
    return json_answer(saved_json(changed, used[key]))


@blueprint.delete("/<key>")
def remove_offer(key: str) -> Response:
    """Take it out of the library, and answer it for the last time; refused while a draft takes it."""
    caller, here = the_caller(), the_storefront().id
    with writing(the_lab().engine) as conn:
        gone = library.remove_offer(conn, here, key, caller.actor, now())
        used = library.uses(conn, here, {key: gone})
    return json_answer(saved_json(gone, used[key]))


@blueprint.get("/<key>/audit")
def audit_offer(key: str) -> Response:
    """Who changed it, newest first."""
    here = the_storefront().id
    with reading(the_lab().engine) as conn:
        get_saved_offer(conn, here, key)
        entries = read_audit(conn, here, f"offer:{key}")
    return audit_answer(entries)


previews = Blueprint("previews", __name__, url_prefix="/api/v1/previews")
previews.before_request(authenticate)


class RehearsalInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look at, an experiment by its key or a definition that nobody has saved; and where the visitor stands."""

    experiment: Key | None = None
    definition: dict[str, Any] | None = None
    context: ContextInput = ContextInput()
    returning: bool | None = None


@previews.post("")
def preview() -> Response:
    """Every variant as the visitor would see it, and what the offers would have met on the last 14 days' carts."""
    given = decode(request.get_data() or b"{}", RehearsalInput)
    if (given.experiment is None) == (given.definition is None):
        raise Invalid.at("experiment", "name an experiment, or give a definition: one of the two")
    caller, storefront = the_caller(), the_storefront()
    with reading(the_lab().engine) as conn:
        if given.experiment is not None:
            definition = get_experiment(conn, storefront.id, given.experiment).definition
        else:
            definition = parse_draft(conn, storefront, given.definition)
        context = given.context.context(caller.view.catalogue, given.returning)
        found = rehearsed(conn, caller.view, definition, context, now())
    return json_answer(rehearsal_json(found, storefront.currency))
