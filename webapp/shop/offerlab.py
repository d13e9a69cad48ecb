"""Offerlab as this shop's server calls it: the public API with the secret key, never waited for longer than a moment.

The calls go to the same handlers that the API's routes have, without a socket. Whatever goes wrong is None, and the
shop goes on without.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from webapp.api import checkout, intake
from webapp.api.routes import HANDLERS
from webapp.clock import now
from webapp.lab import Lab

WAITS = 0.8
"""Seconds, as the snippet does."""


@dataclass(frozen=True)
class Offerlab:
    """The API, opened by the shop's secret key."""

    lab: Lab
    secret_key: str
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, thread_name_prefix="shop"))

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

    def close(self) -> None:
        """Let nothing more begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, handler: intake.Handler, body: dict[str, Any]) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {self.secret_key}", "Content-Type": "application/json"}
        ask: Callable[[], intake.Reply] = partial(
            intake.handle, self.lab, handler, intake.Call(headers, json.dumps(body).encode(), now())
        )
        try:
            reply = self._pool.submit(ask).result(WAITS)
        except (TooLate, RuntimeError):  # it takes too long; or the process is about to end
            return None
        found: dict[str, Any] | None = json.loads(reply.body) if reply.status == 200 else None
        return found
