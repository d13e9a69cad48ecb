"""What a test that is looked at while it runs says, by the method that was planned."""

import math
from dataclasses import dataclass
from typing import Any

from analysis.fieller import Interval
from analysis.stopped import Stopped

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """A look of a group-sequential test: which one of how many, at what fraction of the plan, and the |z| it needs."""

    number: int
    looks: int
    information: float
    boundary: float | None
    next_units: int | None

    def to_dict(self) -> Json:
        """As JSON."""
        return {
            "look": self.number, "looks": self.looks, "information": self.information,
            "boundary": _finite(self.boundary), "next_look_units": self.next_units,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnyTime:
    """The interval and p-value of a test that is looked at while it runs, by the method that was planned.

    `lift` is Fieller's interval at the critical value of the difference, so that the two agree; `stopped` is the effect
    after a group-sequential test that is over, allowing for its looks.
    """

    low: float | None
    high: float | None
    p_value: float | None
    method: str = "confidence_sequence"
    planned_units: float | None = None
    reason: str | None = None
    look: Look | None = None
    stopped: Stopped | None = None
    lift: Interval | None = None

    @property
    def over(self) -> bool:
        """Whether the last planned look has been taken."""
        return self.look is not None and self.look.number == self.look.looks

    def to_dict(self) -> Json:
        """As JSON."""
        out: Json = {"low": _finite(self.low), "high": _finite(self.high), "p_value": _finite(self.p_value)}
        out |= {"method": self.method, "planned_units": _finite(self.planned_units), "reason": self.reason}
        if self.lift is not None:
            out["lift"] = {"low": _finite(self.lift.low), "high": _finite(self.lift.high), "reason": self.lift.reason}
        if self.look is not None:
            out |= self.look.to_dict()
        if self.stopped is not None:
            after = self.stopped
            out["stopped"] = {
                "estimate": after.estimate, "low": after.low, "high": after.high, "p_value": after.p_value
            }  # fmt: skip
        return out


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)
