"""The settings' pages: what is saved holds, what is wrong is said beside its field, and who may not is kept out."""

import csv
import io
from collections.abc import Callable

import pytest
from flask import Flask

from experiments.service import settings
from experiments.storage.database import reading, writing
from experiments.storage.storefronts import get_storefront
from experiments.storage.users import all_users
from tests.shop import NOW, Shop, experiment, exposed, order
from tests.ui.browser import PASSWORD, Browser

SignIn = Callable[[str], Browser]


def at(shop: Shop, room: str) -> str:
    return f"/s/{shop.storefront.key}/settings/{room}"


def test_what_a_storefront_is_told_holds(shop: Shop, sign_in: SignIn) -> None:
    admin, path = sign_in("admin"), at(shop, "")
    form = admin.form(path).set("name", "Tea & mugs").set("origins", "https://a.example\nhttps://b.example")
    assert admin.send(form.set("holdout", "5%").set("consent", "required"), path).status_code == 302
    with reading(shop.engine) as conn:
        found = get_storefront(conn, shop.storefront.key)
    assert (found.name, found.origins) == ("Tea & mugs", ("https://a.example", "https://b.example"))
    assert (found.policy.holdout, found.policy.consent) == (500, "required")
    assert 'value="5%"' in admin.text(path)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("origins", "shop.example", "is no origin"),
        ("holdout", "60%", "at most 50%"),
        ("holdout", "many", "many"),
        ("name", "", "length"),
    ],
)
def test_what_a_storefront_cannot_be_is_said_and_nothing_changes(
    shop: Shop, sign_in: SignIn, name: str, value: str, said: str
) -> None:
    admin, path = sign_in("admin"), at(shop, "")
    with reading(shop.engine) as conn:
        before = get_storefront(conn, shop.storefront.key)
    answer = admin.send(admin.form(path).set(name, value), path)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    with reading(shop.engine) as conn:
        assert get_storefront(conn, shop.storefront.key) == before


def test_placements_are_made_moved_and_switched_off(shop: Shop, sign_in: SignIn) -> None:
    editor, path = sign_in("editor"), at(shop, "placements/")
    shop.define(experiment())
    made = editor.form(path).set("key", "thanks").set("name", "Thank-you page").set("touchpoint", "post_purchase")
    assert editor.send(made, path).status_code == 302
    assert "Thank-you page" in editor.text(path)
    taken = editor.send(made, path)
    assert (taken.status_code, "thanks" in taken.text) == (409, True)
    off = editor.client.post(f"{path}cart", data={"csrf_token": made.get("csrf_token")[0], "paused": "yes"})
    assert off.status_code == 302
    assert "Switched off" in editor.text(path)
    assert shop.view.paused == {"cart"}


def test_a_placement_cannot_move_where_its_running_offers_make_no_sense(shop: Shop, sign_in: SignIn) -> None:
    editor, path = sign_in("editor"), at(shop, "placements/")
    shop.define(experiment())
    token = editor.form(path).get("csrf_token")[0]
    moved = editor.client.post(f"{path}cart", data={"csrf_token": token, "name": "Cart", "touchpoint": "post_purchase"})
    assert moved.status_code == 409
    assert "upsell" in moved.text


def test_layers_show_who_holds_what(shop: Shop, sign_in: SignIn) -> None:
    editor, path = sign_in("editor"), at(shop, "layers/")
    assert "No layers yet" in editor.text(path)
    form = editor.form(path).set("key", "offers").set("name", "Offers")
    assert editor.send(form, path).status_code == 302
    shop.define(experiment(layer={"key": "offers", "start": 0, "end": 4000}))
    shown = editor.text(path)
    assert "60% free" in shown
    assert "0% to 40%" in shown
    assert editor.send(form.set("key", "of fers"), path).status_code == 422


def test_audiences_are_saved_and_changed(shop: Shop, sign_in: SignIn) -> None:
    editor, path = sign_in("editor"), at(shop, "audiences/")
    form = editor.form(path).set("key", "staff").set("name", "Staff").set("type", "list").set("values", "v1\nv2\n")
    assert editor.send(form, path).status_code == 302
    assert "2 values of id" in editor.text(path)
    changed = editor.form(f"{path}staff")
    assert changed.get("values") == ["v1\nv2"]
    assert editor.send(changed.set("values", "v1\nv2\nv3"), path).status_code == 302
    assert "3 values of id" in editor.text(path)
    wrong = editor.form(path).set("key", "germans").set("type", "condition").set("condition", "{country: DE}")
    refused = editor.send(wrong, path)
    assert (refused.status_code, "is no JSON" in refused.text) == (422, True)
    assert "{country: DE}" in refused.text  # nothing that was typed is lost
    assert editor.send(wrong.set("condition", '{"country": "DE"}'), path).status_code == 302
    assert "country is DE" in editor.text(path)


