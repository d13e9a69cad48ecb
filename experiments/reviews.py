"""Reviews: who looked at what before it started, and whether that is still what would start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from experiments.definition import About, Definition
from experiments.moment import Micros

Step = Literal["requested", "approved", "changes_requested", "overridden"]
"""What somebody did: asked for a review, answered it, or let it start without one."""
Standing = Literal["none", "requested", "changes_requested", "stale", "approved", "overridden"]
"""Where the review stands; `stale` where what was approved is not what would start."""


@dataclass(frozen=True, slots=True)
class ReviewRule:
    """What a storefront demands before a start, and who may say yes; nobody named: every editor and admin."""

    required: bool = False
    reviewers: tuple[str, ...] = ()

    def may_review(self, email: str, *, defines: bool) -> bool:
        """Whether this person has the right to review; `defines`: whether they may define experiments."""
        return email in self.reviewers if self.reviewers else defines


@dataclass(frozen=True, slots=True)
class Review:
    """One step, with the definition that it was about; never changed once it was made."""

    at: Micros
    by: str
    step: Step
    message: str
    version: int
    fingerprint: str
    definition: Definition


def covered(definition: Definition) -> Definition:
    """What a review is about: all but whom to ask and how it is filed, and when it starts, which starting it says."""
    schedule = msgspec.structs.replace(definition.schedule, start_at=None)
    return msgspec.structs.replace(definition, about=About(), schedule=schedule)


def verdict(reviews: Sequence[Review]) -> Review | None:
    """The last answer to a request; None where there was none."""
    return next((review for review in reversed(reviews) if review.step != "requested"), None)


def standing(reviews: Sequence[Review], definition: Definition) -> Standing:
    """Where the review of this definition stands, by its steps from the first to the last."""
    answer = verdict(reviews)
    if answer is not None and answer.step in {"approved", "overridden"}:
        if covered(answer.definition) == covered(definition):
            return "approved" if answer.step == "approved" else "overridden"
        if reviews[-1] is answer:
            return "stale"
    return reviews[-1].step if reviews else "none"


def holds(found: Standing) -> bool:
    """Whether it may start."""
    return found in {"approved", "overridden"}
