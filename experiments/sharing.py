"""Links to a report for readers without an account: what they show, and for how long."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from experiments.moment import DAY, Micros

Shows = Literal["live", "decision"]
"""The report as it is when it is read, or as it was at the decision."""
LinkState = Literal["good", "expired", "revoked"]


class LinkInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link to be made: what it shows, and for how many days; null is until it is revoked."""

    shows: Shows = "live"
    days: Literal[7, 30, 90] | None = 30


@dataclass(frozen=True, slots=True)
class ReportLink:
    """One link; `seen_at` is when somebody last read by it, to the minute."""

    id: int
    experiment_id: int
    shows: Shows
    made_by: str
    made_at: Micros
    expires_at: Micros | None
    seen_at: Micros | None
    revoked_at: Micros | None

    def state(self, at: Micros) -> LinkState:
        """Whether it opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and at >= self.expires_at else "good"


def expiry(given: LinkInput, at: Micros) -> Micros | None:
    """Until when a link that is made now is good."""
    return None if given.days is None else Micros(at + given.days * DAY)
