"""What was learned: effects of decided experiments taken together by kind, and what the next one may expect.

An effect that was decided by is too large more often than not, as those that looked best were chosen. Shrinking each to
the common effect of its kind gives that back on average (Efron 2011); the spread between true effects is what a plan
and a prior can use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import erfcx, ndtr, ndtri

from analysis.bayes import NormalPrior
from analysis.power import Design
from analysis.segments import Pooled, pool, shrink

FEWEST = 3
"""Experiments of one kind, below which their spread says nothing."""
MOST = 0.8
"""Of new experiments of a kind, the share that the expected span is to hold."""
NARROWEST = 1e-6
"""A standard deviation of a prior is above 0, even where all experiments found the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """One experiment's lift by one offer type, on one metric, at one touchpoint; signed so that more is better."""

    experiment: int
    offer: str
    touchpoint: str | None
    metric: str
    estimate: float
    standard_error: float
    variant: str = ""


Kind = tuple[str, str]
"""An offer type and a metric: lifts of different metrics are no effects of one kind."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Experiments of one kind: how many, their common effect, and between what a new one's true effect is expected.

    `touchpoint` is None where it is about all of them; `pooled` None where there are too few.
    """

    offer: str
    metric: str
    touchpoint: str | None
    tests: int
    pooled: Pooled | None
    low: float | None
    high: float | None

    @property
    def prior(self) -> NormalPrior | None:
        """As a prior on the lift: a hint to whoever states one, and nothing that is read by it unasked."""
        if self.pooled is None:
            return None
        return NormalPrior(self.pooled.mean, max(_spread(self.pooled), NARROWEST))

    @property
    def mde(self) -> float | None:
        """A lift to plan for: their common effect, or where that is no gain, the most that can be hoped for.

        None where nothing is known, or nine in ten new ones are expected to gain nothing.
        """
        if self.pooled is None or self.high is None or self.high <= 0:
            return None
        return self.pooled.mean if self.pooled.mean > 0 else self.high


@dataclass(frozen=True, slots=True)
class Win:
    """What is to be expected of a test that wins: how likely that is, what it will show, and what is true of it."""

    chance: float
    shown: float
    true: float


def if_it_wins(prior: NormalPrior, standard_error: float, critical: float) -> Win:
    """What a test with this standard error comes to, on average, where it shows an effect above so many of them.

    `shown` exceeds `true` by the winner's curse: means of a normal effect and of its estimate where that is past the
    limit (Tallis 1961; the chance is O'Hagan, Stevens & Campbell's assurance, 2005).
    """
    seen = float(np.hypot(prior.standard_deviation, standard_error))
    away = (critical * standard_error - prior.mean) / seen
    hazard = float(np.sqrt(2 / np.pi) / erfcx(away / np.sqrt(2)))  # the density over the tail, however far away
    true = prior.mean + prior.standard_deviation**2 / seen * hazard
    return Win(float(ndtr(-away)), prior.mean + seen * hazard, true)


def planned_win(like: Summary, design: Design, lift: float | None) -> Win | None:
    """What a test that is large enough to find this lift comes to where it wins, by what earlier ones found.

    None where those say nothing, or the plan's effect is no lift.
    """
    if like.prior is None or lift is None:
        return None
    standard_error = abs(lift) / (design.critical + float(ndtri(design.power)))
    return if_it_wins(like.prior, standard_error, design.critical)


def shrunken(found: Sequence[Found]) -> Mapping[tuple[int, str], tuple[float, float]]:
    """By experiment and variant, the effect drawn to the common one of its kind, with its standard error.

    Kinds of too few experiments are left out: what they have in common is not known.
    """
    out: dict[tuple[int, str], tuple[float, float]] = {}
    for some in _kinds(found).values():
        if len({f.experiment for f in some}) < FEWEST:
            continue
        drawn = shrink([f.estimate for f in some], [f.standard_error for f in some])
        out |= {(f.experiment, f.variant): one for f, one in zip(some, drawn, strict=True)}
    return out


def summaries(found: Sequence[Found]) -> tuple[Summary, ...]:
    """Each kind over all touchpoints, then at each touchpoint where it was tried at more than one."""
    out = []
    for (offer, metric), some in _kinds(found).items():
        out.append(_summary(offer, metric, None, some))
        places = list(dict.fromkeys(f.touchpoint for f in some))
        out += [
            _summary(offer, metric, place, [f for f in some if f.touchpoint == place])
            for place in places
            if place is not None and len(places) > 1
        ]
    return tuple(sorted(out, key=lambda s: (s.offer, s.metric, s.touchpoint or "")))


def hint(found: Iterable[Found], metric: str, offer: str | None = None, touchpoint: str | None = None) -> Summary:
    """What experiments like the next one found: of its offer type and touchpoint, where those are known."""
    like = [f for f in found if f.metric == metric and offer in {None, f.offer}]
    here = [f for f in like if f.touchpoint == touchpoint]
    close = touchpoint is not None and len(here) >= FEWEST
    return _summary(offer or "", metric, touchpoint if close else None, here if close else like)


def _kinds(found: Iterable[Found]) -> dict[Kind, list[Found]]:
    kinds: dict[Kind, list[Found]] = {}
    for one in found:
        kinds.setdefault((one.offer, one.metric), []).append(one)
    return kinds


def _summary(offer: str, metric: str, touchpoint: str | None, some: Sequence[Found]) -> Summary:
    if len({f.experiment for f in some}) < FEWEST:
        return Summary(offer, metric, touchpoint, len({f.experiment for f in some}), None, None, None)
    pooled = pool([f.estimate for f in some], [f.standard_error for f in some])
    reach = NormalDist().inv_cdf(0.5 + MOST / 2) * _spread(pooled)
    tests = len({f.experiment for f in some})
    return Summary(offer, metric, touchpoint, tests, pooled, pooled.mean - reach, pooled.mean + reach)


def _spread(pooled: Pooled) -> float:
    """How far a new experiment's true effect lies from the mean: the spread between them, and the mean's own error."""
    return float((pooled.between**2 + pooled.standard_error**2) ** 0.5)
