"""Sharing a report: making links for readers without an account, and revoking them."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.errors import Invalid
from experiments.service import sharing
from experiments.shape import convert
from experiments.sharing import LinkInput
from experiments.storage.database import writing
from webapp import shared_links
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.person import actor, here, page

blueprint = Blueprint("sharing", __name__, url_prefix="/s/<storefront>/experiments/<key>/links")


@blueprint.post("/")
@page("editor")
def make(key: str) -> ResponseReturnValue:
    """A new link; its address stands in the table of links."""
    days = request.form.get("days", "")
    if days and not days.isdecimal():
        raise Invalid.at("days", "must be 7, 30, 90 or nothing")
    given = convert({"shows": request.form.get("shows", "live"), "days": int(days) if days else None}, LinkInput)
    with writing(the_lab().engine) as conn:
        made = sharing.share(conn, here(), key, given, actor(), now())
    flash(gettext("Whoever has this address can read the report: %(address)s", address=shared_links.address(made)))
    return _back(key)


@blueprint.post("/<int:number>/revoke")
@page("editor")
def revoke(key: str, number: int) -> ResponseReturnValue:
    """The link opens nothing any more."""
    with writing(the_lab().engine) as conn:
        sharing.unshare(conn, here(), key, number, actor(), now())
    flash(gettext("Revoked. The address opens nothing any more."), "success")
    return _back(key)


def _back(key: str) -> ResponseReturnValue:
    return redirect(url_for("reports.show", storefront=here().key, key=key, _anchor="sharing"))


GLOBALS: Mapping[str, Any] = {"shared_address": shared_links.address}
