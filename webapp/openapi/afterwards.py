"""After the decision: holdbacks, links to reports, and what was learned: what those routes take and give."""

from collections.abc import Mapping
from datetime import date

import msgspec

from analysis.lasted import Lasting
from experiments.lifecycle import State
from experiments.metrics import Direction
from experiments.sharing import LinkInput, LinkState, Shows
from webapp.learned import Depth, Outcome
from webapp.openapi.operation import Operation, Query


class HoldbackAnswer(msgspec.Struct, frozen=True):
    """The experiment that goes on measuring what was shipped; `share` is held back, in hundredths of a percent."""

    experiment: str
    follows: str
    share: int
    state: State
    since: str
    lasting: Lasting | None


class LinkAnswer(msgspec.Struct, frozen=True):
    """One link; `seen_at` is when somebody last read by it, to the minute, and `address` null once it opens nothing."""

    id: int
    shows: Shows
    state: LinkState
    address: str | None
    made_by: str
    made_at: str
    expires_at: str | None
    seen_at: str | None
    revoked_at: str | None


class LinkList(msgspec.Struct, frozen=True):
    """Every link to the report, newest first."""

    links: list[LinkAnswer]


class Span(msgspec.Struct, frozen=True):
    """From where to where."""

    low: float | None
    high: float | None


class Lift(msgspec.Struct, frozen=True):
    """A lift as it was observed, with its interval."""

    estimate: float | None
    low: float | None
    high: float | None


class LearnedEffect(msgspec.Struct, frozen=True):
    """One variant's lift of the primary metric; `shrunken` is drawn to what its kind has in common, `depth` a share."""

    variant: str
    offer: str
    depth: float | None
    lift: Lift
    shrunken: float | None
    shipped: bool


class LearnedExperiment(msgspec.Struct, frozen=True):
    """One decided experiment; `learning` is what was learnt, or where nobody said so the reason."""

    storefront: str
    experiment: str
    name: str
    hypothesis: str
    placement: str
    touchpoint: str | None
    categories: list[str]
    metric: str
    direction: Direction
    units: int
    decided_at: str
    decision: Outcome
    variant: str | None
    learning: str
    reason: str
    next_test: str
    effects: list[LearnedEffect]


class Prior(msgspec.Struct, frozen=True):
    """A normal prior on the lift: a hint, and nothing that is read by it unasked."""

    mean: float
    standard_deviation: float


class KindSummary(msgspec.Struct, frozen=True):
    """What one kind comes to, signed so that more is better; `expected` holds four in five new ones.

    `mde` is a lift to plan for: their mean, or the upper end of `expected` where that is no gain. `touchpoint` is null
    where it is about all; numbers are null under three experiments.
    """

    offer: str
    metric: str
    touchpoint: str | None
    tests: int
    mean: float | None
    standard_error: float | None
    between: float | None
    expected: Span | None
    mde: float | None
    prior: Prior | None


class LearningList(msgspec.Struct, frozen=True):
    """Decided experiments, the latest first, and what each kind of them comes to."""

    learnings: list[LearnedExperiment]
    summaries: list[KindSummary]


_SEARCH = (
    Query(
        "q",
        str,
        "Words of the name, hypothesis, what was said of the decision, placement or categories.",
        example="tea",
    ),
    Query("offer", str, "An offer type.", example="bundle"),
    Query("touchpoint", str, "A touchpoint.", example="cart"),
    Query("category", str, "A category of the products that were offered.", example="Tea"),
    Query("depth", Depth, "How much the discount takes off.", example="up_to_10"),
    Query("outcome", Outcome, "What was decided.", example="ship"),
    Query("storefront", str, "The storefront's own key.", example="shop"),
    Query("since", date, "Decided on this day or later.", example="2026-01-01"),
    Query("until", date, "Decided on this day or earlier.", example="2099-12-31"),
)

AFTERWARDS: Mapping[str, Operation] = {
    "holdbacks.read_holdback": Operation(tag="Experiments", answer=HoldbackAnswer),
    "learning_list.list_learnings": Operation(
        tag="Experiments", answer=LearningList, refuses=(422,), query=_SEARCH
    ),
    "report_links.list_links": Operation(tag="Experiments", answer=LinkList),
    "report_links.make_link": Operation(
        tag="Experiments", body=LinkInput, answer=LinkAnswer, status=201, refuses=(409,),
        example={"shows": "live", "days": 30},
    ),
    "report_links.revoke_link": Operation(tag="Experiments", answer=LinkAnswer),
}  # fmt: skip
