"""The rooms of the settings, as their tabs name them."""

from dataclasses import dataclass

from flask_babel import lazy_gettext as _

from experiments.storage.users import Role


@dataclass(frozen=True, slots=True)
class Room:
    """One page of the settings, and the role that it takes to see it."""

    endpoint: str
    words: str
    role: Role = "viewer"


ROOMS = (
    Room("storefront.show", _("Storefront")),
    Room("placements.listing", _("Placements")),
    Room("layers.listing", _("Layers")),
    Room("audiences.listing", _("Audiences")),
    Room("saved_offers.listing", _("Saved offers")),
    Room("metric_list.listing", _("Metrics")),
    Room("alerts.show", _("Alerts")),
    Room("keys.listing", _("Keys"), "admin"),
    Room("people.listing", _("People"), "admin"),
    Room("trail.listing", _("Changes")),
    Room("visitor.show", _("One visitor")),
)
BLUEPRINTS = tuple(room.endpoint.partition(".")[0] for room in ROOMS)
