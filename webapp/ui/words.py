"""The words of the pages: one plain sentence for each state, action, metric, offer type, check and verdict."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

from experiments.lifecycle import State
from webapp.ui.form_errors import label
from webapp.ui.targeting_rows import OPERATORS, VALUELESS
from webapp.ui.told import told


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state: its name, its colour's role, and what it means for visitors and for measuring."""

    label: str
    tone: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ActionWords:
    """An action: its button, what it does in a sentence, what visitors see after it, and who is then analysed."""

    button: str
    does: str
    visitors: str
    analysed: str
    tone: str = "secondary"
    undo: str = ""


STATES: Mapping[State, StateWords] = {
    "draft": StateWords(_("Draft"), "secondary", _("Nobody sees it, and nothing is measured. Edit it freely.")),
    "scheduled": StateWords(
        _("Scheduled"), "info", _("It starts by itself at the time set. Until then nobody sees it.")
    ),
    "running": StateWords(_("Running"), "success", _("New visitors enter, keep their variant, and are measured.")),
    "closed": StateWords(
        _("Closed to new visitors"),
        "primary",
        _("Those inside keep their variant and are measured; nobody new enters."),
    ),
    "paused": StateWords(_("Paused"), "warning", _("Everyone sees no offer. Those inside are still measured.")),
    "stopped": StateWords(
        _("Stopped"), "dark", _("Everyone sees no offer. What happened until the stop is the result.")
    ),
    "decided": StateWords(_("Decided"), "primary", _("The case is closed, with its decision and the reason.")),
    "archived": StateWords(_("Archived"), "secondary", _("Out of the way; its report stays.")),
}

ACTIONS: Mapping[str, ActionWords] = {
    "start": ActionWords(
        _("Start"),
        _("Visitors begin to meet their variants."),
        _("Each eligible visitor gets one variant, and keeps it on every visit."),
        _("Everyone who meets a variant from now on, by the variant met first."),
        "success",
        _("You can pause, close or stop it at any time. Variants, weights and targeting are fixed from here on."),
    ),
    "review": ActionWords(
        _("Review"),
        _("Ask somebody to look at it before it starts, or say what you think of it."),
        _("Nothing."),
        _("Nobody."),
    ),
    "schedule": ActionWords(
        _("Schedule"),
        _("It starts, or ends, by itself at the times you set."),
        _("Nothing changes until then. From the start on each eligible visitor gets one variant, and keeps it."),
        _("Everyone who meets a variant between start and end, by the variant met first."),
        "primary",
        _("You can change the times until they come, or take it off the schedule."),
    ),
    "ramp": ActionWords(
        _("Raise the coverage"),
        _("More of the eligible visitors enter. Nobody who is inside moves to another variant."),
        _("Those inside keep their variant; more new visitors get one."),
        _("Those inside, and everyone who enters from now on, by the variant met first."),
        "primary",
        _("Coverage only grows: less would throw out who is inside. To let nobody new in, close it."),
    ),
    "amend": ActionWords(
        _("Change"),
        _("Change what is safe while it runs; for everything else the safe way is named."),
        _("Nothing changes for visitors."),
        _("The same as before: nothing that decides who is compared, or how, can change."),
        "primary",
    ),
    "unschedule": ActionWords(
        _("Unschedule"),
        _("It goes back to being a draft, and will not start by itself."),
        _("Nothing, as before."),
        _("Nobody."),
        undo=_("Start it again when it is ready."),
    ),
    "close": ActionWords(
        _("Close to new visitors"),
        _("No new visitor enters; those inside stay in."),
        _("Visitors inside keep their variant. New visitors see no offer of this experiment."),
        _("Those who entered until now; what they still do keeps counting."),
        undo=_("You can reopen it."),
    ),
    "reopen": ActionWords(
        _("Reopen"),
        _("New visitors enter again, under the same variants and weights."),
        _("Each eligible visitor gets a variant; those inside keep theirs."),
        _("Those inside, and everyone who enters from now on."),
        "success",
        _("You can close it again."),
    ),
    "pause": ActionWords(
        _("Pause"),
        _("Everyone sees no offer at once. Use it when an offer goes wrong."),
        _("No offer, for everyone, at once."),
        _("Those inside, including what they do during the pause: a long pause waters the effect down."),
        "warning",
        _("Resume brings each visitor's variant back."),
    ),
    "resume": ActionWords(
        _("Resume"),
        _("Visitors meet their variants again."),
        _("Everyone inside sees the variant they had; new visitors enter."),
        _("Those inside, and everyone who enters from now on."),
        "success",
    ),
    "stop": ActionWords(
        _("Stop"),
        _("It ends for good: no offer is shown, and the result is what happened until now."),
        _("No offer, for everyone, from now on."),
        _("Those who entered until now, with what they did within the conversion window."),
        "danger",
        _(
            "A stopped experiment cannot be started again. Duplicate it to repeat it, or close it to only keep new "
            "visitors out."
        ),
    ),
    "decide": ActionWords(
        _("Decide"),
        _("Write down what you conclude: ship a variant to everyone, or none."),
        _("If you ship a variant, everyone in the placement sees its offer. If not, nothing changes."),
        _("The same as before: a decision changes no number."),
        "primary",
    ),
    "archive": ActionWords(
        _("Archive"),
        _("Takes it off the list of what is going on."),
        _("A shipped winner is no longer shown; otherwise nothing changes."),
        _("The same as before; the report stays."),
        undo=_("An archived experiment stays archived. You can duplicate it."),
    ),
    "duplicate": ActionWords(
        _("Duplicate"),
        _("A new draft with everything but the dates; its visitors are split anew."),
        _("Nothing changes for visitors."),
        _("The copy starts with nobody in it."),
    ),
}

