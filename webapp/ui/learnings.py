"""The library of learnings: decided experiments of all storefronts, searched, and what they come to by kind."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from analysis.learnings import Summary, Win
from experiments.errors import Invalid
from experiments.shape import convert
from experiments.storage.database import reading
from experiments.storage.learnings import Learning, read_learnings
from webapp.lab import the_lab
from webapp.learned import DEPTHS, Search, library
from webapp.ui.form_errors import place
from webapp.ui.formats import lift, share
from webapp.ui.person import page
from webapp.ui.words import OFFER_TYPES, TOUCHPOINTS, metric_name

blueprint = Blueprint("learnings", __name__, url_prefix="/s/<storefront>/learnings")

PAGE = 50
"""Experiments on one page of the list."""
DEPTH_NAMES = {
    "none": _("No discount"), "up_to_10": _("Up to a tenth off"), "up_to_20": _("Up to a fifth off"),
    "over_20": _("More than a fifth off"),
}  # fmt: skip
OUTCOMES = {"ship": (_("Shipped"), "success"), "do_not_ship": (_("Not shipped"), "secondary")}


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """What is searched for, found, and learned."""
    asked = {name: value.strip() for name, value in request.args.items() if name in Search.__struct_fields__}
    typed = {name: value for name, value in asked.items() if value}
    errors: dict[str, list[str]] = {}
    try:
        search = convert(typed, Search)
    except Invalid as refusal:
        errors, search = place(refusal.errors, {}), Search()
    with reading(the_lab().engine) as conn:
        learnings = read_learnings(conn)
    found = library(learnings, search)
    last = max(1, -(-len(found.entries) // PAGE))
    number = min(max(request.args.get("page", 1, type=int), 1), last)
    return render_template(
        "learnings.html", found=found, entries=found.entries[(number - 1) * PAGE : number * PAGE], form=typed,
        errors=errors, page=number, last=last, choices=_choices(learnings), depths=DEPTH_NAMES, outcomes=OUTCOMES,
        query=typed,
    ), 422 if errors else 200  # fmt: skip


def _choices(learnings: Iterable[Learning]) -> Mapping[str, list[tuple[str, Any]]]:
    """What there is to choose from: only what would find something."""
    offers, places, categories, storefronts = set[str](), set[str](), set[str](), dict[str, str]()
    for learning in learnings:
        offers |= {e["offer"] for e in learning.gist["effects"]}
        places |= {learning.gist["touchpoint"]} - {None}
        categories |= set(learning.gist["categories"])
        storefronts[learning.storefront] = learning.storefront_name
    return {
        "offer": [(key, words[0]) for key, words in OFFER_TYPES.items() if key in offers],
        "touchpoint": [(key, words) for key, words in TOUCHPOINTS.items() if key in places],
        "category": [(key, key) for key in sorted(categories)],
        "storefront": sorted(storefronts.items(), key=lambda pair: pair[1]),
        "depth": [(key, DEPTH_NAMES[key]) for key in DEPTHS],
        "outcome": [(key, words[0]) for key, words in OUTCOMES.items()],
    }


def said(summary: Summary) -> str:
    """What a kind of experiments found, as a hint to who plans the next one."""
    what = OFFER_TYPES[summary.offer][0] if summary.offer in OFFER_TYPES else gettext("Offers")
    if summary.pooled is None or summary.low is None or summary.high is None:
        return str(gettext("%(offer)s: fewer than three decided experiments, too few to expect anything.", offer=what))
    facts = {
        "offer": what, "metric": str(metric_name(summary.metric)).lower(), "tests": summary.tests,
        "low": lift(summary.low), "high": lift(summary.high), "mean": lift(summary.pooled.mean),
    }  # fmt: skip
    sentence = gettext(
        "%(offer)s: in %(tests)s experiments %(metric)s changed by %(mean)s on average; four in five new ones are "
        "expected between %(low)s and %(high)s.", **facts
    )  # fmt: skip
    return str(sentence)


def prior_said(summary: Summary) -> str:
    """The same as a prior on the lift, for who states one."""
    prior = summary.prior
    if prior is None:
        return ""
    mean, spread = lift(prior.mean), f"{prior.standard_deviation * 100:.1f}"
    sentence = gettext(
        "As a prior on the lift: normal, mean %(mean)s, standard deviation %(spread)s points. It is a hint: no report "
        "is read by it.", mean=mean, spread=spread,
    )  # fmt: skip
    return str(sentence)


def win_said(win: Win) -> str:
    """What is to be expected of a test of this size where it wins, for who plans it."""
    sentence = gettext(
        "By these, a test of this size wins with a chance of %(chance)s. Where it wins it will show %(shown)s on "
        "average, and %(true)s is true: what wins looks larger than it is (the winner's curse).",
        chance=share(win.chance), shown=lift(win.shown), true=lift(win.true),
    )  # fmt: skip
    return str(sentence)
