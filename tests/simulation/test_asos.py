"""78 experiments a shop really ran: the published table is reproduced, and what peeking does to it is shown."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from scipy.special import stdtr

from analysis.group_sequential import boundaries, crossing
from analysis.sequential import boundary, confidence_sequence, msprt, running_p_value, tuning

FILE = Path(__file__).parents[1] / "reference" / "asos" / "asos_digital_experiments_dataset.csv.gz"
# the authors' mixing variances by metric, as multiples of control's variance
MIXING = {1: 1.30e-5, 2: 1.07e-5, 3: 6.48e-6, 4: 5.92e-6}
ALPHA = 0.05


@dataclass
class Stream:
    """One treatment's metric over its checkpoints that have a variance; `whole` when none is missing."""

    metric: int
    n_c: np.ndarray
    n_t: np.ndarray
    effect: np.ndarray
    var_c: np.ndarray
    var_t: np.ndarray
    whole: bool

    @property
    def error(self):
        return np.sqrt(self.var_c / self.n_c + self.var_t / self.n_t)

    @property
    def welch(self):
        c, t = self.var_c / self.n_c, self.var_t / self.n_t
        df = (c + t) ** 2 / (c**2 / (self.n_c - 1) + t**2 / (self.n_t - 1))
        return 2 * stdtr(df, -np.abs(self.effect) / self.error)


@pytest.fixture(scope="module")
def streams():
    table = pyarrow.csv.read_csv(FILE)
    column = {name: table[name].to_numpy() for name in table.column_names}
    keys = sorted(set(zip(column["experiment_id"], column["variant_id"], column["metric_id"], strict=True)))
    found = []
    for experiment, variant, metric in keys:
        here = np.flatnonzero(
            (column["experiment_id"] == experiment)
            & (column["variant_id"] == variant)
            & (column["metric_id"] == metric)
        )
        here = here[np.argsort(column["time_since_start"][here])]
        part = {name: column[name][here] for name in column if name != "experiment_id"}
        known = np.isfinite(part["variance_c"]) & np.isfinite(part["variance_t"])
        known &= part["variance_c"] + part["variance_t"] > 0
        effect = (part["mean_t"] - part["mean_c"])[known]
        found.append(
            Stream(
                int(metric), part["count_c"][known], part["count_t"][known], effect, part["variance_c"][known],
                part["variance_t"][known], bool(known[-1]),
            )
        )  # fmt: skip
    return found


def test_the_published_welch_and_msprt_table_is_reproduced(streams):
    """Liu et al. 2021, Table 2: both / only mSPRT / neither / only t, per metric; 5 treatments lack variances."""
    found = {metric: Counter() for metric in MIXING}
    for s in streams:
        if not s.whole:
            continue
        n, spread = 2 / (1 / s.n_c + 1 / s.n_t), s.var_c + s.var_t
        p = msprt(s.effect, np.sqrt(spread / n), MIXING[s.metric] * s.var_c).p_value
        p[0] = 1.0  # the authors start counting at the second checkpoint
        found[s.metric][bool(s.welch[-1] < ALPHA), bool(running_p_value(p)[-1] < ALPHA)] += 1
    table = {
        metric: tuple(c[key] for key in ((True, True), (False, True), (False, False), (True, False)))
        for metric, c in found.items()
    }
    assert table == {1: (19, 2, 71, 7), 2: (20, 18, 49, 7), 3: (16, 6, 63, 9), 4: (16, 4, 63, 11)}


def test_peeking_calls_what_the_end_takes_back(streams):
    """Read at every checkpoint, the fixed test calls 225 of 381 streams, 120 of them not significant at the end.

    A confidence sequence tuned to the end calls 105, 31 of them not significant at the end by the fixed test.
    """
    whole = [s for s in streams if s.whole]
    ever = [bool(s.welch.min() <= ALPHA) for s in whole]
    end = [bool(s.welch[-1] <= ALPHA) for s in whole]
    assert (len(whole), sum(ever), sum(end)) == (381, 225, 105)
    assert sum(e and not f for e, f in zip(ever, end, strict=True)) == 120
    ours = [
        bool(confidence_sequence(s.effect, s.error, s.n_c + s.n_t, float(s.n_c[-1] + s.n_t[-1])).p_value.min() < ALPHA)
        for s in whole
    ]
    assert (sum(ours), sum(o and not f for o, f in zip(ours, end, strict=True))) == (105, 31)


def test_without_any_effect_the_same_looks_betray_only_the_fixed_test(streams):
    """Exact chances of a false alarm at the shop's own checkpoints: a fifth by peeking, at most 5% by ours."""
    naive, sequence, spending = [], [], []
    for s in streams[::24]:
        t = np.unique(np.round((s.n_c + s.n_t) / (s.n_c[-1] + s.n_t[-1]), 2))
        t = t[t > 0].tolist()
        naive.append(crossing(t, [1.959964] * len(t)).sum())
        sequence.append(crossing(t, boundary(np.array(t) * tuning(1.0) ** 2)).sum())
        spending.append(crossing(t, boundaries(t)).sum())
    assert np.mean(naive) > 0.2
    assert max(sequence) < ALPHA
    assert spending == pytest.approx([ALPHA] * len(spending), abs=1e-8)
