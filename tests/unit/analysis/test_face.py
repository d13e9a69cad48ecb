"""What notebooks may rely on: the public names, and that their examples say what they give."""

import doctest
import json
from pathlib import Path

import pytest

import analysis
from analysis import Metric, analyze, chart, files, notebook
from experiments.errors import NotEstimable

FILE = "experiments/data/karlan_list_2007.csv.gz"


def test_the_public_names_are_sorted_and_there():
    assert analysis.__all__ == sorted(analysis.__all__)
    assert all(hasattr(analysis, name) for name in analysis.__all__)


@pytest.mark.parametrize("module", [notebook, files])
def test_a_module_says_what_its_examples_give(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_page_on_reports_says_what_its_examples_give():
    page = Path(__file__).parents[3] / "docs" / "report.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0


def test_a_report_shows_itself_as_text_page_picture_and_json(tmp_path):
    report = analyze(FILE, variant="arm", control="control", metrics=[Metric("gave <b>", "proportion", "gave")])
    assert "gave <b>" in str(report)
    assert "gave &lt;b&gt;" in report._repr_html_()
    picture = chart(report["gave <b>"])
    picture.save(tmp_path / "gave.svg")
    assert (tmp_path / "gave.svg").read_text().startswith("<svg")
    assert "<b>" not in picture._repr_svg_()
    picture.save(tmp_path / "gave.PNG")
    assert (tmp_path / "gave.PNG").read_bytes().startswith(b"\x89PNG")
    assert picture.specification["layer"]
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_picture_of_nothing_is_refused():
    report = analyze(FILE, variant="arm", control="control", metrics=[Metric("rows", "mean", "count()")])
    with pytest.raises(NotEstimable, match="rows"):
        chart(report["rows"])
