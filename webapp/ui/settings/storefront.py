"""The storefront's own settings: its name, where its key may be used, bots, consent, and the holdout."""

from decimal import Decimal
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.errors import Invalid
from experiments.service.settings import change_settings
from experiments.share import parse_share
from experiments.storage.database import writing
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import actor, here, page

blueprint = Blueprint("storefront", __name__, url_prefix="/s/<storefront>/settings")

LARGEST_HOLDOUT = Decimal("0.5")


@blueprint.get("/")
@page()
def show() -> ResponseReturnValue:
    """What holds now."""
    policy = here().policy
    return _show({
        "name": here().name,
        "origins": "\n".join(here().origins),
        "bots": policy.bots,
        "consent": policy.consent,
        "honours_gpc": policy.honours_gpc,
        "holdout": f"{policy.holdout / 100:g}%",
        "review_required": here().review.required,
        "reviewers": "\n".join(here().review.reviewers),
    })  # fmt: skip


@blueprint.post("/")
@page("admin")
def change() -> ResponseReturnValue:
    """Other settings; what is wrong is said beside its field, and nothing is changed."""
    typed = request.form
    given: dict[str, Any] = {
        "name": typed.get("name", "").strip(),
        "origins": typed.get("origins", "").split(),
        "bots": typed.get("bots", ""),
        "consent": typed.get("consent", ""),
        "honours_gpc": "honours_gpc" in typed,
        "review_required": "review_required" in typed,
        "reviewers": typed.get("reviewers", "").replace(",", " ").split(),
    }
    lab = the_lab()
    try:
        given["holdout"] = _holdout(typed.get("holdout", ""))
        with writing(lab.engine) as conn:
            change_settings(conn, here(), given, actor(), now())
    except Invalid as refusal:
        ticked = {name: given[name] for name in ("honours_gpc", "review_required")}
        return _show(typed.to_dict() | ticked, place(refusal.errors, {})), 422
    lab.snapshots.refresh(now())
    flash(gettext("The settings are saved. They hold from now on."), "success")
    return redirect(url_for("storefront.show", storefront=here().key))


def _holdout(text: str) -> int:
    share = parse_share(text.strip() or "0%", "holdout")
    if not 0 <= share <= LARGEST_HOLDOUT:
        raise Invalid.at("holdout", gettext("must be at most 50%"))
    return int(share * 10_000)


def _show(form: Any, errors: Errors | None = None) -> str:
    return render_template("settings/storefront.html", form=form, errors=errors or {})
