// Offerlab in a page without a build step: asks which offer each placement gets, shows it, reports what happened.
// <script async src=".../snippet.js" data-key="pk_..." data-consent="mayMeasure"></script>
// <div data-offerlab="cart" data-product="A1" style="height: 12rem"></div>
// Whatever goes wrong here stays here: the page is then as it was.
(() => {
  "use strict";
  const script = document.currentScript;
  const set = script.dataset;
  const wait = Number(set.timeout) || 800; // milliseconds after which a placement stays as it was
  const cookie = set.cookie || "exp_vid";
  const word = { accept: set.wordAccept || "Add to cart", dismiss: set.wordDismiss || "No, thanks", save: set.wordSave || "You save" };
  const quietly = (work) => (...given) => Promise.resolve().then(() => work(...given)).catch(() => {});
  const parse = (json) => (json ? JSON.parse(json) : undefined);
  const address = (path) => new URL(`${path}?key=${encodeURIComponent(set.key)}`, script.src).href;
  const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");

  const allowed = async () => (set.consent ? Boolean(await window[set.consent]()) : !navigator.globalPrivacyControl);

  const visitor = () => {
    const known = document.cookie.match(`(?:^|; )${cookie}=([\\w.-]{1,128})(?:;|$)`);
    const id = known ? known[1] : newId();
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${cookie}=${id}; Path=/; Max-Age=15552000; SameSite=Lax${secure}`;
    return id;
  };

  // As text, a beacon needs no preflight and outlives the page.
  const report = (path, event) => {
    const body = JSON.stringify({ visitor_id: visitor(), customer_id: set.customer, occurred_at: new Date().toISOString(), ...event });
    if (!navigator.sendBeacon(address(path), body)) fetch(address(path), { method: "POST", body, keepalive: true }).catch(() => {});
  };
  const convert = (event) => report("v1/conversions", event);

  const ask = async (place) => {
    const context = { product_id: place.dataset.product, cart: parse(place.dataset.cart || set.cart), currency: set.currency };
    const asked = { visitor_id: visitor(), customer_id: set.customer, placement: place.dataset.offerlab, attributes: parse(set.attributes), context };
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), wait);
    try {
      const answer = await fetch(address("v1/assignments"), { method: "POST", body: JSON.stringify(asked), signal: stop.signal });
      return answer.ok ? await answer.json() : null;
    } finally {
      clearTimeout(timer);
    }
  };

  const make = (name, text, ...inside) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    made.append(...inside);
    return made;
  };

  const draw = (offer) => {
    const money = (amount) => new Intl.NumberFormat(document.documentElement.lang || undefined, { style: "currency", currency: offer.currency }).format(amount);
    const products = offer.products.map((product) => {
      const title = make(product.url ? "a" : "span", product.title);
      if (product.url) title.href = product.url;
      return make("li", "", title, ` ${money(product.price)}`);
    });
    const price = make("p", "", make("strong", money(offer.price)));
    if (Number(offer.saving) > 0) price.append(" ", make("s", money(offer.regular_price)), ` ${word.save} ${money(offer.saving)}`);
    const accept = make("button", offer.call_to_action || word.accept);
    const dismiss = make("button", word.dismiss);
    accept.type = dismiss.type = "button";
    const box = make("section", "", make("ul", "", ...products), price, accept, " ", dismiss);
    if (offer.body) box.prepend(make("p", offer.body));
    if (offer.headline) box.prepend(make("h2", offer.headline));
    box.className = "offerlab-offer";
    box.setAttribute("aria-label", offer.headline || offer.products.map((product) => product.title).join(", "));
    return { box, accept, dismiss };
  };

  // Into the space that the page keeps free; where it keeps none, over the page's lower edge. Neither moves anything.
  const show = (place, box) => {
    if (place.offsetHeight) {
      Object.assign(place.style, { height: `${place.offsetHeight}px`, boxSizing: "border-box", overflow: "auto", contain: "strict" });
      place.replaceChildren(box);
    } else {
      const over = { position: "fixed", bottom: "0", left: "0", right: "0", maxHeight: "50vh", overflow: "auto", zIndex: "9999" };
      Object.assign(box.style, over, { padding: "1rem", background: "Canvas", color: "CanvasText", borderTop: "1px solid" });
      document.body.append(box);
    }
  };

  const fillOne = quietly(async (place) => {
    const answer = await ask(place);
    if (!answer) return;
    const met = { experiment: answer.experiment || undefined, variant: answer.variant || undefined };
    let seen = place; // a variant that shows nothing is viewed where the offer would have been
    if (answer.offer.type !== "none") {
      const { box, accept, dismiss } = draw(answer.offer);
      const before = [...place.childNodes];
      const act = (type) => quietly(() => {
        convert({ type, event_id: newId(), placement: answer.placement, offer_id: answer.offer.offer_id, ...met });
        const detail = { ...answer, element: place };
        const goOn = place.dispatchEvent(new CustomEvent(type.replace("_", "-"), { bubbles: true, cancelable: true, detail }));
        box.remove();
        if (type === "offer_dismissed") place.replaceChildren(...before);
        else if (goOn && answer.offer.products[0].url) location.assign(answer.offer.products[0].url);
      });
      accept.addEventListener("click", act("offer_accepted"));
      dismiss.addEventListener("click", act("offer_dismissed"));
      show(place, box);
      if (!place.contains(box)) seen = box;
    }
    if (!answer.in_experiment) return;
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      report("v1/exposures", { ...met, kind: "viewed" });
    }, { threshold: 0.5 });
    watcher.observe(seen);
  });

  const start = quietly(async () => {
    if (!(await allowed())) return;
    for (const place of document.querySelectorAll("[data-offerlab]:not([data-offerlab-asked])")) {
      place.dataset.offerlabAsked = "";
      fillOne(place);
    }
    for (const order of document.querySelectorAll("script[data-offerlab-order]")) convert({ type: "order", ...parse(order.textContent) });
  });

  // start() again after consent was given, or after placements were added to the page
  window.offerlab = { start, convert: quietly(async (event) => (await allowed()) && convert(event)) };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
