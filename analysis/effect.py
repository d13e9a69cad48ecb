"""An estimate with its interval: what every part of a report is made of."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimate with its interval; a bound that does not exist is None, and `reason` says why."""

    estimate: float | None
    low: float | None
    high: float | None
    standard_error: float | None = None
    reason: str | None = None

    def to_dict(self, standard_error: bool = False) -> dict[str, Any]:
        """As JSON, with the standard error where the contract has one."""
        out: dict[str, Any] = {"estimate": finite(self.estimate)}
        if standard_error:
            out["standard_error"] = finite(self.standard_error)
        out |= {"low": finite(self.low), "high": finite(self.high)}
        return out | ({"reason": self.reason} if self.reason else {})

    def times(self, factor: float) -> "Effect":
        """The same effect on a scale that is `factor` (0 or more) times as large."""
        return Effect(
            None if self.estimate is None else self.estimate * factor,
            None if self.low is None else self.low * factor,
            None if self.high is None else self.high * factor,
            None if self.standard_error is None else self.standard_error * factor,
            self.reason,
        )


NOTHING = Effect(None, None, None)


def finite(number: float | None) -> float | None:
    """Python's own float, or None where it is none: JSON has no NaN."""
    if number is None:
        return None
    number = float(number)
    return number if math.isfinite(number) else None
