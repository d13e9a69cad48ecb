import doctest
from pathlib import Path

import analysis.notebook

PAGE = Path(__file__).parents[3] / "docs" / "STATISTICS.md"


def test_the_page_on_estimates_says_what_its_examples_give():
    assert doctest.testfile(str(PAGE), module_relative=False).failed == 0


def test_the_call_of_a_notebook_says_what_its_example_gives():
    assert doctest.testmod(analysis.notebook).failed == 0
