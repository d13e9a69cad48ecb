"""The command on data at the edge: a number or a reason in every comparison, never NaN, never a warning."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from experiments.errors import Invalid
from webapp.cli.analyze import command

N = 120
METRICS = ("conv=proportion:bought", "rpv=mean:money", "aov=ratio:money/orders", "p90=quantile:money:0.9")
OPTIONS = [
    (),
    ("--sequential",),
    ("--sequential", "group-sequential", "--planned-units", "200"),
    ("--sequential", "msprt", "--target-lift", "5%"),
    ("--cap", "99", "--covariate", "before", "--segment", "level"),
    (
        "--correction",
        "dunnett",
        "--weights",
        "a=1",
        "--weights",
        "b=1",
        "--guardrail",
        "rpv=2%",
        "--guardrail",
        "conv=2%",
    ),
]


def side(units, bought, money, orders, before=0.0):
    columns = (bought, money, orders, before)
    return [np.broadcast_to(np.asarray(c, dtype=float), units) for c in columns]


def cases():
    rng = np.random.default_rng(11)
    few = (np.arange(N) < 12) * 1.0
    normal = lambda centre: rng.normal(centre, 1, N)  # noqa: E731 - four words in the table below
    past = normal(5)
    return {
        "all the same": (side(N, 1, 5, 1), side(N, 1, 5, 1)),
        "each variant constant": (side(N, 1, 5, 1), side(N, 1, 6, 1)),
        "one variant constant": (side(N, 1, 5, 1), side(N, 1, normal(5), 1)),
        "nobody buys": (side(N, 0, 0, 0), side(N, 0, 0, 0)),
        "nobody buys in the treatment": (side(N, few, 20 * few, few), side(N, 0, 0, 0)),
        "one visitor each": (side(1, 0, 0, 0), side(1, 1, 12, 1)),
        "one visitor against many": (side(1, 1, 9, 1), side(N, few, 20 * few, few)),
        "two visitors each": (side(2, [0, 1], [0, 5], [0, 1]), side(2, [1, 1], [7, 2], [1, 1])),
        "refunds beyond revenue": (side(N, 1, normal(-3), 1), side(N, 1, normal(2), 1)),
        "control about zero": (side(N, 1, normal(0), 1), side(N, 1, normal(1), 1)),
        "1e12": (side(N, 1, 1e12 + np.arange(N) % 7, 1), side(N, 1, 1e12 + np.arange(N) % 5, 1)),
        "1e8 with deviation 1": (side(N, 1, 1e8 + normal(0), 1), side(N, 1, 1e8 + normal(0), 1)),
        "1e-90": (side(N, 1, 1e-90 * normal(3), 1), side(N, 1, 1e-90 * normal(3), 1)),
        "99 to 1": (side(9_900, 1, rng.lognormal(1, 1.5, 9_900), 1), side(100, 1, rng.lognormal(1, 1.5, 100), 1)),
        "covariate that tells all": (side(N, 1, past, 1, past), side(N, 1, past[::-1], 1, past[::-1])),
        "covariate that was moved": (side(N, 1, past, 1, past), side(N, 1, past, 1, past + 9)),
    }


def analysed(folder, sides, options):
    file = folder / "units.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["variant", "bought", "money", "orders", "before", "level"])
        for name, columns in zip("ab", sides, strict=True):
            for i, row in enumerate(zip(*columns, strict=True)):
                writer.writerow([name, *(repr(float(x)) for x in row), "odd" if i % 2 else "even"])
    metrics = [word for metric in METRICS for word in ("--metric", metric)]
    arguments = [str(file), "--variant", "variant", "--control", "a", *metrics, *options, "--format", "json"]
    found = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout, parse_constant=pytest.fail)  # NaN or Infinity


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(o) or "plain")
@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_number_or_a_reason(tmp_path, case, options):
    out = analysed(tmp_path, cases()[case], options)
    for metric in out["metrics"]:
        for c in metric["comparisons"]:
            assert c["estimable"] != bool(c["reason"])
            assert (c["p_value"] is None) != c["estimable"]
            if c["estimable"]:
                d = c["difference"]
                assert d["low"] <= d["estimate"] <= d["high"]
            if c["sequential"] and c["sequential"]["p_value"] is None:
                assert c["sequential"]["reason"]


def test_values_whose_squares_no_double_holds_are_refused_by_name(tmp_path):
    rng = np.random.default_rng(12)
    huge = [side(N, 1, 1e150 * rng.normal(3, 1, N), 1) for _ in range(2)]
    with pytest.raises(Invalid, match="money"):
        analysed(tmp_path, huge, ())
