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

  // The proofs of the prices that were shown: who comes again today sees the same ones.
  const proofs = () => {
    try {
      return JSON.parse(localStorage.offerlab_prices);
    } catch {
      return [];
    }
  };
  const keep = (...some) => {
    try {
      const all = new Set([...some, ...proofs()].filter(Boolean));
      localStorage.offerlab_prices = JSON.stringify([...all].slice(0, 12));
    } catch {} // a browser that keeps nothing
  };

  const ask = async (place) => {
    const { offerlab: placement, product } = place.dataset;
    const context = { product_id: product, cart: cartOf(place), currency: set.currency };
    const attributes = { consent: !!set.consent, ...parse(set.attributes) };
    const body = JSON.stringify({ ...visitor(), placement, attributes, context, price_tokens: proofs() });
    const answer = await fetch(address("v1/assignments"), { method: "POST", body, signal: AbortSignal.timeout(wait) });
    return answer.ok ? answer.json() : null;
  };

  const cartOf = ({ dataset: { cart } }) => parse(cart || set.cart) || [];

  const make = (name, part, ...inside) => {
    const made = document.createElement(name);
    if (part) made.className = `offerlab-${part}`;
    made.append(...inside);
    return made;
  };

  // "{}" in a sentence of the shop's stands for the amount, the time, the number.
  const say = (sentence, ...values) => sentence.replace(/\{\}/g, () => values.shift());

  // What is left to free shipping once this is accepted, where the cart's prices are known.
  const shipping = (offer, cart, money) => {
    const over = offer.free_shipping_over;
    if (over === undefined) return [];
    const rest = cart.filter((line) => offer.type !== "upsell" || line.product_id !== offer.base_product_id);
    const sum = rest.reduce((all, line) => all + line.price * (line.quantity || 1), +offer.price);
    if (Number.isNaN(sum)) return [say(set.shipping || "Free shipping from {}", money(over))];
    const left = Math.round((over - sum) * 100) / 100;
    const more = set.missing || "With it, {} is left to free shipping";
    const sentence = left > 0 ? say(more, money(left)) : set.free || "With it, shipping is free";
    return [sentence, Object.assign(make("progress"), { max: over, value: Math.min(sum, over), ariaLabel: sentence })];
  };

  const reasons = (offer, cart, lang, money) => {
    const found = [];
    const { valid_until: until, instalments: parts, social_proof: proof } = offer;
    const style = { dateStyle: "medium", timeStyle: "short" };
    const time = () => new Intl.DateTimeFormat(lang, style).format(new Date(until));
    if (until) found.push([say(set.until || "Only until {}", time())]);
    if (parts) found.push([parts.text || say(set.parts || "or {} payments of {}", parts.count, money(parts.amount))]);
    const most = proof?.reduce((one, other) => (other.orders > one.orders ? other : one));
    if (most) found.push([say(set.proof || "In {} orders of the last {} days", most.orders, most.days)]);
    const left = shipping(offer, cart, money);
    if (left.length) found.push(left);
    return found.map((inside) => make("li", "", ...inside));
  };

  const draw = (offer, cart) => {
    const lang = document.documentElement.lang || [];
    const style = { style: "currency", currency: offer.currency };
    const money = (amount) => new Intl.NumberFormat(lang, style).format(amount);
    const list = ({ products }) => products.map(({ title, url, image, price }) => {
      const name = make(url ? "a" : "span", "title", title);
      if (url) name.href = url;
      const picture = image ? [Object.assign(new Image(64, 64), { src: image, alt: "" })] : [];
      return make("li", "product", ...picture, name, " ", make("span", "each", money(price)));
    });
    const cost = ({ price, regular_price, saving }) => {
      const told = [make("strong", "", money(price))];
      const saved = ` ${set.save || "You save"} ${money(saving)}`;
      if (saving > 0) told.push(" ", make("s", "", money(regular_price)), make("span", "saving", saved));
      return told;
    };
    const shown = {};
    const fill = (choice) => {
      shown.offer = choice;
      products.replaceChildren(...list(choice));
      price.replaceChildren(...cost(choice));
      why.replaceChildren(...reasons(choice, cart, lang, money));
      why.hidden = !why.firstChild;
    };
    const [products, price, why] = [make("ul", "products"), make("p", "price"), make("ul", "reasons")];
    fill(offer);
    const tiers = (offer.tiers || []).map((tier, i) => {
      const radio = Object.assign(make("input"), { type: "radio", name: offer.offer_id, checked: !i });
      radio.onchange = () => fill({ ...offer, ...tier });
      return make("label", "tier", radio, " ", tier.name || tier.products.map((p) => p.title).join(" + "));
    });
    const choices = make("fieldset", "tiers", ...tiers);
    choices.ariaLabel = offer.headline || "";
    const accept = make("button", "accept", offer.call_to_action || set.accept || "Add to cart");
    const dismiss = make("button", "dismiss", set.dismiss || "No, thanks");
    accept.type = dismiss.type = "button";
    const box = make("section", "offer", products, price, why, make("p", "choice", accept, " ", dismiss));
    if (tiers.length) box.prepend(choices);
    if (offer.body) box.prepend(make("p", "body", offer.body));
    if (offer.headline) box.prepend(make("h2", "headline", offer.headline));
    box.ariaLabel = offer.headline || offer.products[0].title;
    return Object.assign(shown, { box, accept, dismiss });
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

  const present = (place, answer, offer, before) => {
    const { placement, price_tokens: proofs = {} } = answer;
    const met = { experiment: answer.experiment || undefined, variant: answer.variant || undefined };
    const drawn = draw(offer, cartOf(place));
    const { box, accept, dismiss } = drawn;
    const close = (next) => {
      if (!box.isConnected) return;
      const held = box.contains(document.activeElement);
      box.remove();
      const following = next && present(place, answer, next, before);
      if (!following && place.offsetHeight) place.replaceChildren(...before);
      if (!held) return;
      const stop = following || place; // the keyboard goes on from here
      stop.tabIndex = -1;
      stop.focus({ preventScroll: true });
    };
    const on = (button, type, next) => (button.onclick = quietly(() => {
      const { offer: chosen } = drawn;
      report("v1/conversions", { type, event_id: newId(), placement, offer_id: chosen.offer_id, ...met });
      close(next);
      const proof = proofs[chosen.offer_id] || answer.price_token;
      const detail = { ...answer, offer: chosen, price_token: proof };
      const told = new CustomEvent(type, { bubbles: true, cancelable: true, detail });
      const page = button === accept && !next && chosen.products[0].url;
      if (place.dispatchEvent(told) && page) location.assign(page);
    }));
    on(accept, "offer_accepted", offer.if_accepted);
    on(dismiss, "offer_dismissed", offer.if_declined);
    show(place, box);
    const left = offer.valid_until ? new Date(offer.valid_until) - Date.now() : Infinity;
    if (left < 2 ** 31) setTimeout(close, left); // the end is an end
    return box;
  };

  const fill = quietly(async (place) => {
    const answer = await ask(place);
    if (!answer) return;
    const met = { experiment: answer.experiment || undefined, variant: answer.variant || undefined };
    let seen = place; // nothing is viewed where an offer would have been
    if (answer.offer.type !== "none") {
      keep(...Object.values(answer.price_tokens || [answer.price_token]));
      seen = present(place, answer, answer.offer, [...place.childNodes]);
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
