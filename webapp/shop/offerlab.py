"""Offerlab as this shop's server calls it: the public API with the secret key, never waited for longer than a moment.

The calls go to the same handlers that the API's routes have, without a socket. Whatever goes wrong is None, and the
shop goes on without; after an answer that came too late it asks nothing for a while, so that not every page waits.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any

from experiments.moment import SECOND
from webapp.api import checkout, intake
from webapp.api.routes import HANDLERS
from webapp.clock import now
from webapp.lab import Lab

WAITS = 0.8
"""Seconds, as the snippet does."""


RESTS = 5 * SECOND


class Offerlab:
    """The API, opened by the shop's secret key."""

    def __init__(self, lab: Lab, secret_key: str) -> None:
        self._lab = lab
        self._headers = {"Authorization": f"Bearer {secret_key}", "Content-Type": "application/json"}
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="shop")
        self._rests_until = 0

    def check(
        self, offer_id: str, price_token: str, visitor_id: str, price: str | None = None, cart: Sequence[str] = ()
    ) -> dict[str, Any] | None:
        """Whether the price that the visitor was shown holds."""
        body: dict[str, Any] = {"price_token": price_token, "visitor_id": visitor_id}
        body |= {"price": price} if price is not None else {}
        body |= {"cart": [{"product_id": product_id} for product_id in cart]} if cart else {}
        return self._call(lambda lab, caller, call: checkout.check(lab, caller, call, offer_id), body)

    def tell(self, conversion: dict[str, Any]) -> bool:
        """Whether Offerlab has taken the conversion, or had it already."""
        answer = self._call(HANDLERS["/v1/conversions"], conversion)
        return answer is not None and not answer["rejected"]

    def meet(self, visitor_id: str, placement: str, cart: Sequence[dict[str, Any]], attributes: dict[str, Any]) -> None:
        """Let the visitor enter what runs at a placement that comes next."""
        context = {"cart": list(cart)}
        body = {"visitor_id": visitor_id, "placement": placement, "attributes": attributes, "context": context}
        self._call(HANDLERS["/v1/assignments"], body)

    def _call(self, handler: intake.Handler, body: dict[str, Any]) -> dict[str, Any] | None:
        at = now()
        if at < self._rests_until:
            return None
        call = intake.Call(self._headers, json.dumps(body).encode(), at)
        try:
            reply = self._pool.submit(intake.handle, self._lab, handler, call).result(WAITS)
        except TooLate:
            self._rests_until = at + RESTS
            return None
        except RuntimeError:  # the process is about to end
            return None
        found: dict[str, Any] | None = json.loads(reply.body) if reply.status == 200 else None
        return found
