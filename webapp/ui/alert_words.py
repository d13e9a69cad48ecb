"""Alerts in the words of the pages: a name, the colour's role, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import lazy_gettext as _

from experiments.alerts import AlertKind


@dataclass(frozen=True, slots=True)
class AlertWords:
    """A kind of alert: its name, the colour's role, and what it means or asks for."""

    label: str
    tone: str
    meaning: str


ALERTS: Mapping[AlertKind, AlertWords] = {
    "started": AlertWords(_("Started"), "info", _("It has started.")),
    "no_exposures": AlertWords(
        _("No visitors"), "danger", _("No new visitor reaches it. Does the shop ask for its placement?")
    ),
    "no_conversions": AlertWords(
        _("No orders"), "danger", _("Visitors come, but what they do does not reach us. Does the shop send its orders?")
    ),
    "sample_ratio_mismatch": AlertWords(
        _("Wrong split"), "danger", _("Visitors are not split as planned: find out why before you read any effect.")
    ),
    "guardrail_breached": AlertWords(
        _("Guardrail breached"), "danger", _("A metric that must not suffer is worse than its margin allows.")
    ),
    "target_reached": AlertWords(
        _("Ready to decide"), "success", _("It has reached what it was planned for: read the report.")
    ),
    "ended": AlertWords(_("Ended"), "info", _("It has ended: decide what follows.")),
    "auto_paused": AlertWords(
        _("Paused by itself"), "warning", _("A condition of its schedule paused it: everyone sees no offer.")
    ),
}

DELIVERIES = {
    "waiting": (_("Waiting"), "info"),
    "sent": (_("Sent"), "success"),
    "failed": (_("Given up"), "danger"),
}
CHANNELS = {"webhook": _("Webhook"), "email": _("E-mail")}
