"""Starts experiments of a storefront on the running server, and waits until every worker knows."""

import time
from collections.abc import Callable
from typing import Any

from tests.serving import Tenant

AT_MOST = 10.0
"""Seconds; two are promised, and the machine may be busy with something else."""


def start(tenant: Tenant, *definitions: dict[str, Any]) -> None:
    """Create the experiments and start them."""
    for definition in definitions:
        made = tenant.admin.post("/api/v1/experiments", definition)
        assert made.status_code == 201, made.text
        act(tenant, definition["key"], "start")
    keys = {definition["key"] for definition in definitions}
    settle(lambda: keys <= {rule["key"] for rule in rules(tenant)})


def act(tenant: Tenant, experiment: str, action: str, body: Any = None) -> None:
    """A step in an experiment's life."""
    answer = tenant.admin.post(f"/api/v1/experiments/{experiment}/{action}", body)
    assert answer.status_code == 200, answer.text


def settle(holds: Callable[[], bool]) -> None:
    """Wait until it holds ten times in a row, of either worker."""
    for _ in range(int(AT_MOST * 10)):
        if all(holds() for _ in range(10)):
            return
        time.sleep(0.1)
    raise AssertionError("not every worker has seen the change")


def payload(tenant: Tenant) -> Any:
    """GrowthBook's payload, over a connection of its own: one that is kept asks the same worker again and again."""
    fresh = {"Connection": "close"}
    return tenant.public.get(f"/api/features/{tenant.public.key}", headers=fresh).json()


def rules(tenant: Tenant) -> list[dict[str, Any]]:
    """Every rule in it."""
    return [rule for feature in payload(tenant)["features"].values() for rule in feature["rules"]]
