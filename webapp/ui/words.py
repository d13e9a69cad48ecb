"""The words of the pages: one plain sentence for each state, action, metric, offer type, check and verdict."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.lifecycle import State
from webapp.ui.form_errors import label
from webapp.ui.targeting_rows import OPERATORS, VALUELESS


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
    "draft": StateWords("Draft", "secondary", "Nobody sees it, and nothing is measured. Edit it freely."),
    "scheduled": StateWords("Scheduled", "info", "It starts by itself at the time set. Until then nobody sees it."),
    "running": StateWords("Running", "success", "New visitors enter, keep their variant, and are measured."),
    "closed": StateWords(
        "Closed to new visitors", "primary", "Those inside keep their variant and are measured; nobody new enters."
    ),
    "paused": StateWords("Paused", "warning", "Everyone sees no offer. Those inside are still measured."),
    "stopped": StateWords("Stopped", "dark", "Everyone sees no offer. What happened until the stop is the result."),
    "decided": StateWords("Decided", "primary", "The case is closed, with its decision and the reason."),
    "archived": StateWords("Archived", "secondary", "Out of the way; its report stays."),
}

ACTIONS: Mapping[str, ActionWords] = {
    "start": ActionWords(
        "Start",
        "Visitors begin to meet their variants.",
        "Each eligible visitor gets one variant, and keeps it on every visit.",
        "Everyone who meets a variant from now on, by the variant met first.",
        "success",
        "You can pause, close or stop it at any time. Variants, weights and targeting are fixed from here on.",
    ),
    "unschedule": ActionWords(
        "Unschedule",
        "It goes back to being a draft, and will not start by itself.",
        "Nothing, as before.",
        "Nobody.",
        undo="Start it again when it is ready.",
    ),
    "close": ActionWords(
        "Close to new visitors",
        "No new visitor enters; those inside stay in.",
        "Visitors inside keep their variant. New visitors see no offer of this experiment.",
        "Those who entered until now; what they still do keeps counting.",
        undo="You can reopen it.",
    ),
    "reopen": ActionWords(
        "Reopen",
        "New visitors enter again, under the same variants and weights.",
        "Each eligible visitor gets a variant; those inside keep theirs.",
        "Those inside, and everyone who enters from now on.",
        "success",
        "You can close it again.",
    ),
    "pause": ActionWords(
        "Pause",
        "Everyone sees no offer at once. Use it when an offer goes wrong.",
        "No offer, for everyone, at once.",
        "Those inside, including what they do during the pause: a long pause waters the effect down.",
        "warning",
        "Resume brings each visitor's variant back.",
    ),
    "resume": ActionWords(
        "Resume",
        "Visitors meet their variants again.",
        "Everyone inside sees the variant they had; new visitors enter.",
        "Those inside, and everyone who enters from now on.",
        "success",
    ),
    "stop": ActionWords(
        "Stop",
        "It ends for good: no offer is shown, and the result is what happened until now.",
        "No offer, for everyone, from now on.",
        "Those who entered until now, with what they did within the conversion window.",
        "danger",
        "A stopped experiment cannot be started again. Duplicate it to repeat it, or close it to only keep new "
        "visitors out.",
    ),
    "decide": ActionWords(
        "Decide",
        "Write down what you conclude: ship a variant to everyone, or none.",
        "If you ship a variant, everyone in the placement sees its offer. If not, nothing changes.",
        "The same as before: a decision changes no number.",
        "primary",
    ),
    "archive": ActionWords(
        "Archive",
        "Takes it off the list of what is going on.",
        "A shipped winner is no longer shown; otherwise nothing changes.",
        "The same as before; the report stays.",
        undo="An archived experiment stays archived. You can duplicate it.",
    ),
    "duplicate": ActionWords(
        "Duplicate",
        "A new draft with everything but the dates; its visitors are split anew.",
        "Nothing changes for visitors.",
        "The copy starts with nobody in it.",
    ),
}

METRICS: Mapping[str, tuple[str, str]] = {
    "contribution_per_visitor": ("Contribution per visitor", "Revenue less cost of goods, shipping and fees. Profit."),
    "revenue_per_visitor": ("Revenue per visitor", "Order money of everyone who entered, buyers or not."),
    "conversion": ("Conversion", "Share of visitors who order at least once."),
    "aov": ("Average order value", "Revenue per order. Looks at buyers only: read it beside conversion."),
    "orders_per_visitor": ("Orders per visitor", "How many orders a visitor places."),
    "items_per_order": ("Items per order", "Pieces in an order."),
    "net_aov": ("Average order value, net", "Revenue less refunds, per order."),
    "refund_rate": ("Refund rate", "Share of orders refunded. Lower is better."),
    "offer_acceptance": ("Offer acceptance", "Share of visitors who saw the offer and took it."),
    "offer_dismissal": ("Offer dismissal", "Share of visitors who saw the offer and closed it. Lower is better."),
    "repeat_purchase": ("Repeat purchase", "Share of visitors who order at least twice."),
}

OFFER_TYPES = {
    "none": ("No offer", "Shows nothing. What the others are compared with."),
    "upsell": ("Upsell", "Leads from a product to a dearer one."),
    "cross_sell": ("Cross-sell", "Adds products that go with it."),
    "bundle": ("Bundle", "Several products together, cheaper than apart."),
}

TOUCHPOINTS = {
    "product_page": "Product page",
    "cart": "Cart",
    "checkout": "Checkout",
    "post_purchase": "After the purchase",
}

REFUSALS = {
    "out_of_stock": "is out of stock",
    "already_in_cart": "is in the cart already",
    "no_candidate": "nothing fits here",
    "not_dearer": "is no dearer than what it replaces",
    "not_cheaper_than_parts": "is no cheaper than its parts",
    "below_margin": "is below the margin, or its cost is not known",
    "wrong_currency": "is in another currency",
    "expired": "is outside its dates",
    "does_not_stack": "does not go with another discount",
    "frequency_cap": "was shown often enough",
    "unknown_product": "is not in the catalogue",
}

CHECKS = {
    "srm": ("Split as planned", "Visitors divide between the variants as the weights say."),
    "crossovers": ("Variants kept", "Visitors meet one variant only."),
}

STATUSES = {
    "pass": ("OK", "success"),
    "warn": ("Look", "warning"),
    "fail": ("Failed", "danger"),
    "unknown": ("Too early", "secondary"),
}

DECISIONS = {
    "ship": ("Ship", "success"),
    "do_not_ship": ("Do not ship", "danger"),
    "keep_running": ("Keep running", "info"),
    "fix_first": ("Fix first", "warning"),
}


_METRIC_KEYS = re.compile(rf"\b(?:{'|'.join(sorted(METRICS, key=len, reverse=True))})\b")


def metric_name(key: str) -> str:
    """A metric in words; its key where there are none."""
    return METRICS[key][0] if key in METRICS else key.replace("_", " ").capitalize()


def in_plain_words(sentence: str) -> str:
    """A sentence of the report with its metrics' names instead of their keys."""
    return _METRIC_KEYS.sub(lambda found: metric_name(found[0]).lower(), sentence)


def check_name(check: str) -> tuple[str, str]:
    """A check's title and what it asks; a title made of its key where there are no words."""
    return CHECKS.get(check, (check.replace("_", " ").capitalize(), ""))


GLOBALS: Mapping[str, Any] = {
    "STATES": STATES, "ACTIONS": ACTIONS, "METRICS": METRICS, "OFFER_TYPES": OFFER_TYPES, "TOUCHPOINTS": TOUCHPOINTS,
    "REFUSALS": REFUSALS, "STATUSES": STATUSES, "DECISIONS": DECISIONS, "OPERATORS": OPERATORS,
    "VALUELESS": VALUELESS, "metric_name": metric_name, "check_name": check_name, "in_plain_words": in_plain_words,
    "place_label": label,
}  # fmt: skip
"""What every template knows."""
