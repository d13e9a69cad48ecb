"""A report read back from the JSON that was kept of it: what `Report.to_dict` wrote, as a Report again."""

from typing import Any

import msgspec

from analysis.report import Report
from experiments.errors import NotEstimable

Json = dict[str, Any]


def stored_report(value: Json) -> Report:
    """The report of a kept decision; writing it again gives the same JSON.

    What the JSON never had stays unknown, and what it had before the program knew more keeps its defaults. Raises
    NotEstimable where there was no report to keep.
    """
    if "metrics" not in value:
        raise NotEstimable(str(value.get("reason") or "nothing was kept"))
    metrics = [metric | {"comparisons": [_comparison(c) for c in metric["comparisons"]]} for metric in value["metrics"]]
    variants = [(v["variant"], v["units"], v["weight"]) for v in value["variants"]]
    compared = next((c["control"] for metric in metrics for c in metric["comparisons"]), None)
    control = compared or (variants[0][0] if variants else "")
    return msgspec.convert(value | {"metrics": metrics, "variants": variants, "control": control}, Report)


def _comparison(c: Json) -> Json:
    read = dict(c)
    if (sequential := c.get("sequential")) is not None:
        read["sequential"] = sequential | {"look": _look(sequential)}
    if (bounds := c.get("bounds")) is not None:
        read["bounds"] = {"estimate": None, "low": bounds["low"], "high": bounds["high"], "reason": bounds["of"]}
    if (uncapped := c.get("uncapped")) is not None:
        read["uncapped"] = uncapped["difference"]
    if (adjusted := c.get("difference_adjusted")) is not None:
        read["difference_adjusted"] = adjusted | {"estimate": c["difference"]["estimate"]}
    if (permuted := c.get("permutation")) is not None:
        read["permutation"] = permuted | permuted["difference"]
        read["p_value_permuted_adjusted"] = permuted["p_value_adjusted"]
    return read


def _look(sequential: Json) -> Json | None:
    """Which look it was; the JSON has its facts beside the interval's."""
    if "look" not in sequential:
        return None
    facts = {name: sequential[name] for name in ("looks", "information", "boundary")}
    return facts | {"number": sequential["look"], "next_units": sequential["next_look_units"]}
