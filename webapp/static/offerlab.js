// What the pages do more smoothly with a script; everything works without it.
// The server keeps all the rules: a step on the define page is the same POST, of which only the changed parts are shown.

"use strict";

// One after the other: each request carries the draft's number and version that the one before brought.
let turn = Promise.resolve();
const ask = (form, step) => {
  const answered = turn.then(async () => {
    const fields = new URLSearchParams(new FormData(form));
    fields.set("do", step);
    const answer = await fetch(form.action, { method: "POST", body: fields });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    swap(fresh, "marks");
    return fresh;
  });
  turn = answered.catch(() => {});
  return answered;
};

const swap = (fresh, id) => {
  const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
  if (old && next) old.replaceWith(next);
  return Boolean(next);
};

// Of several previews under way only the last one counts, and none that was asked for before a step.
let asked = 0;

const takeStep = async (form, button) => {
  const [part, focus] = [button.dataset.swap, button.dataset.focus];
  asked++;
  const holder = document.getElementById(part);
  holder.inert = true; // what would be typed meanwhile would be lost with the part that is replaced
  holder.classList.add("busy");
  const opened = [...form.querySelectorAll("details[open]")].map((d) => d.id);
  try {
    const fresh = await ask(form, button.value);
    if (!swap(fresh, part)) throw new Error("this is not the define page");
    swap(fresh, "aside");
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    const targets = form.querySelectorAll(focus);
    targets[targets.length - 1]?.focus();
    form.dispatchEvent(new Event("change")); // the changed rows are kept too
  } catch {
    holder.inert = false;
    holder.classList.remove("busy");
    document.getElementById("trouble").hidden = false;
  }
};

const define = document.getElementById("define");
if (define) {
  define.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-swap]");
    if (!button) return;
    event.preventDefault();
    takeStep(define, button);
  });

  let waiting = 0;
  // What was typed is kept as a draft, and the panel beside the form shows what it means.
  const keep = () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const mine = ++asked;
      try {
        const opened = [...define.querySelectorAll("#aside details[open]")].map((d) => d.id);
        const fresh = await ask(define, "keep");
        if (mine !== asked) return;
        if (define.dataset.keeps !== "no") dirty = false;
        for (const part of ["aside", "audience", "overlaps", "rule-said"]) swap(fresh, part);
        for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
        const address = document.getElementById("aside").dataset.draft;
        if (address) history.replaceState(null, "", address);
      } catch { /* nothing was kept: leaving the page asks first */ }
    }, 700);
  };
  define.addEventListener("change", keep);
  define.addEventListener("input", (event) => {
    if (event.target.matches("[list=products]")) suggest(event.target);
    dirty = true;
    keep();
  });

  let dirty = false;
  define.addEventListener("submit", () => { dirty = false; });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  // A large catalogue is searched; a small one is on the page already.
  const products = document.getElementById("products");
  let looking = 0;
  const suggest = (input) => {
    if (!products?.dataset.search || input.value.length < 2) return;
    clearTimeout(looking);
    looking = setTimeout(async () => {
      const answer = await fetch(`${products.dataset.search}?q=${encodeURIComponent(input.value)}`);
      if (answer.ok) products.innerHTML = await answer.text();
    }, 200);
  };
}

// The effects in the list come one after the other, so that the list itself is there at once.
(async () => {
  for (const cell of document.querySelectorAll("[data-fetch]")) {
    try {
      const answer = await fetch(cell.dataset.fetch);
      if (answer.ok && !answer.redirected) cell.innerHTML = await answer.text();
    } catch { /* the link to the report stays */ }
  }
})();

// Menus close by Escape and by a click elsewhere.
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(".menu[open]")) {
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
  }
});
addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.removeAttribute("open");
});
