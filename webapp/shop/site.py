"""The shop's pages as part of the application; there are none where the settings name no keys."""

from flask import Flask

from webapp.api.traffic import DEMO
from webapp.lab import Lab
from webapp.shop import basket_pages, browsing, frame, offers_taken, till
from webapp.shop.opening import open_shop


def install(app: Flask, lab: Lab) -> None:
    """Give the application the shop's pages, where the settings ask for them."""
    if not lab.settings.shop_keys:
        return
    app.extensions["offerlab.shop"] = open_shop(lab)
    app.jinja_env.globals["demo_shop"] = DEMO  # its experiments' page links to the shop
    for room in (browsing, basket_pages, till, offers_taken):
        app.register_blueprint(frame.framed(room.blueprint))
