"""People over the management API: who may sign in, as what, and which account of a provider signs them in."""

from typing import Any

from flask import Blueprint, Response

from experiments.moment import iso
from experiments.service.staffing import release
from experiments.storage.bindings import Binding, all_bindings
from experiments.storage.database import reading, writing
from experiments.storage.users import User, all_users
from webapp.api.management import authenticate, json_answer, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import the_lab

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


@blueprint.delete("/<int:user_id>/accounts")
def release_person(user_id: int) -> Response:
    """Undo what binds somebody to an account of the provider.

    What they began by it ends at once, and the next account with their confirmed address is bound instead.
    """
    with writing(the_lab().engine) as conn:
        person = release(conn, the_storefront().id, user_id, the_caller().actor, now())
    return json_answer(person_json(person, []))
