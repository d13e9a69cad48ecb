"""People over the management API: what the page of people can do, with the same refusals."""

import pytest
import requests

from tests.serving import Tenant

PEOPLE = "/api/v1/people"
Person = dict[str, object]


@pytest.fixture
def ann(tenant: Tenant) -> Person:
    """Somebody invited; people are the installation's, so each test has an address of its own."""
    answer = tenant.admin.post(PEOPLE, {"email": f"Ann.{tenant.name}@Shop.example ", "role": "editor"})
    assert answer.status_code == 201, answer.text
    made: Person = answer.json()
    return made


def test_who_is_invited_sets_a_password_by_the_link_that_is_told_once(tenant: Tenant, ann: Person) -> None:
    email = f"ann.{tenant.name}@shop.example"
    assert (ann["email"], ann["role"], ann["has_password"]) == (email, "editor", False)
    page = requests.get(str(ann["link"]), timeout=30)
    assert page.status_code == 200
    assert 'type="password"' in page.text
    [told] = [p for p in tenant.admin.get(PEOPLE).json()["people"] if p["id"] == ann["id"]]
    assert told == {name: value for name, value in ann.items() if name != "link"}
    again = tenant.admin.post(f"{PEOPLE}/{ann['id']}/link")
    assert again.status_code == 201
    assert again.json()["link"] != ann["link"]
    assert tenant.admin.post(PEOPLE, {"email": email}).status_code == 409
    assert tenant.admin.post(PEOPLE, {"email": "nobody"}).json()["errors"][0]["field"] == "email"
    assert tenant.admin.post(PEOPLE, {"email": "b@shop.example", "role": "king"}).json()["errors"][0]["field"] == "role"


def test_a_role_changes_but_for_the_last_admins(tenant: Tenant, ann: Person) -> None:
    path = f"{PEOPLE}/{ann['id']}"
    assert tenant.admin.call("PATCH", path, {"role": "admin"}).json()["role"] == "admin"
    for other in tenant.admin.get(PEOPLE).json()["people"]:
        if other["role"] == "admin" and other["id"] != ann["id"]:
            tenant.admin.call("DELETE", f"{PEOPLE}/{other['id']}")
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        refused = tenant.admin.call(method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")


def test_who_is_removed_is_gone(tenant: Tenant, ann: Person) -> None:
    path = f"{PEOPLE}/{ann['id']}"
    assert tenant.admin.call("DELETE", path).json()["email"] == ann["email"]
    assert ann["id"] not in {p["id"] for p in tenant.admin.get(PEOPLE).json()["people"]}
    assert tenant.admin.call("DELETE", path).status_code == 404
    assert 'type="password"' not in requests.get(str(ann["link"]), timeout=30).text


def test_only_admin_keys_manage_people(tenant: Tenant) -> None:
    for client in (tenant.public, tenant.secret):
        assert client.get(PEOPLE).status_code == 403
        assert client.post(PEOPLE, {"email": "c@shop.example"}).status_code == 403
