import doctest
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[3] / "docs" / "statistics").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_says_what_it_gives(page):
    result = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