def test_metrics_say_what_they_are_made_of(shop: Shop, sign_in: SignIn) -> None:
    shop.define(experiment())
    shown = sign_in("viewer").text(at(shop, "metrics/"))
    assert "Contribution per visitor" in shown
    assert "money of the orders" in shown


def test_people_are_invited_promoted_and_removed(app: Flask, shop: Shop, sign_in: SignIn) -> None:
    admin, path = sign_in("admin"), at(shop, "people/")
    made = admin.send(admin.form(path).set("email", "Ann@shop.example").set("role", "viewer"), path)
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    link = made.text.split('<code class="secret" tabindex="0">')[1].split("<")[0]
    token = link.rpartition("/")[2]
    ann = Browser(app.test_client())
    assert ann.send(ann.form(f"/link/{token}").set("password", PASSWORD), f"/link/{token}").status_code == 302
    assert ann.get(path).status_code == 403
    people = {user.email: user.id for user in _people(shop)}
    csrf = admin.form(path).get("csrf_token")[0]

    def change(email: str, **given: str) -> int:
        return admin.client.post(f"{path}{people[email]}", data={"csrf_token": csrf} | given).status_code

    assert change("ann@shop.example", role="editor") == 302
    assert {user.email: user.role for user in _people(shop)}["ann@shop.example"] == "editor"
    assert change("admin@shop.example", do="remove") == 409  # oneself
    assert change("admin@shop.example", role="viewer") == 409  # the only admin
    assert change("ann@shop.example", do="link") == 200
    assert change("ann@shop.example", do="remove") == 302
    assert ann.get(f"/s/{shop.storefront.key}/").status_code == 302  # her session is over
    assert change("ann@shop.example", role="admin") == 404


def test_the_trail_is_searched_and_downloaded(shop: Shop, sign_in: SignIn) -> None:
    with writing(shop.engine) as conn:
        settings.change_settings(conn, shop.storefront, {"name": "Other"}, "=cmd|' /C calc'!A0", NOW)
    shop.define(experiment())
    viewer, path = sign_in("viewer"), at(shop, "changes/")
    assert "experiment:offers" in viewer.text(path)
    found = viewer.text(f"{path}?q=storefront+edit")
    assert "experiment:offers" not in found
    assert "Other" in found
    rows = list(csv.DictReader(io.StringIO(viewer.text(f"{path}changes.csv?q=storefront"))))
    assert [row["after"] for row in rows] == ['{"name": "Other"}']
    assert rows[0]["actor"].startswith("'=")  # no spreadsheet runs it


@pytest.mark.parametrize("room", ["", "placements/", "layers/", "audiences/"])
def test_viewers_read_and_change_nothing(shop: Shop, sign_in: SignIn, room: str) -> None:
    viewer, path = sign_in("viewer"), at(shop, room)
    form = viewer.form(path)
    csrf = form.get("csrf_token")[0]
    assert viewer.client.post(path, data={"csrf_token": csrf, "key": "x", "name": "x"}).status_code == 403


def _people(shop: Shop) -> list[object]:
    with reading(shop.engine) as conn:
        return list(all_users(conn))


def test_one_visitor_is_explained_and_nothing_is_recorded(shop: Shop, sign_in: SignIn) -> None:
    shop.define(experiment())
    shop.expose(exposed("v1", "upsell"))
    shop.convert(order("o-17", "v1", "12.50"))
    viewer, path = sign_in("viewer"), at(shop, "visitor/")
    assert "Why did I see this?" in viewer.text(path)
    asked = f"{path}?visitor_id=v1&placement=cart&product_id=A1"
    shown = viewer.text(asked)
    assert "Every variant could be shown" in shown
    assert "o-17" in shown
    assert "€12.50" in shown
    nobody = viewer.text(f"{path}?visitor_id=v2&placement=cart&product_id=A1")
    assert "Nothing is known of this visitor" in nobody
    assert "Nothing is known of this visitor" in viewer.text(f"{path}?visitor_id=v2&placement=cart&product_id=A1")
    wrong = viewer.get(f"{asked}&attributes=country")
    assert (wrong.status_code, "is no JSON" in wrong.text) == (422, True)
