"""Alerts on the pages and over the API: who sets where they go, what is shown of them, and where they stand."""

from collections.abc import Callable

from flask import Flask
from werkzeug.test import TestResponse

from experiments.alerts import KINDS, Condition
from experiments.moment import DAY, Micros
from experiments.service.alerting import Seen, tell
from experiments.storage.database import reading, writing
from experiments.storage.outbox import due_messages, targets
from experiments.storage.registry import get_experiment
from tests.shop import Shop, a_a
from tests.ui.browser import Browser
from webapp.clock import now

SignIn = Callable[[str], Browser]
PAGE = "/s/shop/settings/alerts/"
BREACH = Condition("guardrail_breached", "refund_rate/t1", "t1 on refund_rate: +4% to +9% at any time; 2% was allowed.")


def told(shop: Shop, *conditions: Condition, key: str = "same") -> None:
    """Let the watch have found these."""
    with writing(shop.engine) as conn:
        found = get_experiment(conn, shop.storefront.id, key)
        assert tell(conn, shop.storefront, found, Seen(conditions), now())


def test_an_admin_says_where_alerts_go_and_sees_the_secret_once(shop: Shop, sign_in: SignIn) -> None:
    admin = sign_in("admin")
    form = admin.form(PAGE, 2).set("webhook_url", "https://hooks.example/T0/abc")
    form.set("emails", "team@shop.example, Ann@shop.example").set("kinds", "ended", "no_exposures")
    made = admin.send(form, PAGE)
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    secret = made.text.split('<code class="secret" tabindex="0">')[1].split("<")[0]
    assert secret.startswith("whsec_")
    again = admin.text(PAGE)
    assert secret not in again
    assert "team@shop.example\nann@shop.example" in again
    with reading(shop.engine) as conn:
        held = targets(conn, shop.storefront.id)
    assert set(held.kinds) == {"ended", "no_exposures"}
    same = admin.form(PAGE, 2)
    assert same.get("webhook_url") == ["https://hooks.example/T0/abc"]
    assert admin.send(same, PAGE).status_code == 302, "the same address keeps its secret"
    renewed = admin.send(admin.form(PAGE, 4), PAGE)
    assert renewed.status_code == 201
    assert secret not in renewed.text
    assert "whsec_" in renewed.text


def test_what_cannot_be_is_said_beside_its_field_and_nothing_changes(shop: Shop, sign_in: SignIn) -> None:
    admin = sign_in("admin")
    form = admin.form(PAGE, 2).set("webhook_url", "http://shop.example").set("emails", "ann, bob@shop.example")
    refused = admin.send(form, PAGE)
    assert refused.status_code == 422
    assert "begins with https://" in refused.text
    assert "No e-mail address: ann" in refused.text
    assert "ann, bob@shop.example" in refused.text
    with reading(shop.engine) as conn:
        assert targets(conn, shop.storefront.id).kinds == KINDS


def test_a_viewer_sees_no_more_than_the_host_and_changes_nothing(shop: Shop, sign_in: SignIn) -> None:
    admin = sign_in("admin")
    admin.send(admin.form(PAGE, 2).set("webhook_url", "https://hooks.example/T0/abc"), PAGE)
    viewer = sign_in("viewer")
    shown = viewer.text(PAGE)
    assert "hooks.example" in shown
    assert "/T0/abc" not in shown
    token = {"csrf_token": viewer.form(PAGE).get("csrf_token")[0]}
    for path in (PAGE, f"{PAGE}test", f"{PAGE}secret"):
        assert viewer.client.post(path, data=token).status_code == 403


def test_a_test_waits_in_the_outbox_and_its_fate_is_shown(shop: Shop, sign_in: SignIn) -> None:
    admin = sign_in("admin")
    assert "Nothing was sent yet" in admin.text(PAGE)
    admin.send(admin.form(PAGE, 3), PAGE)
    assert "There is nobody to send to yet" in admin.text(PAGE)
    admin.send(admin.form(PAGE, 2).set("emails", "team@shop.example"), PAGE)
    assert admin.send(admin.form(PAGE, 3), PAGE).status_code == 302
    assert "One test is on its way" in admin.text(PAGE)
    with writing(shop.engine) as conn:
        (message,) = due_messages(conn, now(), 10)
        from experiments.storage.outbox import put_off, settle

        put_off(conn, message.id, "the mail server answered 451 later")
    assert "451 later" in admin.text(PAGE)
    with writing(shop.engine) as conn:
        settle(conn, message.id, "failed", "the mail server answered 451 later", now())
    assert "One of the last messages was given up" in admin.text(PAGE)


def test_what_was_told_stands_on_home_and_on_the_experiments_own_page(shop: Shop, editor: Browser) -> None:
    shop.define(a_a("same", name="Tea or not"), now=Micros(now() - DAY))
    told(shop, Condition("started"), BREACH)
    home = editor.text("/s/shop/home")
    assert "Guardrail breached" in home
    assert "t1 on refund rate: +4% to +9%" in home
    assert "Tea or not" in home
    page = editor.text("/s/shop/experiments/same")
    assert "Guardrail breached" in page
    assert page.index("Guardrail breached") < page.index(">Created<"), "newest first"
    assert "A guardrail is breached." in editor.text("/s/shop/experiments/same/report.csv?table=timeline")
    with writing(shop.engine) as conn:
        from experiments.service import defining

        defining.act(conn, shop.storefront, "same", "stop", "pm", now())
    assert "Guardrail breached" not in editor.text("/s/shop/home"), "what has ended needs a decision, not a repair"


