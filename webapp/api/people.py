"""People over the management API: who may sign in, as what, and which account of a provider signs them in.

People are the installation's, as the pages are: an admin key of any storefront may do here what an admin may do there.
"""

from typing import Any

import msgspec
from flask import Blueprint, Response, request, url_for

from experiments.moment import iso
from experiments.service import staffing
from experiments.shape import decode
from experiments.storage.bindings import Binding, all_bindings, bindings_of
from experiments.storage.database import reading, writing
from experiments.storage.users import Role, User, all_users
from webapp.api.management import authenticate, json_answer, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import new_token, the_lab

blueprint = Blueprint("staffing", __name__, url_prefix="/api/v1/people")
blueprint.before_request(authenticate)


def person_json(person: User, bound: list[Binding]) -> dict[str, Any]:
    """A person as the API writes them."""
    accounts = [{"issuer": b.account.issuer, "subject": b.account.subject, "bound_at": iso(b.bound_at)} for b in bound]
    return {
        "id": person.id, "email": person.email, "role": person.role,
        "has_password": person.password_hash is not None, "accounts": accounts,
    }  # fmt: skip


@blueprint.get("")
def list_people() -> Response:
    """Who may sign in to this installation, with the accounts of an OpenID provider that are bound to them."""
    with reading(the_lab().engine) as conn:
        bound = all_bindings(conn)
        return json_answer({"people": [person_json(p, bound.get(p.id, [])) for p in all_users(conn)]})


class NewPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody to invite."""

    email: str
    role: Role = "viewer"


class RoleInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another role."""

    role: Role


def _with_link(person: User, bound: list[Binding], token: str) -> Response:
    link = url_for("signing_in.link", token=token, _external=True)
    answer = json_answer(person_json(person, bound) | {"link": link}, 201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("")
def invite_person() -> Response:
    """Somebody new; `link`, by which they set a password, is told here and never again."""
    given, token = decode(request.get_data() or b"{}", NewPerson), new_token()
    with writing(the_lab().engine) as conn:
        person = staffing.invite(conn, the_storefront().id, given.email, given.role, token, the_caller().actor, now())
    return _with_link(person, [], token)


@blueprint.patch("/<int:user_id>")
def change_person(user_id: int) -> Response:
    """Another role, from their next page on; not of the last admin."""
    given = decode(request.get_data() or b"{}", RoleInput)
    with writing(the_lab().engine) as conn:
        person = staffing.change_role(conn, the_storefront().id, user_id, given.role, the_caller().actor, now())
        return json_answer(person_json(person, bindings_of(conn, person.id)))


@blueprint.post("/<int:user_id>/link")
def renew_persons_link(user_id: int) -> Response:
    """A new link by which they set another password; the old one holds until then."""
    token = new_token()
    with writing(the_lab().engine) as conn:
        person = staffing.renew_link(conn, the_storefront().id, user_id, token, the_caller().actor, now())
        return _with_link(person, bindings_of(conn, person.id), token)


@blueprint.delete("/<int:user_id>")
def remove_person(user_id: int) -> Response:
    """They can no longer sign in; what they did stays in the trail under their address. Not the last admin."""
    with writing(the_lab().engine) as conn:
        person = staffing.remove(conn, the_storefront().id, user_id, the_caller().actor, now())
    return json_answer(person_json(person, []))


@blueprint.delete("/<int:user_id>/accounts")
def release_person(user_id: int) -> Response:
    """Undo what binds somebody to an account of the provider.

    What they began by it ends at once, and the next account with their confirmed address is bound instead.
    """
    with writing(the_lab().engine) as conn:
        person = staffing.release(conn, the_storefront().id, user_id, the_caller().actor, now())
    return json_answer(person_json(person, []))
