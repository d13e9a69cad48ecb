"""The library of learnings as pages and API ask for it: what is searched, what is found, and what it comes to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from analysis.learnings import Found, Summary, hint, shrunken, summaries
from experiments.identifiers import StorefrontId
from experiments.moment import Micros, moment
from experiments.storage.learnings import Learning, read_learnings

Depth = Literal["none", "up_to_10", "up_to_20", "over_20"]
DEPTHS: Mapping[Depth, tuple[float, float]] = {
    "none": (-1.0, 0.0), "up_to_10": (0.0, 0.10), "up_to_20": (0.10, 0.20), "over_20": (0.20, 1.0)
}  # fmt: skip
"""Depths of a discount: above the first share, up to the second."""
Outcome = Literal["ship", "do_not_ship"]


class Search(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is looked for; what is not said does not matter. `q` are words, `since` and `until` dates, both included."""

    q: str = ""
    offer: str | None = None
    touchpoint: str | None = None
    category: str | None = None
    depth: Depth | None = None
    outcome: Outcome | None = None
    storefront: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One variant's effect on the primary metric: as it was observed, and drawn to what its kind has in common."""

    variant: str
    offer: str
    depth: float | None
    estimate: float | None
    low: float | None
    high: float | None
    shrunken: float | None = None
    shipped: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One decided experiment of the library."""

    learning: Learning
    lines: tuple[Line, ...]

    @property
    def gist(self) -> dict[str, Any]:
        """The facts of its kept report."""
        return self.learning.gist


@dataclass(frozen=True, slots=True)
class Library:
    """What a search finds, the latest first, and what it comes to by kind."""

    entries: tuple[Entry, ...]
    summaries: tuple[Summary, ...]
    known: int
    """Decided experiments in all."""


def library(learnings: Sequence[Learning], search: Search) -> Library:
    """The entries of a search; effects are drawn to those of all decided experiments, searched for or not."""
    drawn = shrunken([f for learning in learnings for f in _by_variant(learning)])
    found = [learning for learning in learnings if _fits(learning, search)]
    entries = tuple(Entry(learning, tuple(_lines(learning, drawn, search))) for learning in found)
    come = summaries([f for learning in found for f in effects(learning) if search.offer in {None, f.offer}])
    return Library(entries, come, len(learnings))


def effects(learning: Learning) -> list[Found]:
    """One effect for each offer type, signed so that more is better.

    Variants of one type share their control: they are one finding, their mean, and no surer than one of them.
    """
    kinds: dict[str, list[Found]] = {}
    for one in _by_variant(learning):
        kinds.setdefault(one.offer, []).append(one)
    return [
        replace(some[0], estimate=sum(f.estimate for f in some) / len(some),
                standard_error=max(f.standard_error for f in some), variant="")
        for some in kinds.values()
    ]  # fmt: skip


def _by_variant(learning: Learning) -> list[Found]:
    gist, sign = learning.gist, _sign(learning)
    return [
        Found(learning.experiment_id, e["offer"], gist["touchpoint"], gist["metric"], sign * e["estimate"],
              e["standard_error"], e["variant"])
        for e in gist["effects"]
        if e["estimate"] is not None and e["standard_error"]
    ]  # fmt: skip


def _sign(learning: Learning) -> float:
    return -1.0 if learning.gist["direction"] == "decrease" else 1.0


def _lines(learning: Learning, drawn: Mapping[tuple[int, str], tuple[float, float]], search: Search) -> list[Line]:
    shipped, sign, lines = learning.decision.get("variant"), _sign(learning), []
    for effect in learning.gist["effects"]:
        if search.offer in {None, effect["offer"]}:
            known = drawn.get((learning.experiment_id, effect["variant"]))
            lines.append(Line(
                effect["variant"], effect["offer"], effect["depth"], effect["estimate"], effect["low"], effect["high"],
                None if known is None else sign * known[0], effect["variant"] == shipped,
            ))  # fmt: skip
    return lines


def _fits(learning: Learning, s: Search) -> bool:
    gist, on = learning.gist, moment(Micros(learning.decided_at)).date()
    return (
        (s.offer is None or any(e["offer"] == s.offer for e in gist["effects"]))
        and s.touchpoint in {None, gist["touchpoint"]}
        and (s.category is None or s.category in gist["categories"])
        and (s.depth is None or any(_in(e["depth"], s.depth) for e in gist["effects"]))
        and s.outcome in {None, learning.decision.get("decision")}
        and s.storefront in {None, learning.storefront}
        and (s.since is None or on >= s.since)
        and (s.until is None or on <= s.until)
        and all(word in _text(learning) for word in s.q.lower().split())
    )


def _in(found: float | None, depth: Depth) -> bool:
    above, most = DEPTHS[depth]
    return found is not None and above < found <= most + 1e-9


def _text(learning: Learning) -> str:
    gist = learning.gist
    said = (learning.decision.get(name) or "" for name in ("reason", "learning", "next_test"))
    words = (learning.key, gist["name"], gist["hypothesis"], *said, gist["placement"])
    return " ".join([*words, *gist["categories"]]).lower()


def similar_tests(
    conn: Connection, metric: str, offer: str | None = None, touchpoint: str | None = None,
    storefronts: Iterable[StorefrontId] | None = None,
) -> Summary:  # fmt: skip
    """What decided experiments like the next one found: of its metric, offer type and touchpoint, as far as known."""
    known = read_learnings(conn, None if storefronts is None else list(storefronts))
    return hint([f for learning in known for f in effects(learning)], metric, offer, touchpoint)


def summary_json(summary: Summary) -> dict[str, Any]:
    """One kind of experiments: lifts signed so that more is better."""
    pooled, prior = summary.pooled, summary.prior
    return {
        "offer": summary.offer,
        "metric": summary.metric,
        "touchpoint": summary.touchpoint,
        "tests": summary.tests,
        "mean": None if pooled is None else pooled.mean,
        "standard_error": None if pooled is None else pooled.standard_error,
        "between": None if pooled is None else pooled.between,
        "expected": None if pooled is None else {"low": summary.low, "high": summary.high},
        "mde": summary.mde,
        "prior": None if prior is None else {"mean": prior.mean, "standard_deviation": prior.standard_deviation},
    }
