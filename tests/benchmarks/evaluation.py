"""How many evaluations one process makes in a second, beside the PyPI growthbook SDK on the same features.

Run it: `python tests/benchmarks/evaluation.py`. Rounds of the two alternate and the best of each counts, so that other
work on the machine does not decide; the ratio says more than the rates.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from growthbook.common_types import EvaluationContext, GlobalContext, Options, StackContext, UserContext
from growthbook.core import eval_feature
from growthbook.growthbook import GrowthBook

from experiments.evaluation import Context, Features

VISITORS = 5_000
ROUNDS = 9

PLAIN = {
    "defaultValue": "none",
    "rules": [
        {
            "id": "r1", "key": "exp_cart_offer", "hashVersion": 2,
            "variations": ["none", "upsell", "cross_sell", "bundle"],
            "weights": [0.25, 0.25, 0.25, 0.25], "coverage": 1,
            "meta": [{"key": "control"}, {"key": "upsell"}, {"key": "cross-sell"}, {"key": "bundle"}],
        }
    ],
}  # fmt: skip
TARGETED = {
    **PLAIN,
    "rules": [
        {"id": "winner", "condition": {"country": "AT"}, "force": "bundle"},
        {
            **PLAIN["rules"][0],  # type: ignore[dict-item]  # the literal above is a list
            "condition": {"country": {"$in": ["DE", "FR"]}, "cart.total": {"$gt": 20}, "app": {"$vgte": "2.10.0"}},
            "filters": [{"seed": "layer_cart", "attribute": "id", "hashVersion": 2, "ranges": [[0, 0.9]]}],
        },
    ],
}
FEATURES: dict[str, Any] = {"plain": PLAIN, "targeted": TARGETED}


def attributes(number: int) -> dict[str, Any]:
    """A visitor as a storefront sends one."""
    return {
        "id": f"9f1c2b7e-8a3d-4e0f-b1c2-{number:012d}",
        "country": "DE",
        "device": "mobile",
        "cart": {"total": 42.5},
        "app": "2.11.3",
    }


def rate(evaluate: Callable[[dict[str, Any]], object], visitors: list[dict[str, Any]]) -> float:
    """Evaluations in a second."""
    start = time.perf_counter()
    for visitor in visitors:
        evaluate(visitor)
    return len(visitors) / (time.perf_counter() - start)


def contenders(key: str) -> dict[str, Callable[[dict[str, Any]], object]]:
    """Ours, the SDK's bare evaluation, and the SDK as its users call it."""
    ours = Features(FEATURES)
    client = GrowthBook(features=FEATURES)
    shared = GlobalContext(options=Options(), features=client.get_features())

    def bare(visitor: dict[str, Any]) -> object:
        context = EvaluationContext(global_ctx=shared, user=UserContext(attributes=visitor), stack=StackContext())
        return eval_feature(key, context)

    def as_used(visitor: dict[str, Any]) -> object:
        client.set_attributes(visitor)
        return client.eval_feature(key)

    return {"ours": lambda visitor: ours.evaluate(key, Context(visitor)), "sdk, bare": bare, "sdk": as_used}


def main() -> None:
    """Prints the best rate of each and the ratios."""
    logging.disable(logging.CRITICAL)
    visitors = [attributes(number) for number in range(VISITORS)]
    for key in FEATURES:
        rivals = contenders(key)
        best = dict.fromkeys(rivals, 0.0)
        for _ in range(ROUNDS):
            for name, evaluate in rivals.items():
                best[name] = max(best[name], rate(evaluate, visitors))
        print(f"{key}:")  # what a script prints is its result
        for name, figure in best.items():
            ratio = best["ours"] / figure
            print(f"  {name:10} {figure:10,.0f} a second {1e6 / figure:7.2f} us, ours {ratio:5.1f} times")


if __name__ == "__main__":
    main()
