"""Saved offers: their pages, what variants take of them, and that nothing written elsewhere is lost on the way."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from werkzeug.datastructures import MultiDict

from experiments.definition import parse, to_json
from experiments.offers import Offer
from experiments.service import library
from experiments.storage.database import reading, writing
from experiments.storage.savedoffers import SavedKind, get_saved_offer, saved_offers
from tests.shop import NOW, Shop, experiment
from tests.ui.browser import Browser, Form
from tests.ui.written import offers
from webapp.ui.form_steps import step_in_offers
from webapp.ui.offer_form import OfferForm
from webapp.ui.products import product_of
from webapp.ui.typed import Typed
from webapp.ui.unshown import as_held

ROOM = "/s/shop/settings/offers/"
BUNDLE = {"type": "bundle", "items": ["A1", "B1"], "discount": {"percent": "10"}}
RICH = BUNDLE | {
    "tier_name": "Good",
    "tiers": [{"name": "Better", "items": ["A2", "B1"], "discount": {"percent": "5"}}],
    "instalments": {"count": 3, "text": "or {count} payments of {amount}"},
    "social_proof": {"days": 7, "minimum": 2},
    "minimum_stock": 2,
    "if_declined": {"type": "cross_sell", "pick": "explicit", "products": {"*": ["C1"]}},
}
LINES = ("-body", "hypothesis", "links", "targeting_json")


def two(key: str, offer: dict[str, Any], **changes: Any) -> dict[str, Any]:
    variants = [
        {"key": "control", "weight": 5000, "offer": {"type": "none"}},
        {"key": "shown", "weight": 5000, "offer": offer},
    ]
    return experiment(key, variants=variants, **changes)


def as_browsers_send(form: Form) -> Form:
    """An input of one line loses its breaks, and a text of several comes with two characters for each."""
    form.fields = [
        (name, value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n"))
        if name.endswith(LINES)
        else (name, value.replace("\r", "").replace("\n", ""))
        for name, value in form.fields
    ]
    return form


@pytest.fixture
def saved(shop: Shop) -> Shop:
    """The shop with one saved offer."""
    with writing(shop.engine) as conn:
        value = {"key": "set", "name": "The set", "offer": RICH}
        library.save_offer(conn, shop.storefront.id, value, "ann", NOW)
    return shop


def kept(shop: Shop, key: str = "set") -> Any:
    with reading(shop.engine) as conn:
        return get_saved_offer(conn, shop.storefront.id, key)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(offers())
def test_every_offer_survives_its_fields(value: dict[str, Any]) -> None:
    """What the page makes of an offer is an offer, and untouched it is the very same one."""
    zone, product_id = ZoneInfo("Europe/Berlin"), str
    held = parse(two("e", value)).variants[1].offer
    typed = Typed(zone)
    shown = OfferForm.of(held, zone).to_json(typed, "offer", product_id)
    assert typed.errors == []
    again = msgspec.convert(shown, Offer)
    assert OfferForm.of(again, zone).to_json(Typed(zone), "offer", product_id) == shown
    assert msgspec.convert(as_held(shown, msgspec.to_builtins(held), shown), Offer) == held


@settings(
    deadline=None, max_examples=15, phases=(Phase.generate,),  # a page takes long to make smaller
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],  # each example has its own key
)  # fmt: skip
@given(value=offers())
def test_what_a_program_wrote_is_opened_and_saved_on_the_page_without_a_loss(
    shop: Shop, editor: Browser, value: dict[str, Any]
) -> None:
    key = f"e{len(shop.view.experiments)}"
    shop.define(two(key, value, hypothesis="one\ntwo \n", placement="anywhere"), start=False)
    before = shop.view.experiments[key]
    path = f"/s/shop/experiments/{key}/edit"
    form = as_browsers_send(editor.form(path)).set("name", "Renamed")
    answer = editor.send(form, path, ("do", "save"))
    assert answer.status_code == 302, answer.text
    after = shop.view.experiments[key]
    assert after.version == before.version + 1
    assert to_json(after.definition) == to_json(before.definition) | {"name": "Renamed"}
    with writing(shop.engine) as conn:
        made = library.save_offer(conn, shop.storefront.id, {"key": key, "offer": value}, "ann", NOW)
    form = as_browsers_send(editor.form(f"{ROOM}{key}", 2)).set("name", "Renamed")
    assert editor.send(form, f"{ROOM}{key}", ("do", "save")).status_code == 302
    assert (kept(shop, key).offer, kept(shop, key).name, kept(shop, key).version) == (made.offer, "Renamed", 2)


def test_only_what_was_touched_changes(shop: Shop, editor: Browser) -> None:
    value = RICH | {"headline": " two\nlines ", "valid_from": "2026-10-25T02:30:00+01:00"}
    shop.define(two("e", value), start=False)
    path = "/s/shop/experiments/e/edit"
    form = as_browsers_send(editor.form(path)).set("v1-tier0-name", "Best").set("v1-if_declined-headline", "Or this?")
    assert editor.send(form, path, ("do", "save")).status_code == 302
    offer = to_json(shop.view.experiments["e"].definition)["variants"][1]["offer"]
    assert offer["headline"] == " two\nlines "
    assert offer["valid_from"] == "2026-10-25T02:30:00+01:00"
    assert (offer["tiers"][0]["name"], offer["if_declined"]["headline"]) == ("Best", "Or this?")
    page = editor.text("/s/shop/experiments/e")
    for place, was, then in (
        ("tiers[0].name", "<del>Better", "<ins>Best"),
        ("if_declined.headline", "", "<ins>Or this?"),
    ):
        told = page.partition(f"variants[shown].offer.{place}")[2][:200]
        assert was in told
        assert then in told


def test_choices_and_next_steps_are_added_and_removed_without_a_script(shop: Shop, editor: Browser) -> None:
    path = "/s/shop/experiments/new"
    form = editor.form(path).set("name", "Choices").set("placement", "cart").set("v1-items", "A1", "B1")
    for step in (
        "add:tiers:1",
        "add:tiers:1",
        "add:items:1.tiers.0",
        "add:if_declined:1",
        "add:if_declined:1.if_declined",
    ):
        form = Browser.read(editor.send(form, path, ("do", step)))
    form.set("v1-tier_name", "Good").set("v1-tier0-name", "Better").set("v1-tier0-items", "A2", "B1", "C1")
    form.set("v1-tier1-items", "A3", "B1").set("v1-tier1-discount", "5").set("v1-tier1-discount_kind", "amount")
    form.set("v1-if_declined-products_to", "C1")
    form.set("v1-if_declined-if_declined-products_to", "B1")
    for step in ("add:tiers:1", "remove:tiers:1:2", "remove:if_declined:1.if_declined"):
        form = Browser.read(editor.send(form, path, ("do", step)))
    assert form.get("v1-tier0-items")[:3] == ["A2", "B1", "C1"]
    assert editor.send(form, path, ("do", "save")).status_code == 302
    offer = to_json(shop.view.experiments["choices"].definition)["variants"][1]["offer"]
    assert offer["tiers"] == [
        {"name": "Better", "items": ["A2", "B1", "C1"]},
        {"items": ["A3", "B1"], "discount": {"amount": "5"}},
    ]
    assert offer["if_declined"]["products"] == {"*": ["C1"]}
    assert "if_declined" not in offer["if_declined"]


@pytest.mark.parametrize(
    "step",
    [
        "add:tiers:9", "remove:tiers:0:7", "add:items:0.tiers.5", "add:items:0.if_accepted", "remove:if_accepted:0",
        "add:tiers:0.tiers.0", "add:if_declined:0.if_declined.if_declined", "add:nothing:0", "remove:items:0",
        "add:tiers:", "remove:tiers:0:-1", "add:if_declined:0.if_declined.if_declined.if_declined",
    ],
)  # fmt: skip
def test_steps_that_lead_nowhere_are_none(step: str) -> None:
    offer = OfferForm(type="bundle")
    for known in ("add:tiers:0", "add:if_declined:0", "add:if_declined:0.if_declined"):
        assert step_in_offers([offer], known)
    before = repr(offer)
    assert not step_in_offers([offer], step)
    assert repr(offer) == before


def test_no_more_choices_than_the_domain_allows() -> None:
    offer = OfferForm(type="bundle")
    assert [step_in_offers([offer], "add:tiers:0") for _ in range(4)] == [True, True, True, False]


def test_errors_of_the_domain_stand_beside_the_nested_field(shop: Shop, editor: Browser) -> None:
    path = "/s/shop/experiments/new"
    form = editor.form(path).set("name", "Wrong").set("placement", "cart").set("v1-items", "A1", "B1")
    for step in ("add:tiers:1", "add:if_declined:1", "add:if_accepted:1"):
        form = Browser.read(editor.send(form, path, ("do", step)))
    form.set("v1-tier0-items", "A1").set("v1-tier0-discount", "120").set("v1-if_declined-type", "bundle")
    form.set("v1-instalments_count", "1").set("v1-instalments_text", "none").set("v1-minimum_stock", "few")
    form.set("v1-if_accepted-products_to", "C1")
    page = editor.send(form, path, ("do", "save")).text
    assert "must be a whole number" in page.partition('id="variants-1-offer-minimum-stock-error"')[2][:300]
    form.set("v1-minimum_stock", "2")
    page = editor.send(form, path, ("do", "save")).text
    assert "variants-1-offer-instalments-count-error" in page
    form.set("v1-instalments_count", "3")
    page = editor.send(form, path, ("do", "save")).text
    for place, said in (
        ("instalments-text", "must say {amount}"),
        ("tiers-0-items", "name 2 to 12 products"),
        ("tiers-0-discount", "must be less than 100"),
        ("if-declined-discount", "is required"),
        ("if-declined-items", "name 2 to 12 products"),
    ):
        anchor = f"variants-1-offer-{place}"
        assert page.count(f'id="{anchor}"') == 1, anchor
        assert said in page.partition(f'id="{anchor}-error"')[2][:300], anchor
        assert f'formaction="#{anchor}"' in page
    assert "Variant 2, choice 2, products" in page
    assert "Variant 2, who says no, discount" in page


def test_what_does_not_fit_the_touchpoint_is_said_at_the_step(shop: Shop, editor: Browser) -> None:
    path = "/s/shop/experiments/new"
    form = editor.form(path).set("name", "Wrong").set("placement", "cart").set("v1-items", "A1", "B1")
    form = Browser.read(editor.send(form, path, ("do", "add:if_accepted:1"))).set("v1-if_accepted-products_to", "C1")
    page = editor.send(form, path, ("do", "save")).text
    said = page.partition('id="variants-1-offer-if-accepted-error"')[2][:300]
    assert "fits at post_purchase only" in said


def test_the_fields_are_kept_with_an_unfinished_draft_and_shown_in_the_preview(shop: Shop, editor: Browser) -> None:
    shop.define(two("e", RICH), start=False)
    path = "/s/shop/experiments/e/edit"
    form = editor.form(path).set("v1-tier0-name", "Superb").set("coverage", "lots")
    editor.send(form, path, ("do", "keep"))
    again = editor.form(path)
    assert again.get("v1-tier0-name") == ["Superb"]
    assert again.get("v1-instalments_count") == ["3"]
    assert again.get("v1-if_declined-products_to") == ["C1"]
    page = editor.send(again.set("coverage", "100"), path, ("do", "check")).text
    aside = page.partition('id="aside"')[2]
    for words in ("Good", "Superb", "or 3 payments of 4.65", "Who declines is offered:", "Spoon", "Too few orders"):
        assert words in aside, words


def test_a_saved_offer_is_made_changed_and_told_who_takes_it(shop: Shop, editor: Browser) -> None:
    assert "No saved offers yet" in editor.text(ROOM)
    assert editor.send(editor.form(f"{ROOM}new"), f"{ROOM}new", ("do", "save")).text.count("field-error") == 2
    form = editor.form(f"{ROOM}new").set("name", "The set").set("o-items", "A1")
    refused = editor.send(form, f"{ROOM}new", ("do", "save"))
    assert refused.status_code == 422
    assert "name 2 to 12 products" in refused.text.partition('id="offer-items-error"')[2][:300]
    form = Browser.read(refused)
    form = Browser.read(editor.send(form, f"{ROOM}new", ("do", "add:tiers:0")), 2)
    form.set("o-items", "A1", "tea").set("o-tier0-items", "A2", "B1").set("o-minimum_stock", "2")
    assert "€13.95" in editor.send(form, f"{ROOM}new", ("do", "keep")).text
    assert editor.send(form, f"{ROOM}new", ("do", "save")).location == ROOM
    made = kept(shop, "the-set")
    assert (made.version, made.offer.items, made.offer.minimum_stock) == (1, ["A1", "B1"], 2)
    taken = editor.send(form, f"{ROOM}new", ("do", "save"))
    assert (taken.status_code, len(names(shop))) == (302, 2), "the key was made anew"
    again = editor.send(form.set("key", "the-set"), f"{ROOM}new", ("do", "save"))
    assert again.status_code == 409
    assert "There is a saved offer" in again.text.partition('id="key-error"')[2][:300]
    shop.define(two("runs", {"saved": "the-set"}))
    shop.define(two("draft", {"saved": "the-set"}), start=False)
    page = editor.text(f"{ROOM}the-set")
    assert "saving here changes nothing that visitors see" in page
    assert "once no draft takes it" in page
    form = editor.form(f"{ROOM}the-set", 2).set("o-discount", "20")
    assert editor.send(form, f"{ROOM}the-set", ("do", "save")).status_code == 302
    assert shop.view.experiments["runs"].definition.variants[1].offer == made.offer
    listed = editor.text(ROOM)
    assert listed.count("an earlier version") == 2
    assert "version 2" in listed
    assert "20% off, 2 choices, from 2 pieces in stock" in listed


def names(shop: Shop) -> list[str]:
    with reading(shop.engine) as conn:
        return [found.key for found in saved_offers(conn, shop.storefront.id)]


def test_two_who_change_a_saved_offer_the_second_is_told_and_loses_nothing(
    saved: Shop, editor: Browser, sign_in: Any
) -> None:
    other = sign_in("admin")
    mine, theirs = editor.form(f"{ROOM}set", 2), other.form(f"{ROOM}set", 2)
    assert editor.send(mine.set("name", "First"), f"{ROOM}set", ("do", "save")).status_code == 302
    refused = other.send(theirs.set("name", "Second"), f"{ROOM}set", ("do", "save"))
    assert refused.status_code == 409
    again = Browser.read(refused, 2)
    assert again.get("name") == ["Second"]
    assert other.send(again, f"{ROOM}set", ("do", "overwrite")).status_code == 302
    assert (kept(saved).name, kept(saved).version) == ("Second", 3)


def test_a_variant_takes_a_saved_offer_and_goes_on_with_a_copy(saved: Shop, editor: Browser) -> None:
    path = "/s/shop/experiments/new"
    form = editor.form(f"{path}?offer=set").set("name", "Takes").set("placement", "cart")
    assert form.get("v1-saved") == ["set"]
    assert editor.send(form, path, ("do", "save")).status_code == 302
    made = saved.view.experiments["takes"].definition
    assert made.saved_offers == {"set": "set"}
    assert made.variants[1].offer == kept(saved).offer
    edit = "/s/shop/experiments/takes/edit"
    page = editor.send(editor.form(edit), edit, ("do", "save"))
    assert page.status_code == 302
    assert saved.view.experiments["takes"].definition.saved_offers == {"set": "set"}
    form = Browser.read(editor.send(editor.form(edit), edit, ("do", "copy:saved:1")))
    assert form.get("v1-saved") == [""]
    form.set("v1-headline", "My own")
    assert editor.send(form, edit, ("do", "save")).status_code == 302
    own = saved.view.experiments["takes"].definition
    assert own.saved_offers == {}
    assert own.variants[1].offer == msgspec.structs.replace(kept(saved).offer, headline="My own")


def test_a_saved_offer_that_changed_is_said_on_the_draft_that_took_it(saved: Shop, editor: Browser) -> None:
    saved.define(two("e", {"saved": "set"}), start=False)
    edit = "/s/shop/experiments/e/edit"
    assert "It has changed since" not in editor.text(edit)
    form = editor.form(f"{ROOM}set", 2).set("o-headline", "New words")
    editor.send(form, f"{ROOM}set", ("do", "save"))
    page = editor.text(edit)
    assert "It has changed since" in page
    assert "New words" in page.partition('id="aside"')[2]


def test_what_is_wrong_with_a_saved_offer_stands_where_it_was_chosen(saved: Shop, editor: Browser) -> None:
    with writing(saved.engine) as conn:
        value = {"key": "odd", "offer": {**BUNDLE, "items": ["A1", "nowhere"]}}
        library.save_offer(conn, saved.storefront.id, value, "ann", NOW)
    path = "/s/shop/experiments/new"
    form = editor.form(path).set("name", "Takes").set("placement", "cart").set("v1-saved", "odd")
    page = editor.send(form, path, ("do", "check")).text
    assert "&#39;nowhere&#39; is not in the catalogue" in page
    assert "#variants-1-offer-saved" in page
    page = editor.send(form.set("v1-saved", "gone"), path, ("do", "save")).text
    assert "is no saved offer" in page.partition('id="variants-1-offer-saved-error"')[2][:300]


def test_removing_is_refused_while_a_draft_takes_it_and_changes_nothing_that_started(
    saved: Shop, editor: Browser, api: Any
) -> None:
    saved.define(two("runs", {"saved": "set"}))
    saved.define(two("draft", {"saved": "set"}), start=False)
    assert api("delete", "/api/v1/offers/set").status_code == 409
    refused = editor.send(Form(f"{ROOM}set/remove", "post", editor.form(f"{ROOM}set", 2).fields), ROOM)
    assert "is taken by draft" in editor.text(refused.location)
    edit = "/s/shop/experiments/draft/edit"
    form = Browser.read(editor.send(editor.form(edit), edit, ("do", "copy:saved:1")))
    assert editor.send(form, edit, ("do", "save")).status_code == 302
    before = saved.view.experiments["runs"].definition
    assert editor.send(editor.form(f"{ROOM}set"), ROOM).location == ROOM
    assert editor.get(f"{ROOM}set").status_code == 404
    assert saved.view.experiments["runs"].definition == before
    assert "Copy it here" not in editor.text("/s/shop/experiments/new?copy=runs"), "the copy goes on with its own"
    assert api("post", "/api/v1/experiments/runs/duplicate", json={"key": "again"}).status_code == 201
    assert saved.view.experiments["again"].definition.variants == before.variants


def test_viewers_read_and_change_nothing(saved: Shop, sign_in: Any) -> None:
    viewer = sign_in("viewer")
    page = viewer.text(f"{ROOM}set")
    assert "Save as the next version" not in page
    assert "Use in a new experiment" not in viewer.text(ROOM)
    for path in (f"{ROOM}new", f"{ROOM}set", f"{ROOM}set/remove"):
        form = viewer.form(f"{ROOM}set", 2)
        form.action = path
        assert viewer.send(form, path, ("do", "save")).status_code == 403
    assert kept(saved).version == 1


def test_products_named_in_choices_and_steps_are_known_to_a_large_catalogue(saved: Shop) -> None:
    found = product_of(saved.view.catalogue)
    form = OfferForm.of(msgspec.convert(RICH, SavedKind), saved.storefront.zone)
    assert {found(text) for text in form.named() if text} == {"A1", "A2", "B1", "C1"}


def test_a_field_that_is_no_offer_type_is_an_error_and_no_crash(shop: Shop, editor: Browser) -> None:
    form = OfferForm.read(MultiDict({"o-type": "gift"}), "o-")
    assert form.to_json(Typed(shop.storefront.zone), "offer", str)["type"] == "gift"
    path = "/s/shop/experiments/new"
    odd = editor.form(path).set("name", "Odd").set("placement", "cart").set("v1-type", "gift")
    assert editor.send(odd, path, ("do", "save")).status_code == 422
