"""Do the variants differ in what the offers cannot have changed? Then the comparison is not one of like with like."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from analysis.checks import ALARM, FEWEST_EXPECTED, MATTERS, Check, Status
from experiments.errors import Invalid
from experiments.wording import Listed, figure, worded

# GrowthBook's default for units seen under two variants
MANY_CROSSOVERS = 0.01
TOO_MANY_CROSSOVERS = 0.1
MUCH_MISSING = 0.05
SUSPICIOUS = 0.01


def crossovers(crossed: Mapping[str, int], units: Mapping[str, int]) -> Check:
    """Units met under a second variant, of all units by their first: how many, and in the numbers chance gives?

    Warns from 1% (GrowthBook's default) and fails from 10%. Drawing anew takes a unit out of a variant in proportion to
    the other variants' weights, so n (1 - share) crossovers are expected of each; fails where they are spread otherwise
    (chi-square, df = variants - 1), as leaving them out would then select.
    """
    seen, hit, total = _counts("crossovers", crossed, units)
    if not seen:
        return Check("crossovers", "unknown", None, None, worded("no units"))
    rate = float(hit.sum() / total.sum())
    detail = worded(
        "%(share)s of units crossed over: %(each)s", share=figure(f"{rate:.2%}"), each=_each(seen, hit / total)
    )
    p_value: float | None = None
    statistic: float | None = None
    odds = total * (1 - total / total.sum())
    uneven = False
    if len(seen) > 1 and float((hit.sum() * odds / odds.sum()).min()) >= FEWEST_EXPECTED:
        expected = hit.sum() * odds / odds.sum()
        statistic = float(np.sum((hit - expected) ** 2 / expected))
        p_value = float(chdtrc(len(seen) - 1, statistic))
        uneven = p_value < ALARM and float(np.max(np.abs(hit - expected) / total)) >= MATTERS
    status: Status = "fail" if uneven or rate >= TOO_MANY_CROSSOVERS else "warn" if rate >= MANY_CROSSOVERS else "pass"
    return Check("crossovers", status, p_value, statistic, detail)


def missing_data(missing: Mapping[str, int], units: Mapping[str, int], column: str) -> Check:
    """Units left out for a blank in one column: warns from 5%, fails where the shares differ between variants."""

    def said(share: str, each: str) -> str:
        return worded("%(share)s lack %(column)s: %(each)s", share=share, column=column, each=each)

    return _shares(f"missing_{column}", missing, units, said, MUCH_MISSING)


def eligibility(eligible: Mapping[str, int], asked: Mapping[str, int]) -> Check:
    """Units let in, of those asked about: decided before the variant is looked at, so the shares must not differ."""

    def said(share: str, each: str) -> str:
        return worded("%(share)s eligible: %(each)s", share=share, each=each)

    return _shares("eligibility", eligible, asked, said, many=np.inf)


def pre_exposure(metric: str, values: Mapping[str, float], variances: Mapping[str, float]) -> Check:
    """A metric from before exposure must not differ: Wald's chi-square over variants, df = variants - 1.

    Variances are squared standard errors. Warns below p = 0.01, fails below 0.001.
    """
    name = f"pre_exposure_{metric}"
    value = np.array([values[v] for v in values], dtype=float)
    variance = np.array([variances[v] for v in values], dtype=float)
    if not (np.all(np.isfinite(value)) and np.all(np.isfinite(variance) & (variance >= 0))):
        raise Invalid.at(metric, "values and variances must be finite, variances from 0 up")
    if len(value) < 2 or not np.all(variance > 0):
        said = worded("%(metric)s before exposure has no variance to compare by", metric=metric)
        return Check(name, "unknown", None, None, said)
    precision = 1 / variance
    centre = float(precision @ value / precision.sum())
    statistic = float(precision @ (value - centre) ** 2)
    p_value = float(chdtrc(len(value) - 1, statistic))
    status: Status = "fail" if p_value < ALARM else "warn" if p_value < SUSPICIOUS else "pass"
    means = Listed([worded("%(variant)s %(value)s", variant=v, value=figure(f"{x:g}")) for v, x in values.items()])
    return Check(
        name, status, p_value, statistic, worded("%(metric)s before exposure: %(means)s", metric=metric, means=means)
    )


def _shares(
    check: str, hits: Mapping[str, int], units: Mapping[str, int], said: Callable[[str, str], str], many: float
) -> Check:
    """Shares of units by variant, tested for being the same (Pearson's chi-square of homogeneity)."""
    seen, hit, total = _counts(check, hits, units)
    if not seen:
        return Check(check, "unknown", None, None, worded("no units"))
    rate = float(hit.sum() / total.sum())
    detail = said(figure(f"{rate:.2%}"), _each(seen, hit / total))
    p_value, statistic = _same_rate(hit, total, rate)
    uneven = p_value is not None and p_value < ALARM and float(np.ptp(hit / total)) >= MATTERS
    status: Status = "fail" if uneven else "warn" if rate >= many else "pass"
    return Check(check, status, p_value, statistic, detail)


def _counts(
    check: str, hits: Mapping[str, int], units: Mapping[str, int]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """The variants with units, their hits and their units."""
    for variant, of in units.items():
        if not 0 <= hits.get(variant, 0) <= of:
            raise Invalid.at(f"{check}.{variant}", f"{hits.get(variant, 0)} of {of} is not a count of units")
    seen = [variant for variant in units if units[variant]]
    total = np.array([units[variant] for variant in seen], dtype=float)
    return seen, np.array([hits.get(variant, 0) for variant in seen], dtype=float), total


def _each(variants: list[str], shares: NDArray[np.float64]) -> str:
    return Listed([
        worded("%(variant)s %(share)s", variant=variant, share=figure(f"{share:.2%}"))
        for variant, share in zip(variants, shares, strict=True)
    ])  # fmt: skip


def _same_rate(hit: NDArray[np.float64], total: NDArray[np.float64], rate: float) -> tuple[float | None, float | None]:
    """Pearson's test; no p-value where the expected counts are too small for it."""
    if len(total) < 2 or float(total.min()) * min(rate, 1 - rate) < FEWEST_EXPECTED:
        return None, None
    statistic = float(np.sum((hit - total * rate) ** 2 / (total * rate * (1 - rate))))
    return float(chdtrc(len(total) - 1, statistic)), statistic
