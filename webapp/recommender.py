"""The thread of a server that keeps what past orders suggest up to date; of several workers one does the work."""

import logging
import threading

from experiments.errors import OfferlabError
from webapp.clock import now
from webapp.lab import Lab

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks at whether there are new orders; a look costs two small queries for each storefront."""


class Recommender:
    """Works out anew what orders suggest, where enough of them are new, until it is closed."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="recommender", daemon=True).start()

    def close(self) -> None:
        """Look no more; what is being worked out just now is not waited for, as nothing of it is written by halves."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(LOOK_EVERY):
            self._look()

    def _look(self) -> None:
        from analysis import recommending  # brings SciPy along, which serving does not need

        for view in self._lab.snapshots.current(now()).storefronts.values():
            try:
                recommending.refresh(self._lab.engine, view.storefront, now())
            except OfferlabError as error:
                log.warning("what the orders of %s suggest was not worked out: %s", view.storefront.key, error.message)
            except Exception:  # a thread that ends silently would leave the suggestions as they are for ever
                log.exception("what the orders of %s suggest was not worked out", view.storefront.key)
