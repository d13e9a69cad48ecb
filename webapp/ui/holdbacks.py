"""A holdback on the pages: what steering it means, with the winner behind it, and whether what was shipped lasts."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from analysis.lasted import Lasting, Span
from experiments.errors import Invalid
from experiments.holdback import USUAL
from experiments.storage.registry import Experiment
from webapp.ui.formats import lift, percent
from webapp.ui.person import here
from webapp.ui.typed import Typed
from webapp.ui.words import ACTIONS, STATES, ActionWords

HOLDBACK_ACTIONS: Mapping[str, ActionWords] = {
    "stop": ActionWords(
        _("End the holdback"),
        _("Everybody sees the winner, and nothing more is measured."),
        _("The winner, for everyone in the placement, from now on."),
        _("Those who entered until now; whether it lasts is not asked any more."),
        "danger",
        _("It cannot be started again. Decide afterwards only if the winner is to be withdrawn."),
    ),
    "pause": ActionWords(
        _("Pause"),
        _("Nobody sees the winner any more, at once. Use it when the offer goes wrong."),
        _("No offer, for everyone, at once: the winner is not shown while its holdback is paused."),
        _("Those inside, including what they do during the pause: a long pause waters the effect down."),
        "warning",
        _("Resume brings the winner back to all but the holdback."),
    ),
    "close": ActionWords(
        _("Close to new visitors"),
        _("New visitors all see the winner; those held back stay held back."),
        _("Visitors inside keep what they have. New visitors see the winner."),
        _("Those who entered until now; what they still do keeps counting."),
        undo=_("You can reopen it."),
    ),
    "decide": ActionWords(
        _("Decide anew"),
        _("Write down whether the winner stays: this decision takes the place of the one before."),
        _("If you ship it, everyone in the placement sees it. If not, nobody does any more."),
        _("The same as before: a decision changes no number."),
        "primary",
    ),
}
_STOPPED = _("Everyone sees the winner. What happened until the stop is the result.")
_PAUSED = _("Everyone sees no offer, the winner included. Those inside are still measured.")

LASTS = {"lasts": (_("It lasts"), "success"), "faded": (_("It has faded"), "danger"),
            "not_known": (_("Not yet known"), "secondary")}  # fmt: skip


def action_words(experiment: Experiment, action: str) -> ActionWords:
    """What an action does to this experiment."""
    held = HOLDBACK_ACTIONS.get(action) if experiment.follows is not None else None
    return held or ACTIONS[action]


def state_meaning(experiment: Experiment) -> str:
    """What its state means for visitors and for measuring."""
    if experiment.follows is not None and experiment.state in {"stopped", "paused"}:
        return str(_STOPPED if experiment.state == "stopped" else _PAUSED)
    return str(STATES[experiment.state].meaning)


def shipping(experiment: Experiment, known: Iterable[Experiment]) -> str:
    """What visitors get of a decided experiment's winner: none of it while the holdback behind it is paused."""
    paused = any(e.follows == experiment.key and e.state == "paused" for e in known)
    if paused:
        return str(gettext("%(variant)s is not shown while its holdback is paused", variant=experiment.winner))
    return str(gettext("ships %(variant)s", variant=experiment.winner))


def asked_for() -> int | None:
    """The holdback that a form asks for, in hundredths of a percent; None where its box is not ticked."""
    if not request.form.get("hold"):
        return None
    typed = Typed(here().zone)
    share = typed.hundredths(request.form.get("holdback", ""), "holdback", USUAL)
    if typed.errors:
        raise Invalid(typed.errors)
    return share


def typed_share() -> str:
    """What stands in the form's field."""
    return request.form.get("holdback") or percent(USUAL)


def sentence(lasting: Lasting, metric: str) -> str:
    """What the last span that is over says; `metric` is its metric's name."""
    over = [span for span in lasting.spans if span.over]
    if not over:
        first = lasting.spans[0]
        said = gettext("The first %(days)s days end with %(date)s.", days=first.last_day, date=first.ends)
        return str(said)
    return str(_SAID[lasting.reading] % _facts(lasting, over[-1], metric))


_SAID = {
    "lasts": _(
        "In days %(first)s to %(last)s after the shipping, %(metric)s is %(now)s against the holdback. It was shipped "
        "by %(then)s."
    ),
    "faded": _(
        "In days %(first)s to %(last)s after the shipping, %(metric)s is %(now)s against the holdback: below all that "
        "it was shipped by, %(then)s."
    ),
    "not_known": _(
        "In days %(first)s to %(last)s after the shipping, %(metric)s is %(now)s against the holdback. That neither "
        "rules out nothing nor shows less than it was shipped by, %(then)s."
    ),
}


def _facts(lasting: Lasting, span: Span, metric: str) -> dict[str, Any]:
    def ends(effect: Any) -> str:
        if effect.estimate is None:
            return str(gettext("not known"))
        low, high = lift(effect.low), lift(effect.high)
        return str(gettext("%(lift)s (%(low)s to %(high)s)", lift=lift(effect.estimate), low=low, high=high))

    now, then = ends(span.lift), ends(lasting.shipped_by)
    return {"first": span.first_day, "last": span.last_day, "metric": metric.lower(), "now": now, "then": then}


GLOBALS: Mapping[str, Any] = {
    "action_words": action_words, "state_meaning": state_meaning, "LASTS": LASTS, "lasting_sentence": sentence,
    "shipping": shipping,
}  # fmt: skip
