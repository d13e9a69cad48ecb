// Offerlab without a build step: asks for each placement's offer, shows it, reports what happened.
//   <script async src=".../snippet.js" data-key="pk_..." data-consent="mayMeasure"></script>
//   <div data-offerlab="cart" data-product="A1" style="height: 12rem"></div>
// Whatever goes wrong stays here: the page is as it was.
(() => {
  "use strict";
  const script = document.currentScript;
  const set = script.dataset;
  const wait = set.timeout || 800; // milliseconds, then all stays as it was
  const quietly = (work) => (...given) => Promise.resolve().then(() => work(...given)).catch(() => {});
  const parse = (json) => (json ? JSON.parse(json) : undefined);
  const address = (path) => new URL(`${path}?key=${set.key}`, script.src).href;
  const hex = (n) => n.toString(16).padStart(2, "0");
  const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");

  const allowed = async () => (set.consent ? window[set.consent]() : !navigator.globalPrivacyControl);

  const visitor = () => {
    const name = set.cookie || "exp_vid";
    const id = document.cookie.match(`(?:^|; )${name}=([\\w.-]{1,128})(?:;|$)`)?.[1] || newId();
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${id}; Path=/; Max-Age=15552000; SameSite=Lax${secure}`;
    return { visitor_id: id, customer_id: set.customer };
  };

  // Text needs no preflight, and a beacon outlives the page.
  const report = (path, event) => {
    navigator.sendBeacon(address(path), JSON.stringify({ ...visitor(), occurred_at: new Date(), ...event }));
  };

  const ask = async ({ dataset: { offerlab: placement, product, cart } }) => {
    const context = { product_id: product, cart: parse(cart || set.cart), currency: set.currency };
    const attributes = { consent: !!set.consent, ...parse(set.attributes) };
    const body = JSON.stringify({ ...visitor(), placement, attributes, context });
    const answer = await fetch(address("v1/assignments"), { method: "POST", body, signal: AbortSignal.timeout(wait) });
    return answer.ok ? answer.json() : null;
  };

  const make = (name, ...inside) => {
    const made = document.createElement(name);
    made.append(...inside);
    return made;
  };

  const draw = (offer) => {
    const style = { style: "currency", currency: offer.currency };
    const money = (amount) => new Intl.NumberFormat(document.documentElement.lang || [], style).format(amount);
    const items = offer.products.map(({ title, url, price }) => {
      const name = make(url ? "a" : "span", title);
      if (url) name.href = url;
      return make("li", name, ` ${money(price)}`);
    });
    const price = make("p", make("strong", money(offer.price)));
    const saving = ` ${set.save || "You save"} ${money(offer.saving)}`;
    if (offer.saving > 0) price.append(" ", make("s", money(offer.regular_price)), saving);
    const accept = make("button", offer.call_to_action || set.accept || "Add to cart");
    const dismiss = make("button", set.dismiss || "No, thanks");
    accept.type = dismiss.type = "button";
    const box = make("section", make("ul", ...items), price, accept, " ", dismiss);
    if (offer.body) box.prepend(make("p", offer.body));
    if (offer.headline) box.prepend(make("h2", offer.headline));
    box.className = "offerlab-offer";
    box.ariaLabel = offer.headline || offer.products[0].title;
    return { box, accept, dismiss };
  };

  // Into the space that the page keeps free, else over its lower edge: neither moves anything.
  const show = (place, box) => {
    if (place.offsetHeight) {
      Object.assign(place.style, { height: `${place.offsetHeight}px`, boxSizing: "border-box", overflow: "auto" });
      return place.replaceChildren(box);
    }
    box.style = "position:fixed; inset:auto 0 0; max-height:50vh; overflow:auto; padding:1rem; background:Canvas";
    document.body.append(box);
  };

  const fill = quietly(async (place) => {
    const answer = await ask(place);
    if (!answer) return;
    const { offer, placement } = answer;
    const met = { experiment: answer.experiment || undefined, variant: answer.variant || undefined };
    let seen = place; // nothing is viewed where an offer would have been
    if (offer.type !== "none") {
      const { box, accept, dismiss } = draw(offer);
      const before = [...place.childNodes];
      const on = (button, type) => (button.onclick = quietly(() => {
        report("v1/conversions", { type, event_id: newId(), placement, offer_id: offer.offer_id, ...met });
        box.remove();
        if (place.offsetHeight) place.replaceChildren(...before);
        const told = new CustomEvent(type, { bubbles: true, cancelable: true, detail: answer });
        const next = button === accept && offer.products[0].url;
        if (place.dispatchEvent(told) && next) location.assign(next);
      }));
      on(accept, "offer_accepted");
      on(dismiss, "offer_dismissed");
      show(place, box);
      seen = box;
    }
    if (!answer.in_experiment) return;
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((e) => e.isIntersecting)) return;
      watcher.disconnect();
      report("v1/exposures", { ...met, kind: "viewed" });
    }, { threshold: 0.5 });
    watcher.observe(seen);
  });

  const convert = quietly(async (event) => (await allowed()) && report("v1/conversions", event));

  const start = quietly(async () => {
    if (!(await allowed())) return;
    for (const place of document.querySelectorAll("[data-offerlab]:not([data-asked])")) {
      place.dataset.asked = "";
      fill(place);
    }
    const orders = document.querySelectorAll("script[data-offerlab-order]");
    for (const order of orders) convert({ type: "order", ...parse(order.textContent) });
  });

  // start() again after consent, or for new placements
  window.offerlab = { start, convert };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