def test_a_pause_of_its_own_says_why(shop: Shop, editor: Browser) -> None:
    guarded = {"primary": "revenue_per_visitor", "guardrails": [{"metric": "refund_rate", "margin": "2%"}]}
    value = a_a("same", metrics=guarded, schedule={"pause_when": ["guardrail_breached"]})
    shop.define(value, now=Micros(now() - DAY))
    told(shop, BREACH)
    home = editor.text("/s/shop/home")
    assert "Paused by itself" in home
    page = editor.text("/s/shop/experiments/same")
    assert "A guardrail is breached. t1 on refund rate" in page
    assert "offerlab" in page


def test_the_api_lists_what_was_told(app: Flask, shop: Shop, api: Callable[..., TestResponse]) -> None:
    for key in ("same", "other"):
        shop.define(a_a(key), now=Micros(now() - DAY))
    told(shop, Condition("started"), BREACH)
    told(shop, Condition("started"), key="other")

    def listed(query: str) -> list[tuple[str, str]]:
        found = api("get", f"/api/v1/alerts{query}").get_json()["alerts"]
        return [(a["experiment"], a["kind"]) for a in found]

    assert listed("") == [("other", "started"), ("same", "guardrail_breached"), ("same", "started")]
    assert listed("?experiment=other") == [("other", "started")]
    assert listed("?waiting=true") == [("same", "guardrail_breached")]
    first = api("get", "/api/v1/alerts?limit=2").get_json()
    assert listed(f"?before={first['next']}") == [("same", "started")]
    assert api("get", "/api/v1/alerts?experiment=nobody").status_code == 404
    for wrong in ("limit=0", "limit=x", "waiting=yes", "before=-1"):
        assert api("get", f"/api/v1/alerts?{wrong}").status_code == 422
    (breach,) = api("get", "/api/v1/alerts?waiting=true").get_json()["alerts"]
    assert (breach["about"], breach["text"]) == ("refund_rate/t1", "A guardrail is breached.")


def test_the_api_sets_what_the_page_sets(shop: Shop, api: Callable[..., TestResponse]) -> None:
    path = "/api/v1/alerts/settings"
    assert api("get", path).get_json() == {
        "webhook_url": None, "emails": [], "tells_people": True, "kinds": list(KINDS),
    }  # fmt: skip
    assert api("post", "/api/v1/alerts/secret").status_code == 409
    assert api("post", "/api/v1/alerts/test").status_code == 409
    made = api("patch", path, json={"webhook_url": "https://hooks.example/x", "kinds": ["ended"]})
    assert made.get_json()["secret"].startswith("whsec_")
    assert made.headers["Cache-Control"] == "no-store"
    assert api("patch", path, json={"emails": ["a@b.example"]}).get_json()["secret"] is None
    assert api("post", "/api/v1/alerts/test").get_json() == {"messages": 2}
    sent = api("get", "/api/v1/alerts/deliveries").get_json()["deliveries"]
    assert {(d["channel"], d["target"], d["state"]) for d in sent} == {
        ("webhook", "", "waiting"), ("email", "a@b.example", "waiting"),
    }  # fmt: skip
    trail = [(e.action, e.subject) for e in _trail(shop) if e.subject.startswith("alerts")]
    assert trail == [("edit", "alerts"), ("edit", "alerts")]
    assert "hooks.example/x" not in str([e.after for e in _trail(shop)])


def _trail(shop: Shop) -> list:
    from experiments.storage.registry import search_audit

    with reading(shop.engine) as conn:
        return search_audit(conn, shop.storefront.id)


def test_what_pauses_it_is_ticked_on_the_define_page_and_may_change_while_it_runs(shop: Shop, editor: Browser) -> None:
    shop.define(a_a("same", name="Same", metrics={"primary": "aov"}), start=False)
    path = "/s/shop/experiments/same/edit"

    def pauses() -> list[str]:
        with reading(shop.engine) as conn:
            return list(get_experiment(conn, shop.storefront.id, "same").definition.schedule.pause_when)

    refused = editor.send(editor.form(path).set("pause_when", "guardrail_breached"), path, ("do", "save"))
    assert refused.status_code == 422
    assert "needs a guardrail" in refused.text
    assert 'value="guardrail_breached" checked' in refused.text
    saved = editor.send(editor.form(path).set("pause_when", "sample_ratio_mismatch"), path, ("do", "save"))
    assert saved.status_code == 302, saved.text
    assert pauses() == ["sample_ratio_mismatch"]
    assert editor.form(path).get("pause_when") == ["sample_ratio_mismatch"]
    editor.send(editor.form("/s/shop/experiments/same/start"), "/s/shop/experiments/same/start")
    assert "Pauses by itself: wrong split" in editor.text("/s/shop/experiments/same")
    path = "/s/shop/experiments/same/amend"
    changed = editor.form(path)
    assert changed.get("pause_when") == ["sample_ratio_mismatch"]
    assert editor.send(changed.set("name", "Other"), path).status_code == 302
    assert pauses() == ["sample_ratio_mismatch"]
    assert editor.send(editor.form(path).set("pause_when"), path).status_code == 302
    assert pauses() == []
