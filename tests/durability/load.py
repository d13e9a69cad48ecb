"""Senders that never give up: each sends an order until it is acknowledged, and remembers what was."""

import http.client
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select

from experiments.storage.database import reading
from experiments.storage.tables import conversion, exposure


@dataclass
class Answers:
    """What the senders were told: acknowledged orders with their cents, when, and every other status by number."""

    orders: dict[str, int] = field(default_factory=dict)
    visitors: set[str] = field(default_factory=set)
    at: list[float] = field(default_factory=list)
    refusals: dict[int | str, int] = field(default_factory=dict)
    without_retry_after: int = 0
    slowest: float = 0.0

    def longest_absence(self, since: list[float]) -> float:
        """Seconds from one of these moments to the next acknowledgement, at most."""
        return max(min((at - moment for at in self.at if at >= moment), default=float("inf")) for moment in since)


class Load:
    """So many senders of orders and exposures, until the block ends; then every last order is seen through."""

    def __init__(self, url: str, key: str, senders: int = 8, patience: float = 30.0) -> None:
        self.answers = Answers()
        self._address = urlsplit(url)
        self._key, self._patience = key, patience
        self._stop, self._lock, self._numbers = threading.Event(), threading.Lock(), itertools.count()
        self._threads = [threading.Thread(target=self._send) for _ in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        line: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            number = next(self._numbers)
            cents = 100 + number * 7 % 9_900
            line_sold = {"product_id": "A1", "quantity": 1, "price": cents / 100}
            order = {"type": "order", "order_id": f"o{number}", "visitor_id": f"v{number}", "revenue": cents / 100}
            order |= {"currency": "EUR", "items": [line_sold]}
            met = {"visitor_id": f"v{number}", "experiment": "offers", "variant": "upsell", "kind": "assigned"}
            deadline = time.monotonic() + self._patience
            todo = [("/v1/exposures", met), ("/v1/conversions", order)]
            while todo and time.monotonic() < deadline:
                line, status = self._post(line, *todo[0])
                if status == 200:
                    self._note(*todo.pop(0), cents)
                else:
                    time.sleep(0.05)

    def _post(
        self, line: http.client.HTTPConnection | None, path: str, body: object
    ) -> tuple[http.client.HTTPConnection | None, int | str]:
        began = time.monotonic()
        retry_after, status = None, "cut"
        try:
            if line is None:
                line = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=20)
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            line.request("POST", path, json.dumps(body), headers)
            answer = line.getresponse()
            said = json.loads(answer.read())
            retry_after = answer.getheader("Retry-After")
            status = answer.status
            if status == 200 and said["rejected"]:
                status = "rejected"
        except (OSError, http.client.HTTPException, ValueError):
            if line is not None:
                line.close()
            line = None
        if status != 200:
            with self._lock:
                self.answers.refusals[status] = self.answers.refusals.get(status, 0) + 1
                self.answers.without_retry_after += status == 503 and not (retry_after or "").isdecimal()
        with self._lock:
            self.answers.slowest = max(self.answers.slowest, time.monotonic() - began)
        if self._stop.is_set() and line is not None:
            line.close()
            line = None
        return line, status

    def _note(self, path: str, body: dict[str, object], cents: int) -> None:
        with self._lock:
            self.answers.at.append(time.monotonic())
            if path == "/v1/exposures":
                self.answers.visitors.add(str(body["visitor_id"]))
            else:
                self.answers.orders[str(body["order_id"])] = cents


def lost(engine: Engine, answers: Answers) -> list[str]:
    """Acknowledged orders and exposures that the store does not have, or has otherwise than they were sent."""
    with reading(engine) as conn:
        kept = {r.order_id: r.revenue for r in conn.execute(select(conversion.c.order_id, conversion.c.revenue))}
        met = set(conn.scalars(select(exposure.c.unit_id).where(exposure.c.kind == "assigned")))
    wrong = [order_id for order_id, cents in answers.orders.items() if kept.get(order_id) != cents]
    return wrong + sorted(answers.visitors - met)


def doubled(engine: Engine) -> int:
    """Rows more than there are orders and exposed units."""
    with reading(engine) as conn:
        orders = conn.execute(
            select(func.count(), func.count(conversion.c.order_id.distinct())).select_from(conversion)
        )
        rows, ids = orders.one()
        exposures = select(func.count(), func.count(exposure.c.unit_id.distinct())).select_from(exposure)
        met, units = conn.execute(exposures.where(exposure.c.kind == "assigned")).one()
    return (rows - ids) + (met - units)
