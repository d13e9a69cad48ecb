"""Reviews before the start: what those routes take and give."""

from collections.abc import Mapping

import msgspec

from experiments.reviews import Standing, Step
from webapp.api.reviewing import ReviewInput
from webapp.openapi.operation import Operation


class ReviewLine(msgspec.Struct, frozen=True):
    """One step: who did what when, and of which version."""

    at: str
    by: str
    review: Step
    message: str
    version: int
    fingerprint: str


class ReviewAnswer(msgspec.Struct, frozen=True):
    """Where the review stands; `stale` is an approval of something else than what would start now."""

    required: bool
    standing: Standing
    may_start: bool
    reviews: list[ReviewLine]


REVIEWING: Mapping[str, Operation] = {
    "reviewing.read_review": Operation(tag="Experiments", answer=ReviewAnswer),
    "reviewing.review_experiment": Operation(
        tag="Experiments", body=ReviewInput, answer=ReviewAnswer, refuses=(404, 409),
        example={"review": "requested", "message": "Please look at the discount."},
    ),
}  # fmt: skip
