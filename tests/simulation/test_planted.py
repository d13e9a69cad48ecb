"""Ten planted truths each bring their sentence, and the wrong one no more often than its rate allows.

A short run of what `python -m tests.simulation.planted 200` prints in full (docs/report.md).
"""

import pytest

from tests.simulation.planted import RIGHT, TRUTHS, WRONG, Tally, read, said, tally

RUNS = 6


@pytest.mark.parametrize("truth", TRUTHS)
def test_a_planted_truth_is_said_and_its_opposite_is_not(truth: str) -> None:
    found: Tally = tally(truth, range(1000, 1000 + RUNS))
    assert found.right >= RUNS - 1, f"{truth}: {RIGHT[truth]} in {found.right} of {RUNS} runs"
    for sentence, runs in found.wrong.items():
        assert runs <= max(found.allowed(sentence), 0), f"{truth}: {sentence} in {runs} of {RUNS} runs"


def test_a_brief_report_says_what_the_whole_one_says() -> None:
    for truth in ("true lift", "fatigue"):
        assert said(read(truth, 3)) == said(read(truth, 3, brief=False))


def test_every_truth_names_what_is_right_and_what_is_wrong() -> None:
    assert set(TRUTHS) == set(RIGHT) == set(WRONG)
