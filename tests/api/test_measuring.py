"""A storefront's own metrics over the management API: saved by versions, tried before, and who uses them."""

from time import monotonic

from tests.serving import Tenant
from tests.shop import experiment

SIGNUPS = {"key": "signups", "name": "Sign-ups", "type": "proportion", "numerator": "with_event:signup"}
METRICS = "/api/v1/metrics"


def test_a_metric_is_saved_taken_changed_and_told_who_uses_it(tenant: Tenant) -> None:
    made = tenant.admin.post(METRICS, SIGNUPS)
    assert (made.status_code, made.json()["version"], made.json()["used_by"]) == (201, 1, [])
    plan = {"primary": "signups", "secondary": ["aov"]}
    draft = tenant.admin.post("/api/v1/experiments", experiment("uses", metrics=plan)).json()
    assert draft["saved_metrics"]["signups"]["numerator"] == "with_event:signup"
    changed = tenant.admin.call("PUT", f"{METRICS}/signups", SIGNUPS | {"direction": "decrease", "version": 1}).json()
    assert (changed["version"], changed["direction"]) == (2, "decrease")
    assert changed["used_by"] == [{"experiment": "uses", "state": "draft", "version": 1}]
    history = tenant.admin.get(f"{METRICS}/signups").json()
    assert [version["version"] for version in history["versions"]] == [2, 1]
    listed = {metric["key"]: metric for metric in tenant.admin.get(METRICS).json()["metrics"]}
    assert listed["signups"] == changed
    assert listed["aov"]["built_in"]
    assert [use["experiment"] for use in listed["aov"]["used_by"]] == ["uses"]
    trail = tenant.admin.get(f"{METRICS}/signups/audit").json()["audit"]
    assert [entry["action"] for entry in trail] == ["edit", "create"]


def test_refusals_are_the_one_error_shape(tenant: Tenant) -> None:
    tenant.admin.post(METRICS, SIGNUPS)
    for method, path, body, status in (
        ("POST", METRICS, SIGNUPS, 409),
        ("POST", METRICS, SIGNUPS | {"key": "b", "numerator": "orders"}, 422),
        ("POST", METRICS, [], 422),
        ("PUT", f"{METRICS}/signups", SIGNUPS | {"version": 9}, 409),
        ("PUT", f"{METRICS}/signups", [], 422),
        ("PUT", f"{METRICS}/none", SIGNUPS | {"key": "none"}, 404),
        ("GET", f"{METRICS}/none", None, 404),
        ("GET", f"{METRICS}/none/audit", None, 404),
        ("POST", f"{METRICS}/preview", {}, 422),
        ("POST", f"{METRICS}/preview", {"key": "none"}, 422),
        ("POST", f"{METRICS}/preview", {"key": "aov", "metric": SIGNUPS}, 422),
        ("POST", f"{METRICS}/preview", {"key": "aov", "days": 29}, 422),
    ):
        answer = tenant.admin.call(method, path, body)
        assert answer.status_code == status, (method, path, answer.text)
        assert {"type", "title", "status", "detail", "code", "message"} <= answer.json().keys()
    assert tenant.public.get(METRICS).status_code == 403


def test_a_metric_is_tried_before_it_is_saved(tenant: Tenant) -> None:
    nothing = tenant.admin.post(f"{METRICS}/preview", {"key": "aov"})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "not_estimable")
    tenant.admin.post("/api/v1/experiments", experiment("tried"))
    tenant.admin.post("/api/v1/experiments/tried/start", {})
    met = [{"visitor_id": f"v{i}", "experiment": "tried", "variant": "control"} for i in range(20)]
    deadline = monotonic() + 30
    while tenant.secret.post("/v1/exposures", met).json()["rejected"]:  # this worker has not heard of the start yet
        assert monotonic() < deadline, "no worker has heard of the start"
    signed = [{"type": "signup", "visitor_id": f"v{i}", "event_id": f"e{i}"} for i in range(5)]
    assert tenant.secret.post("/v1/conversions", signed).json()["accepted"] == 5
    metric = {"type": "proportion", "numerator": "with_event:signup"}
    found = tenant.admin.post(f"{METRICS}/preview", {"metric": metric, "days": 14}).json()
    assert (found["units"], found["value"], found["zeros"], found["unit"]) == (20, 0.25, 0.75, "share")
    assert [part["weeks"] for part in found["detectable"]] == [2, 4, 8]
    assert found["sampled"] is None