METRICS: Mapping[str, tuple[str, str]] = {
    "contribution_per_visitor": (
        _("Contribution per visitor"),
        _("Revenue less cost of goods, shipping and fees. Profit."),
    ),
    "revenue_per_visitor": (_("Revenue per visitor"), _("Order money of everyone who entered, buyers or not.")),
    "conversion": (_("Conversion"), _("Share of visitors who order at least once.")),
    "aov": (_("Average order value"), _("Revenue per order. Looks at buyers only: read it beside conversion.")),
    "orders_per_visitor": (_("Orders per visitor"), _("How many orders a visitor places.")),
    "items_per_order": (_("Items per order"), _("Pieces in an order.")),
    "net_aov": (_("Average order value, net"), _("Revenue less refunds, per order.")),
    "refund_rate": (_("Refund rate"), _("Share of orders refunded. Lower is better.")),
    "offer_acceptance": (_("Offer acceptance"), _("Share of visitors who saw the offer and took it.")),
    "offer_dismissal": (_("Offer dismissal"), _("Share of visitors who saw the offer and closed it. Lower is better.")),
    "repeat_purchase": (_("Repeat purchase"), _("Share of visitors who order at least twice.")),
}

OFFER_TYPES = {
    "none": (_("No offer"), _("Shows nothing. What the others are compared with.")),
    "upsell": (_("Upsell"), _("Leads from a product to a dearer one.")),
    "cross_sell": (_("Cross-sell"), _("Adds products that go with it.")),
    "bundle": (_("Bundle"), _("Several products together, cheaper than apart.")),
}

TOUCHPOINTS = {
    "product_page": _("Product page"),
    "cart": _("Cart"),
    "checkout": _("Checkout"),
    "post_purchase": _("After the purchase"),
}

TRAIL = {
    "create": _("Created"), "edit": _("Edited"), "amend": _("Changed"), "ramp": _("Coverage raised"),
    "start": _("Started"), "schedule": _("Scheduled"), "close": _("Closed"), "reopen": _("Reopened"),
    "pause": _("Paused"), "resume": _("Resumed"), "stop": _("Stopped"), "decide": _("Decided"),
    "archive": _("Archived"), "unschedule": _("Unscheduled"), "begin draft": _("Began changes"),
    "share": _("Report shared"), "unshare": _("Shared link revoked"),
    "discard draft": _("Discarded changes"), "sign in": _("Signed in"),
    "bind": _("Account of a provider bound"), "unbind": _("Binding to a provider's account undone"),
    "request review": _("Review asked for"), "approve": _("Approved"), "ask for changes": _("Changes asked for"),
    "override review": _("Start allowed without a review"),
}  # fmt: skip
"""What happened to an experiment, in the trail's order of words."""

