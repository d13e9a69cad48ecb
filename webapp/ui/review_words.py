"""The words of reviews."""

from flask_babel import lazy_gettext as _

STANDINGS = {
    "none": (_("Not asked for"), "secondary"),
    "requested": (_("Waits for its review"), "info"),
    "changes_requested": (_("Changes asked for"), "warning"),
    "stale": (_("Changed since it was approved"), "warning"),
    "approved": (_("Approved"), "success"),
    "overridden": (_("May start without a review"), "warning"),
}
"""Where a review stands, and its colour's role."""

DONE = {
    "requested": _("Asked for. It stands on the home page of who may review it."),
    "approved": _("Approved. It may start as it is now."),
    "changes_requested": _("Said. Whoever asked for the review finds it on their home page."),
    "overridden": _("It may start as it is now. Your reason stays in the changes."),
}
"""What is said to whoever did it."""
