"""A report that is shared is read by whoever has its address, shows nothing else, and goes when it is revoked."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from experiments.moment import DAY
from experiments.service import defining
from experiments.storage.database import reading, writing
from experiments.storage.registry import read_audit
from experiments.storage.tables import report_link
from tests.shop import NOW, Shop, a_a, exposed, order, refund
from tests.ui.browser import Browser
from webapp import deciding
from webapp.clock import now

REPORT = "/s/shop/experiments/same/report"
API = "/api/v1/experiments/same/links"
Api = Callable[..., TestResponse]


@pytest.fixture
def running(shop: Shop) -> Shop:
    """A report with something in it."""
    shop.define(a_a(analysis={"minimum_days": 0}))
    for variant in ("control", "t1"):
        shop.expose(*(exposed(f"{variant}-visitor{i}", variant, experiment="same") for i in range(20)))
        shop.convert(*(order(f"o-{variant}{i}", f"{variant}-visitor{i}", f"{30 + i}.00") for i in range(8)))
    return shop


def made(editor: Browser, shows: str = "live", days: str = "7") -> str:
    """Make a link on the page, and read its address there."""
    page = editor.get(REPORT)
    form = next(form for n in range(-1, -9, -1) if (form := editor.read(page, n)).action.endswith("/links/"))
    form.set("shows", shows).set("days", days)
    assert editor.send(form, REPORT).status_code == 302
    found = re.search(r'value="(http://[^"]*/shared/[^"]+)"', editor.text(REPORT))
    assert found is not None
    return found[1].removeprefix("http://localhost")


def test_whoever_has_the_address_reads_and_nothing_else(running: Shop, editor: Browser, app: Flask) -> None:
    path = made(editor)
    answer = app.test_client().get(path)
    assert answer.status_code == 200
    assert "Can the numbers be believed?" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    links = set(re.findall(r'href="([^"]+)"', answer.text))
    assert {link for link in links if not link.startswith(("/static/", "/bootstrap/", "#", "/shared/"))} == set()
    assert "<form" not in answer.text
    for secret in ("visitor1", "editor@shop.example", "pk_", "ak_"):
        assert secret not in answer.text
    assert app.test_client().get(f"{path}?scale=a_day&segment=visitor:new").status_code == 200


def test_a_session_makes_no_difference_to_it(running: Shop, editor: Browser) -> None:
    path = made(editor)
    assert "Emergency stop" not in editor.text(path)
    assert "Share this report" not in editor.text(path)


def test_what_opens_nothing_is_one_page_whatever_the_reason(
    running: Shop, editor: Browser, app: Flask, api: Api
) -> None:
    reader = app.test_client()
    path, other = made(editor), made(editor)
    with writing(running.engine) as conn:
        conn.execute(update(report_link).where(report_link.c.id == 1).values(expires_at=now() - 1))
    api("delete", f"{API}/2")
    tampered = path[:-1] + ("A" if path[-1] != "A" else "B")
    never = [reader.get(p) for p in (path, other, tampered, "/shared/x", "/shared/MTIz.c2lnbmF0dXJl")]
    assert {answer.status_code for answer in never} == {404}
    assert len({answer.text for answer in never}) == 1
    assert all("Set-Cookie" not in answer.headers for answer in never)


def test_a_link_that_is_never_read_says_so_and_a_read_one_says_when(
    running: Shop, editor: Browser, app: Flask, api: Api
) -> None:
    path = made(editor)
    assert "Never" in editor.text(REPORT)
    app.test_client().get(path)
    [link] = api("get", API).json["links"]
    assert link["seen_at"] is not None
    app.test_client().get(path)
    assert api("get", API).json["links"][0]["seen_at"] == link["seen_at"], "not written at every look"
    assert (link["made_by"], link["state"], link["shows"]) == ("editor@shop.example", "good", "live")


def test_revoking_on_the_page_closes_it_and_the_trail_names_who(running: Shop, editor: Browser, app: Flask) -> None:
    path = made(editor)
    form = editor.form(REPORT, -1)
    assert form.action.endswith("/revoke")
    assert editor.send(form, REPORT).status_code == 302
    assert app.test_client().get(path).status_code == 404
    with reading(running.engine) as conn:
        trail = read_audit(conn, running.storefront.id, "experiment:same")
    assert [(e.actor, e.action) for e in trail[:2]] == [
        ("editor@shop.example", "unshare"), ("editor@shop.example", "share"),
    ]  # fmt: skip


def test_a_shared_decision_stays_as_it_was(running: Shop, editor: Browser, app: Flask, api: Api) -> None:
    assert api("post", API, json={"shows": "decision"}).status_code == 409
    with writing(running.engine) as conn:
        defining.act(conn, running.storefront, "same", "stop", "test", NOW)
    snapshot = deciding.snapshot(running.engine, running.storefront, "same", NOW)
    with writing(running.engine) as conn:
        deciding.decide(conn, running.storefront, "same", None, "No lift", "ann@shop.example", snapshot)
    kept, live = made(editor, "decision"), made(editor, "live")
    reader = app.test_client()
    before = reader.get(kept).text
    assert "as it was when it was decided by" in before
    running.convert(refund("r1", "o-t10", "30.00"), order("late", "t1-visitor9", "500.00"))
    assert reader.get(kept).text == before
    assert reader.get(live).status_code == 200
    assert "ann@shop.example" not in before


def test_the_api_makes_lists_and_revokes(running: Shop, app: Flask, api: Api) -> None:
    link = api("post", API, json={"days": 90})
    assert link.status_code == 201
    path = link.json["address"].removeprefix("http://localhost")
    assert app.test_client().get(path).status_code == 200
    with reading(running.engine) as conn:
        row = conn.execute(select(report_link)).one()
    assert row.expires_at - row.made_at == 90 * DAY
    assert api("post", API, json={"days": None}).json["expires_at"] is None
    assert api("post", API, json={"days": 8}).status_code == 422
    gone = api("delete", f"{API}/{link.json['id']}")
    assert (gone.json["state"], gone.json["address"]) == ("revoked", None)
    assert api("delete", f"{API}/99").status_code == 404
    assert api("get", "/api/v1/experiments/nothing/links").status_code == 404


def test_viewers_neither_see_nor_make_links(running: Shop, editor: Browser, sign_in: Callable[[str], Browser]) -> None:
    path, viewer = made(editor), sign_in("viewer")
    assert path not in viewer.text(REPORT)
    form = editor.form(REPORT, -2)
    assert viewer.client.post("/s/shop/experiments/same/links/", data=dict(form.fields)).status_code in {400, 403}


def test_what_has_not_started_is_not_shared(shop: Shop, api: Api) -> None:
    shop.define(a_a(), start=False)
    assert api("post", API, json={}).status_code == 409
