"""The browser's clients in headless Chromium, on a page of another origin, against the real server."""

from tests.e2e.runtimes import Pages
from tests.protocols.starting import act, settle, start
from tests.serving import Tenant
from tests.shop import a_a, experiment

IMPORTS = """<script type="importmap">{"imports": {
  "@openfeature/core": "/node_modules/@openfeature/core/dist/esm/index.js",
  "@openfeature/web-sdk": "/node_modules/@openfeature/web-sdk/dist/esm/index.js",
  "@openfeature/ofrep-core":
    "/node_modules/@openfeature/ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js",
  "@openfeature/ofrep-web-provider": "/node_modules/@openfeature/ofrep-web-provider/index.esm.js",
  "@growthbook/growthbook": "/node_modules/@growthbook/growthbook/dist/bundles/esm.js"
}}</script>"""


def page(tenant: Tenant, program: str) -> str:
    """A page that runs a module; URL and KEY are the server's."""
    names = f"const URL_ = {tenant.public.url!r}, KEY = {tenant.public.key!r};"
    failed = "window.result = {failed: String(error && error.stack || error)};"
    return (
        f"<!doctype html><meta charset=utf-8><title>Shop</title>{IMPORTS}"
        f"<script type=module>{names} try {{ {program} }} catch (error) {{ {failed} }}</script>"
    )


WEB_PROVIDER = """
  const { OpenFeature, ProviderEvents } = await import("@openfeature/web-sdk");
  const { OFREPWebProvider } = await import("@openfeature/ofrep-web-provider");
  const headers = [["Authorization", `Bearer ${KEY}`]];
  const provider = new OFREPWebProvider({ baseUrl: URL_, headers, pollInterval: 0 });
  const fresh = () => new Promise((done) => setTimeout(() => done(read()), 700)); // it answers from its cache first
  const read = () => {
    const { value, variant, reason } = OpenFeature.getClient().getObjectDetails("cart", { type: "fallback" });
    return { type: value.type, variant, reason };
  };
  await OpenFeature.setContext({ targetingKey: "v1", product_id: "A1", country: "DE" });
  await OpenFeature.setProviderAndWait(provider);
  const first = read();
  await OpenFeature.setContext({ targetingKey: "v1", product_id: "A1", country: "FR" });
  const moved = await fresh();
  await OpenFeature.setContext({ targetingKey: "v1", product_id: "A1", country: "DE" });
  const back = await fresh();
  const changed = new Promise((done) =>
    OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, () => done(read())));
  await new Promise((done) => setTimeout(done, 1000)); // the stream opens
  const asked = performance.now();
  await fetch("/pause");
  const after = await changed;
  window.result = { first, moved, back, after, seconds: (performance.now() - asked) / 1000 };
"""


def test_openfeatures_web_provider_caches_follows_the_context_and_hears_of_changes(
    tenant: Tenant, pages: Pages
) -> None:
    start(tenant, experiment(targeting={"country": "DE"}))
    body = {"visitor_id": "v1", "placement": "cart", "context": {"product_id": "A1"}, "attributes": {"country": "DE"}}
    served = tenant.secret.post("/v1/assignments", body | {"record": False}).json()
    pages.signals["/pause"] = lambda: act(tenant, "offers", "pause")
    found = pages.open("/web", page(tenant, WEB_PROVIDER))
    assert found.get("failed") is None, found
    mine = {"type": served["offer"]["type"], "variant": served["variant"], "reason": "SPLIT"}
    nothing = {"type": "none", "variant": "none", "reason": "DISABLED"}
    assert (found["first"], found["moved"], found["back"]) == (mine, nothing, mine)
    assert found["after"] == nothing
    assert found["seconds"] < 10  # two are promised; the machine may be busy


GROWTHBOOK = """
  const { GrowthBook } = await import("@growthbook/growthbook");
  const viewed = [];
  const sdk = new GrowthBook({ apiHost: URL_, clientKey: KEY, attributes: { id: "v0" },
    trackingCallback: (experiment, result) => viewed.push([experiment.key, result.key]) });
  const loaded = await sdk.init({ timeout: 5000, streaming: true });
  const variants = [];
  for (let i = 0; i < 300; i++) {
    await sdk.setAttributes({ id: `v${i}` });
    variants.push(sdk.evalFeature("cart").experimentResult.key);
  }
  const changed = new Promise((done) => sdk.setRenderer(() => done(sdk.evalFeature("cart").source)));
  await new Promise((done) => setTimeout(done, 1000)); // the stream opens
  const asked = performance.now();
  await fetch("/pause");
  const source = await changed;
  window.result = { loaded: loaded.source, variants, viewed: viewed.length, source,
    seconds: (performance.now() - asked) / 1000 };
"""


def test_growthbook_in_the_page_agrees_with_the_server_and_hears_of_changes(tenant: Tenant, pages: Pages) -> None:
    start(tenant, experiment())
    served = []
    for i in range(300):
        body = {"visitor_id": f"v{i}", "placement": "cart", "context": {"product_id": "A1"}, "record": False}
        served.append(tenant.secret.post("/v1/assignments", body).json()["variant"])
    pages.signals["/pause"] = lambda: act(tenant, "offers", "pause")
    found = pages.open("/growthbook", page(tenant, GROWTHBOOK))
    assert found.get("failed") is None, found
    assert (found["loaded"], found["variants"], found["viewed"]) == ("network", served, 300)
    assert found["source"] == "defaultValue"
    assert found["seconds"] < 10


EMBED = """<!doctype html><meta charset=utf-8><title>Shop</title>
<script async data-api-host="{url}" data-client-key="{key}" data-tracking="growthbook"
  data-event-ingestor-host="{url}" src="/node_modules/@growthbook/growthbook/dist/bundles/auto.min.js"></script>
<script>
  const ready = setInterval(() => {{
    if (!window._growthbook?.ready) return;
    clearInterval(ready);
    const found = window._growthbook.evalFeature("cart");
    const visitor = window._growthbook.getAttributes().id;
    setTimeout(() => {{ window.result = {{ visitor, variant: found.experimentResult?.key }}; }}, 1500);
  }}, 50);
</script>"""


def test_two_tags_of_growthbooks_own_embed_assign_and_record(tenant: Tenant, pages: Pages) -> None:
    start(tenant, a_a())
    found = pages.open("/embed", EMBED.format(url=tenant.public.url, key=tenant.public.key))
    assert found["variant"] in {"control", "t1"}
    seen = {"visitor_id": found["visitor"], "experiment": "same", "variant": found["variant"], "kind": "viewed"}
    settle(lambda: tenant.secret.post("/v1/exposures", seen).json()["duplicate"] == 1)
