"""The pages' programs of the documentation, as they stand there."""

from tests.e2e.runtimes import Pages
from tests.e2e.test_browser import IMPORTS
from tests.protocols.pages import programs
from tests.protocols.starting import settle, start
from tests.serving import Tenant
from tests.shop import a_a, experiment

SETTINGS = """<script>
  const said = [];
  console.log = (...words) => said.push(words.join(" "));
  const wait = setInterval(() => {
    if (said.length) { clearInterval(wait); setTimeout(() => (window.result = said), 500); }
  }, 20);
</script>"""


def test_openfeature_web(tenant: Tenant, pages: Pages) -> None:
    start(tenant, experiment())
    given = f"<script>window.offerlabSettings = {{url: {tenant.public.url!r}, key: {tenant.public.key!r}}};</script>"
    module = f"<script type=module>{programs('integrate.md')['openfeature_web.mjs']}</script>"
    said = pages.open("/documented", f"<!doctype html><meta charset=utf-8>{IMPORTS}{SETTINGS}{given}{module}")
    body = {"visitor_id": "visitor-42", "placement": "cart", "context": {"product_id": "A1"}, "record": False}
    served = tenant.secret.post("/v1/assignments", body).json()
    assert said == [f"{served['variant']} SPLIT {served['offer']['type']}"]
    seen = {"visitor_id": "visitor-42", "experiment": "offers", "variant": served["variant"], "kind": "viewed"}
    settle(lambda: tenant.secret.post("/v1/exposures", seen).json()["duplicate"] == 1)


def test_the_snippet_works_by_pasting(tenant: Tenant, pages: Pages) -> None:
    start(tenant, a_a())
    pasted = programs("snippet.md")["snippet.html"]
    pasted = pasted.replace("https://offers.shop.example", tenant.public.url).replace("pk_…", tenant.public.key)
    done = "<script>setTimeout(() => (window.result = document.cookie), 3000)</script>"
    visitor = pages.open("/pasted", f"<!doctype html><meta charset=utf-8>{pasted}{done}").removeprefix("exp_vid=")
    answer = tenant.secret.post("/v1/assignments", {"visitor_id": visitor, "placement": "cart", "record": False}).json()
    seen = {"visitor_id": visitor, "experiment": "same", "variant": answer["variant"], "kind": "viewed"}
    settle(lambda: tenant.secret.post("/v1/exposures", seen).json()["duplicate"] == 1)
