"""People: who may sign in, as what; new links for them; and an end to it. Admins only."""

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.errors import Conflict, Invalid
from experiments.service import staffing
from experiments.storage.bindings import all_bindings
from experiments.storage.database import reading, writing
from experiments.storage.users import Role, all_users
from webapp.clock import now
from webapp.lab import new_token, the_lab
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import ROLES, actor, here, page
from webapp.ui.told import told

blueprint = Blueprint("people", __name__, url_prefix="/s/<storefront>/settings/people")


@blueprint.get("/")
@page("admin")
def listing() -> ResponseReturnValue:
    """Everybody of this installation."""
    return _show()


@blueprint.post("/")
@page("admin")
def add() -> ResponseReturnValue:
    """Somebody new; the link to set a password is shown on this answer and never again."""
    email, token = request.form.get("email", ""), new_token()
    try:
        role = _role()
        with writing(the_lab().engine) as conn:
            person = staffing.invite(conn, here().id, email, role, token, actor(), now())
    except Invalid as refusal:
        return _show(place(refusal.errors, {})), 422
    except Conflict as refusal:
        return _show({"email": [told(refusal.message)]}), 409
    return _with_link(person.email, token, 201)


@blueprint.post("/<int:user_id>")
@page("admin")
def change(user_id: int) -> ResponseReturnValue:
    """Another role, a new link, an end to it, or to what binds them to a provider's account."""
    do, token, at = request.form.get("do", ""), new_token(), now()
    with writing(the_lab().engine) as conn:
        if do == "link":
            person = staffing.renew_link(conn, here().id, user_id, token, actor(), at)
        elif do == "remove":
            person = staffing.remove(conn, here().id, user_id, actor(), at)
        elif do == "release":
            person = staffing.release(conn, here().id, user_id, actor(), at)
        else:
            person = staffing.change_role(conn, here().id, user_id, _role(), actor(), at)
    if do == "link":
        return _with_link(person.email, token, 200)
    if do == "remove":
        flash(gettext("%(email)s can no longer sign in.", email=person.email), "success")
    elif do == "release":
        said = gettext("The next account with the confirmed address %(email)s will be theirs.", email=person.email)
        flash(said, "success")
    else:
        flash(gettext("The role of %(email)s holds from their next page on.", email=person.email), "success")
    return redirect(url_for("signing_in.home" if person.email == actor() else "people.listing", storefront=here().key))


def _role() -> Role:
    role = request.form.get("role", "")
    if role not in ROLES:
        raise Invalid.at("role", f"must be one of {', '.join(ROLES)}")
    return role


def _with_link(email: str, token: str, status: int) -> ResponseReturnValue:
    link = url_for("signing_in.link", token=token, _external=True)
    answer = make_response(_show(made=(email, link)), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _show(errors: Errors | None = None, made: tuple[str, str] | None = None) -> str:
    with reading(the_lab().engine) as conn:
        known, bound = all_users(conn), all_bindings(conn)
    return render_template(
        "settings/people.html", people=known, bound=bound, roles=ROLES, errors=errors or {}, made=made,
        form=request.form, me=actor(),
    )  # fmt: skip