ROLE_NAMES = {"viewer": _("viewer"), "editor": _("editor"), "admin": _("admin")}

REFUSALS = {
    "out_of_stock": _("is out of stock"),
    "already_in_cart": _("is in the cart already"),
    "no_candidate": _("nothing fits here"),
    "not_dearer": _("is no dearer than what it replaces"),
    "not_cheaper_than_parts": _("is no cheaper than its parts"),
    "below_margin": _("is below the margin, or its cost is not known"),
    "wrong_currency": _("is in another currency"),
    "expired": _("is outside its dates"),
    "does_not_stack": _("does not go with another discount"),
    "frequency_cap": _("was shown often enough"),
    "unknown_product": _("is not in the catalogue"),
    "not_cheaper_than_declined": _("is no cheaper than what was declined"),
}

CHECKS = {
    "srm": (_("Split as planned"), _("Visitors divide between the variants as the weights say.")),
    "crossovers": (_("Variants kept"), _("Visitors meet one variant only.")),
}
"""Those that the page shows whatever they say."""

OTHER_CHECKS = {
    "eligibility": (_("Eligible alike"), _("Every variant lets in the same share of who asked.")),
    "missing_revenue": (_("Revenue known"), _("Who ordered without an amount is left out of money.")),
    "variants": (_("Variants of the plan"), ""),
}

METRIC_CHECKS = {
    "skew": _("Skew: %(metric)s"),
    "outliers": _("Outliers: %(metric)s"),
    "pre_exposure": _("Before the experiment: %(metric)s"),
}
"""Checks of one metric or column, which follows in their key."""

STATUSES = {
    "pass": (_("OK"), "success"),
    "warn": (_("Look"), "warning"),
    "fail": (_("Failed"), "danger"),
    "unknown": (_("Too early"), "secondary"),
}

DECISIONS = {
    "ship": (_("Ship"), "success"),
    "do_not_ship": (_("Do not ship"), "danger"),
    "keep_running": (_("Keep running"), "info"),
    "fix_first": (_("Fix first"), "warning"),
}


MOVEMENTS = {
    "better": (_("Better"), "success"),
    "worse": (_("Worse"), "danger"),
    "flat": (_("No change shown"), "secondary"),
    "unknown": (_("Not estimable"), "secondary"),
}
"""Which way a metric moved in a variant."""

_METRIC_KEYS = re.compile(rf"\b(?:{'|'.join(sorted(METRICS, key=len, reverse=True))})\b")


def metric_name(key: str) -> str:
    """A metric in words; its key where there are none."""
    return METRICS[key][0] if key in METRICS else key.replace("_", " ").capitalize()


def in_plain_words(sentence: str) -> str:
    """A sentence of the report in the reader's language, with its metrics' names instead of their keys."""
    return _METRIC_KEYS.sub(lambda found: metric_name(found[0]).lower(), told(sentence))


def check_name(check: str) -> tuple[str, str]:
    """A check's title and what it asks; a title made of its key where there are no words."""
    for kind, title in METRIC_CHECKS.items():
        if check.startswith(f"{kind}_"):
            return str(title) % {"metric": metric_name(check.removeprefix(f"{kind}_"))}, ""
    return CHECKS.get(check) or OTHER_CHECKS.get(check) or (check.replace("_", " ").capitalize(), "")


REVIEW_STEPS = frozenset({"request review", "approve", "ask for changes", "override review"})
"""Lines of the trail that somebody said something in."""

GLOBALS: Mapping[str, Any] = {
    "REVIEW_STEPS": REVIEW_STEPS,
    "STATES": STATES, "ACTIONS": ACTIONS, "METRICS": METRICS, "OFFER_TYPES": OFFER_TYPES, "TOUCHPOINTS": TOUCHPOINTS,
    "REFUSALS": REFUSALS, "ROLE_NAMES": ROLE_NAMES, "TRAIL": TRAIL, "STATUSES": STATUSES, "DECISIONS": DECISIONS,
    "OPERATORS": OPERATORS, "VALUELESS": VALUELESS,
    "metric_name": metric_name, "check_name": check_name, "in_plain_words": in_plain_words,
    "place_label": label,
}  # fmt: skip
"""What every template knows."""
