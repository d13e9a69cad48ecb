"""The metric builder without scripts: a metric is tried, saved, changed, and refused beside its field."""

from collections.abc import Callable

from experiments.moment import DAY, Micros, iso
from experiments.service import defining
from experiments.storage.database import reading, writing
from experiments.storage.savedmetrics import metric_versions, saved_metrics
from tests.shop import Shop, a_a, exposed
from tests.ui.browser import Browser, Form
from webapp.clock import now

SignIn = Callable[[str], Browser]


def path_of(shop: Shop) -> str:
    return f"/s/{shop.storefront.key}/settings/metrics/"


def filled(browser: Browser, path: str, **fields: str) -> Form:
    form = browser.form(path)
    given = {"name": "Sign-ups", "type": "proportion", "numerator": "with_event:", "numerator_event": "signup"} | fields
    for name, value in given.items():
        form.set(name, value)
    return form


def test_a_metric_is_tried_then_saved_then_changed(shop: Shop, editor: Browser) -> None:
    path, met = path_of(shop), iso(Micros(now() - DAY))
    form = filled(editor, path)
    assert "nobody entered an experiment" in editor.send(form.set("do", "try"), path).text.lower()
    shop.define(a_a("same"), now=Micros(now() - 20 * DAY))
    shop.expose(*(exposed(f"v{i}", "control", experiment="same", occurred_at=met) for i in range(20)), now=now())
    shop.convert(
        *({"type": "signup", "visitor_id": f"v{i}", "event_id": f"e{i}", "occurred_at": met} for i in range(5)),
        now=now(),
    )
    tried = editor.send(filled(editor, path, days="14").set("do", "try"), path)
    assert tried.status_code == 200
    assert "25.00%" in tried.text
    assert "75.00%" in tried.text
    assert 'value="Sign-ups"' in tried.text, "what was typed stays"
    with reading(shop.engine) as conn:
        assert not saved_metrics(conn, shop.storefront.id)
    saved = editor.send(filled(editor, path).set("do", "save"), path)
    assert saved.status_code == 302
    own = saved.headers["Location"]
    assert own.endswith("/metrics/sign_ups")
    with writing(shop.engine) as conn:
        plan = {"primary": "conversion", "secondary": ["sign_ups"]}
        defining.create(conn, shop.storefront, a_a("takes", metrics=plan), "test", now())
    changed = filled(editor, own, direction="decrease").set("do", "save")
    assert changed.get("changing") == ["sign_ups"]
    assert editor.send(changed, own).status_code == 302
    with reading(shop.engine) as conn:
        assert [v.saved.direction for v in metric_versions(conn, shop.storefront.id, "sign_ups")] == [
            "decrease",
            "increase",
        ]
    assert "(version 1)" in editor.text(path), "what took the old one is told apart"
    assert editor.send(changed, own).status_code == 409, "somebody else was first"


def test_what_cannot_be_is_said_beside_its_field(shop: Shop, editor: Browser) -> None:
    path = path_of(shop)
    for fields, said in (
        ({"name": ""}, "is needed"),
        ({"numerator_event": ""}, "name of the event"),
        ({"numerator": "orders"}, "0 or 1"),
        ({"type": "ratio", "denominator": "with_event:", "denominator_event": "signup"}, "another one"),
        ({"type": "mean", "cap": "much"}, "percentile"),
        ({"type": "mean", "cap": "50"}, "0.9"),
        ({"key": "aov"}, "every storefront has"),
    ):
        answer = editor.send(filled(editor, path, **fields).set("do", "save"), path)
        assert answer.status_code == 422, fields
        assert said in answer.text, fields


def test_viewers_read_and_cannot_make(shop: Shop, sign_in: SignIn) -> None:
    viewer, path = sign_in("viewer"), path_of(shop)
    assert "No metrics of your own yet" in viewer.text(path)
    assert 'name="numerator"' not in viewer.text(path)
    assert viewer.client.post(path, data={"name": "x"}).status_code in {400, 403}
