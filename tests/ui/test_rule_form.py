"""The decision rule on the pages: what is chosen is what is saved, said, locked, and read again, without scripts."""

from collections.abc import Callable
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_babel import gettext
from hypothesis import given

from analysis.decision import Ground
from experiments.rules import CLAUSES, PRESETS, DecisionRule
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.rules import any_rule
from tests.shop import Shop, a_a
from tests.ui.browser import Browser
from webapp.ui.rule_form import RuleForm
from webapp.ui.rule_words import GROUNDS, PRESET_WORDS, SENTENCES
from webapp.ui.typed import Typed


@given(any_rule)
def test_a_rule_becomes_a_form_and_a_rule_again(rule: DecisionRule) -> None:
    typed = Typed(ZoneInfo("UTC"))
    form = RuleForm.of(rule)
    assert form.to_json(typed) == {name: getattr(rule, name) for name in rule.__struct_fields__}
    assert not typed.errors
    sent: dict[str, str] = {
        "rule_preset": form.preset, "rule_metric": form.metric, "rule_proof": form.proof, "rule_lift": form.lift,
        "rule_max_loss": form.max_loss, "rule_precision": form.precision,
    }  # fmt: skip
    sent |= {"rule_secondaries": "1"} if form.secondaries else {}
    sent |= {"rule_guardrails": "1"} if form.guardrails else {}
    assert RuleForm.read(sent) == form


def test_the_pages_say_what_the_report_says(app: Flask) -> None:
    """Two renderings of one value: in English they are the same sentences."""
    with app.test_request_context("/"):
        assert {name: str(said) for name, said in SENTENCES.items()} == dict(CLAUSES)
        assert set(PRESET_WORDS) == set(PRESETS)
        assert set(GROUNDS) - {"proven"} == set(get_args(Ground)) - {"none"}
        assert gettext("unchanged") == "unchanged"


def test_how_much_must_be_said(app: Flask) -> None:
    for given_lift, errors in (("", 1), ("2", 0), ("-2 %", 0)):
        typed = Typed(ZoneInfo("UTC"))
        built = RuleForm("own", proof="not_worse", lift=given_lift).to_json(typed)
        assert len(typed.errors) == errors
        assert built["least_lift"] == ("-0%" if errors else "-2%")


def draft(shop: Shop, **changes: Any) -> str:
    plan = {"primary": "conversion", "guardrails": [{"metric": "refund_rate", "margin": "2%"}]}
    shop.define(a_a("ruled", name="Ruled", metrics=plan, **changes), start=False)
    return f"/s/{shop.storefront.key}/experiments/ruled"


def read(shop: Shop) -> DecisionRule:
    with reading(shop.engine) as conn:
        return get_experiment(conn, shop.storefront.id, "ruled").definition.rule


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_chosen_saved_and_said(shop: Shop, editor: Browser, preset: str) -> None:
    path = draft(shop)
    form = editor.form(f"{path}/edit").set("rule_preset", preset)
    assert editor.send(form, f"{path}/edit", ("do", "save")).status_code == 302
    assert read(shop) == PRESETS[preset]
    assert editor.form(f"{path}/edit").get("rule_preset") == [preset]
    assert f"<strong>{PRESET_WORDS[preset][0]}" in editor.text(path) or preset in editor.text(f"{path}/edit")


def test_a_rule_of_ones_own_is_set_field_by_field_and_errors_stand_beside_them(shop: Shop, editor: Browser) -> None:
    path = draft(shop)
    form = editor.form(f"{path}/edit").set("rule_preset", "own").set("rule_metric", "revenue_per_visitor")
    form.set("rule_proof", "not_worse").set("rule_lift", "").set("rule_secondaries").set("rule_guardrails", "1")
    form.set("rule_max_loss", "much")
    answer = editor.send(form, f"{path}/edit", ("do", "save"))
    assert answer.status_code == 422
    assert "say by how much" in answer.text
    assert "is no amount of money" in answer.text
    form = editor.read(answer).set("rule_lift", "1.5").set("rule_max_loss", "0,05").set("rule_precision", "80")
    answer = editor.send(form.set("target_mde", "5%"), f"{path}/edit", ("do", "save"))
    assert answer.status_code == 302
    assert read(shop) == DecisionRule("revenue_per_visitor", "-1.5%", "0.05", False, True, "80%")
    page = editor.text(path)
    assert "no worse than control by 1.5% or more" in page
    assert "loses at most 0.05 a visitor" in page


def test_nothing_shown_and_nothing_guarded_cannot_be_saved(shop: Shop, editor: Browser) -> None:
    shop.define(a_a("ruled", name="Ruled", metrics={"primary": "conversion"}), start=False)
    path = f"/s/{shop.storefront.key}/experiments/ruled/edit"
    answer = editor.send(editor.form(path).set("rule_preset", "do_no_harm"), path, ("do", "save"))
    assert answer.status_code == 422
    assert "name a guardrail with a margin" in answer.text


def test_it_cannot_change_once_it_runs(shop: Shop, editor: Browser, api: Callable[..., Any]) -> None:
    path = draft(shop, rule={"secondaries_forbid": False})
    assert api("post", "/api/v1/experiments/ruled/start").status_code == 200
    refused = api("patch", "/api/v1/experiments/ruled", json={"rule": {"secondaries_forbid": True}})
    assert refused.status_code == 422
    assert refused.get_json()["errors"][0]["field"] == "rule"
    guide = editor.text(f"{path}/amend")
    assert "The decision rule" in guide
    assert "secondary metrics may be" in guide
