"""How a definition says that its test will be looked at: what is taken, and what is refused by its field."""

import pytest

from experiments.definition import parse, to_json
from experiments.errors import Invalid


def definition(**analysis):
    return {
        "key": "looks", "placement": "cart",
        "variants": [
            {"key": "control", "weight": 5000, "offer": {"type": "none"}},
            {"key": "bundle", "weight": 5000, "offer": {"type": "none"}},
        ],
        "analysis": analysis,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("analysis", "method"),
    [
        ({}, "confidence_sequence"),
        ({"sequential": False}, "fixed"),
        ({"sequential": False, "monitoring": "fixed"}, "fixed"),
        ({"monitoring": "msprt", "target_mde": "5%"}, "msprt"),
        ({"monitoring": "group_sequential", "planned_units": 40_000, "looks": 10}, "group_sequential"),
        ({"monitoring": "group_sequential", "target_mde": "5%", "looks": [0.5, 1], "spending": "pocock"},
         "group_sequential"),
    ],
)  # fmt: skip
def test_each_method_is_taken_and_comes_back(analysis, method):
    parsed = parse(definition(**analysis))
    assert parsed.analysis.method == method
    assert parse(to_json(parsed)) == parsed


@pytest.mark.parametrize(
    ("analysis", "field"),
    [
        ({"monitoring": "peek"}, "analysis.monitoring"),
        ({"monitoring": "fixed"}, "analysis.monitoring"),
        ({"monitoring": "msprt", "sequential": False, "target_mde": "5%"}, "analysis.monitoring"),
        ({"monitoring": "msprt"}, "analysis.target_mde"),
        ({"monitoring": "group_sequential"}, "analysis.planned_units"),
        ({"looks": 0}, "analysis.looks"),
        ({"looks": [0.5, 0.4, 1]}, "analysis.looks"),
        ({"looks": []}, "analysis.looks"),
        ({"spending": "all"}, "analysis.spending"),
        ({"planned_units": 1}, "analysis.planned_units"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_field(analysis, field):
    with pytest.raises(Invalid) as refusal:
        parse(definition(**analysis))
    assert field in [error.field for error in refusal.value.errors]
