"""The shop as its pages know it: opened by the keys in the file that OFFERLAB_SHOP_KEYS names."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import current_app

from experiments.catalogue import Catalogue
from experiments.errors import Invalid, Unavailable
from experiments.storage.keys import digest
from webapp.clock import now
from webapp.lab import Lab
from webapp.shop.offerlab import Offerlab
from webapp.shop.visitor import Cookies

SETTING = "OFFERLAB_SHOP_KEYS"


@dataclass(frozen=True, slots=True)
class Shop:
    """What the shop's pages stand on: its public key, its way to Offerlab, its cookies."""

    lab: Lab
    public_key: str
    offerlab: Offerlab
    cookies: Cookies

    @property
    def catalogue(self) -> Catalogue:
        """What is sold, from memory: the shop is open while the database is away."""
        snapshot = self.lab.snapshots.current(now())
        opened = snapshot.keys.get(digest(self.public_key))
        if opened is None:
            raise Unavailable("The shop's keys open nothing here: start the demo again")
        return snapshot.storefronts[opened[0]].catalogue


def open_shop(lab: Lab) -> Shop:
    """The shop of the keys that the settings name; Invalid where that file has none."""
    path = Path(lab.settings.shop_keys)
    try:
        keys = json.loads(path.read_text())
        public, secret = str(keys["public"]), str(keys["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Invalid.at(SETTING, f"{path} is no file with the shop's public and secret key") from None
    cookies = Cookies(lab.settings.secret_key, secure=lab.settings.secure_cookies)
    return Shop(lab, public, Offerlab(lab, secret), cookies)


def the_shop() -> Shop:
    """The shop of the running application."""
    return cast("Shop", current_app.extensions["offerlab.shop"])
