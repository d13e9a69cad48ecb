// The shop's own script: the visitor's choice, and accepted offers on their way into the cart.
(() => {
  "use strict";
  window.mayMeasure = () => /(?:^|; )shop_consent=yes(?:;|$)/.test(document.cookie);
  window.offerlab?.start(); // where the snippet came first, it found nobody to ask

  const banner = document.getElementById("consent");
  banner?.addEventListener("submit", (event) => {
    event.preventDefault();
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `shop_consent=${event.submitter.value}; Path=/shop; Max-Age=2592000; SameSite=Lax${secure}`;
    banner.remove();
    document.body.classList.remove("asked");
    document.getElementById("main").focus({ preventScroll: true });
    window.offerlab?.start();
  });

  const told = document.getElementById("told");
  let following = null; // where to go once the last step is answered
  const refresh = async (address) => {
    const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
    for (const old of document.querySelectorAll("[data-fresh]")) old.replaceWith(page.getElementById(old.id));
  };
  document.addEventListener("offer_accepted", async (event) => {
    event.preventDefault(); // the offer goes into the cart, not the visitor to its page
    const { offer, placement, price_token } = event.detail;
    const { offer_id, type, base_product_id } = offer;
    const to = placement === "post_purchase" ? "/shop/offers/order" : "/shop/offers/basket";
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ offer_id, type, base_product_id, placement, price_token });
    try {
      const answer = await fetch(to, { method: "POST", headers, body, signal: AbortSignal.timeout(5000) });
      const { next, message } = await answer.json();
      if (next && offer.if_accepted) {
        [following, told.textContent] = [next, told.dataset.added];
        await refresh(next);
      } else if (next) location.assign(next);
      else told.textContent = message || told.dataset.failed;
    } catch {
      told.textContent = told.dataset.failed;
    }
  });
  document.addEventListener("offer_dismissed", ({ detail: { offer } }) => {
    if (following && !offer.if_declined) location.assign(following);
  });
})();
