"""The snippet as it is served: small, cached, readable from any page, and able to report with a beacon."""

import gzip
import json
import re

import requests

from tests.protocols.starting import start
from tests.serving import Server, Tenant
from tests.shop import a_a, exposed, order

ORIGIN = {"Origin": "https://shop.example"}


def test_it_is_small_and_has_no_dependency(server: Server) -> None:
    answer = requests.get(f"{server.url}/snippet.js", timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert len(gzip.compress(answer.content)) < 4_500
    assert not re.search(r"\bimport\b|\brequire\b|\beval\b|innerHTML", answer.text)


def test_it_is_cached_and_asked_for_conditionally(server: Server) -> None:
    answer = requests.get(f"{server.url}/snippet.js", headers=ORIGIN, timeout=10)
    assert "public, max-age=3600" in answer.headers["Cache-Control"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"  # for an integrity attribute
    again = {"If-None-Match": answer.headers["ETag"]}
    assert requests.get(f"{server.url}/snippet.js", headers=again, timeout=10).status_code == 304


def test_a_version_in_the_address_is_kept_for_a_year(server: Server) -> None:
    newest = requests.get(f"{server.url}/snippet.js", timeout=10)
    version = newest.headers["ETag"].strip('"')
    pinned = requests.get(f"{server.url}/snippet-{version}.js", timeout=10)
    assert pinned.content == newest.content
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert requests.get(f"{server.url}/snippet-0123.js", timeout=10).status_code == 404


def test_a_beacon_carries_its_public_key_in_the_address(tenant: Tenant) -> None:
    start(tenant, a_a())
    text = {"Content-Type": "text/plain;charset=UTF-8"} | ORIGIN

    def beacon(path: str, body: object, key: str = tenant.public.key) -> requests.Response:
        url = f"{tenant.public.url}{path}?key={key}"
        return requests.post(url, data=json.dumps(body), headers=text, timeout=10)

    assert beacon("/v1/exposures", exposed("v1", "t1", experiment="same")).json()["accepted"] == 1
    assert beacon("/v1/conversions", order("o1", "v1", "10.00")).json()["accepted"] == 1
    assert beacon("/v1/assignments", {"visitor_id": "v1", "placement": "cart"}).json()["in_experiment"]
    assert beacon("/v1/conversions", order("o2", "v1", "10.00"), "pk_wrong").status_code == 401
    assert beacon("/v1/conversions", order("o2", "v1", "10.00"), tenant.secret.key).status_code == 403
    server_side = {"Content-Type": "application/json"}  # no browser either: a secret key never stands in an address
    url = f"{tenant.public.url}/v1/conversions?key={tenant.secret.key}"
    assert requests.post(url, data=b"[]", headers=server_side, timeout=10).status_code == 403


def test_a_page_may_ask_with_headers_too(tenant: Tenant) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for path in ("/v1/assignments", "/v1/exposures", "/v1/conversions", "/v1/identities"):
        preflight = requests.options(tenant.public.url + path, headers=ORIGIN | asked, timeout=10)
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
        assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
