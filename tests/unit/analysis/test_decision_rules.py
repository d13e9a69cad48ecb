"""What a decision rule makes of findings: laws over all rules, and for each clause a case in which it alone decides."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import AnalysisPlan, Metric, analyze
from analysis.checks import Check
from analysis.decision import Finding, Rule, Standing, decide, deciding, held_back, unmet
from analysis.findings import findings as findings_of
from analysis.monitoring import Monitoring, Observed
from analysis.monitoring import read as read_at
from analysis.outlook import outlook
from experiments.rules import PRESETS, DecisionRule

UNITS = {"control": 1000, "a": 1000, "b": 1000}
PASSED, FAILED = Check("srm", "pass", 0.5, 0.1, "even"), Check("srm", "fail", 1e-9, 40.0, "uneven")
ROLES = {"goal": "primary", "profit": "secondary", "aov": "secondary", "returns": "guardrail"}
LIFTS = [None, "-5%", "-1%", "0%", "1%", "5%"]


def finding(metric: str, variant: str, movement: Any, guarded: bool | None = None, **others: Any) -> Finding:
    others = {"proven": movement == "better"} | others
    return Finding(metric, ROLES[metric], variant, movement, f"{variant} on {metric}", guarded=guarded, **others)


@st.composite
def found(draw: st.DrawFn) -> list[Finding]:
    out = []
    for variant in ("a", "b")[: draw(st.integers(1, 2))]:
        for metric in ROLES:
            movement = draw(st.sampled_from(["better", "worse", "flat", "unknown"]))
            guarded = draw(st.booleans()) if metric == "returns" else None
            gain, loss = draw(st.floats(-1, 1)), draw(st.none() | st.floats(0, 1))
            out.append(finding(metric, variant, movement, guarded, gain=gain, loss=loss))
    return out


rules = st.builds(
    DecisionRule,
    metric=st.sampled_from([None, "profit"]),
    least_lift=st.sampled_from(["0%", None]),
    max_loss=st.sampled_from([None, "0.1", "0.5"]),
    secondaries_forbid=st.booleans(),
    prove_guardrails=st.booleans(),
    minimum_precision=st.sampled_from([None, "40%", "80%"]),
)
standings = st.builds(
    Standing, st.booleans(), st.floats(0, 30), st.integers(0, 14), st.none() | st.floats(0, 1)
)  # fmt: skip


def verdict(asked: DecisionRule, findings: Any, checks: Any = (PASSED,), complete: bool = True, at: Any = None) -> Any:
    made = decide(Rule(complete=complete, asked=asked), findings, checks, UNITS)
    return made if at is None else held_back(made, asked, at)


@given(rules, found(), st.booleans(), standings)
def test_a_failed_check_is_never_shipped(asked: DecisionRule, findings: Any, complete: bool, at: Any) -> None:
    made = verdict(asked, findings, (PASSED, FAILED), complete, at)
    assert (made.decision, made.variant, made.ground) == ("fix_first", None, "checks")


@given(rules, found(), st.booleans(), standings, st.data())
def test_a_stricter_rule_never_ships_where_a_laxer_one_does_not(
    lax: DecisionRule, findings: Any, complete: bool, at: Any, data: st.DataObject
) -> None:
    strict = DecisionRule(
        lax.metric,
        lax.least_lift if lax.least_lift is not None else data.draw(st.sampled_from([None, "0%"])),
        data.draw(st.sampled_from([loss for loss in (None, "0.05", lax.max_loss) if lax.max_loss or not loss])),
        lax.secondaries_forbid or data.draw(st.booleans()),
        lax.prove_guardrails or data.draw(st.booleans()),
        lax.minimum_precision and data.draw(st.sampled_from([lax.minimum_precision, "95%"])),
    )
    if verdict(strict, findings, complete=complete, at=at).decision == "ship":
        assert verdict(lax, findings, complete=complete, at=at).decision == "ship"


@given(found(), st.booleans())
def test_clear_signals_is_the_rule_that_there_was(findings: Any, complete: bool) -> None:
    """Written once more, as it stood before there was a choice."""
    primary = [f for f in findings if f.role == "primary"]
    made = verdict(PRESETS["clear_signals"], findings, complete=complete)
    by = {v: [f for f in findings if f.variant == v] for v in ("a", "b")}
    wins = [f.variant for f in primary if f.movement == "better" and all(g.movement != "worse" for g in by[f.variant])]
    clear = [v for v in wins if all(f.guarded is not False for f in by[v])]
    if all(f.movement == "unknown" for f in primary):
        expected = "do_not_ship" if complete else "keep_running"
    elif clear:
        expected = "ship"
        assert made.variant == max(clear, key=lambda v: next(f.gain for f in primary if f.variant == v))
    else:
        waits = not complete and (wins or not any(f.movement == "worse" for f in primary))
        expected = "keep_running" if waits else "do_not_ship"
    assert made.decision == expected


@given(rules, found(), st.booleans())
def test_what_is_said_to_be_missing_is_all_that_is(asked: DecisionRule, findings: Any, complete: bool) -> None:
    """Whoever mends every unmet clause of a variant, and nothing else, ships it or one that is better."""
    if verdict(asked, findings, complete=complete).decision == "ship":
        return
    for variant in {f.variant for f in deciding(asked, findings)}:
        missing = unmet(asked, [f for f in findings if f.variant == variant])
        assert missing
        mended = [mend(f, missing) if f.variant == variant else f for f in findings]
        assert verdict(asked, mended, complete=complete).decision == "ship"
        assert not unmet(asked, [f for f in mended if f.variant == variant])


def mend(f: Finding, missing: Any) -> Finding:
    grounds = {one.ground for one in missing if one.metric == f.metric}
    if grounds & {"proof", "unknown"}:
        f = replace(f, movement="better", proven=True)
    elif "harm" in grounds:
        f = replace(f, movement="flat")
    return replace(f, guarded=True) if "guardrails" in grounds else f


GOOD = [
    finding("goal", "a", "better", gain=1.0, loss=0.0), finding("profit", "a", "flat", loss=0.1),
    finding("aov", "a", "flat"), finding("returns", "a", "flat", True),
]  # fmt: skip


def but(**changes: Any) -> list[Finding]:
    """The good case with one metric's finding changed."""
    out = []
    for f in GOOD:
        change = changes.get(f.metric, {})
        proven = {"proven": change["movement"] == "better"} if "movement" in change else {}
        out.append(replace(f, **(proven | change)))
    return out


WORSE, FLAT, DONE = {"movement": "worse"}, {"movement": "flat"}, Standing(False, 20, 7, 0.9)


@pytest.mark.parametrize(
    ("asked", "findings", "at", "without", "ground"),
    [
        (DecisionRule(), but(goal=FLAT), DONE, DecisionRule(least_lift=None), "proof"),
        (DecisionRule(), but(aov=WORSE), DONE, DecisionRule(secondaries_forbid=False), "harm"),
        (DecisionRule(), but(returns={"guarded": False}), DONE, DecisionRule(prove_guardrails=False), "guardrails"),
        (DecisionRule(metric="profit"), GOOD, DONE, DecisionRule(metric=None), "proof"),
        (DecisionRule(metric="profit"), but(profit=FLAT), DONE, DecisionRule(metric="profit", max_loss="0.2"), "proof"),
        (
            DecisionRule(metric="profit", max_loss="0.05"), but(profit=FLAT), DONE,
            DecisionRule(metric="profit", max_loss="0.1"), "proof",
        ),
        (DecisionRule(minimum_precision="95%"), GOOD, DONE, DecisionRule(minimum_precision="90%"), "precision"),
    ],
)  # fmt: skip
def test_each_clause_decides_alone_somewhere(asked: Any, findings: Any, at: Any, without: Any, ground: str) -> None:
    kept = verdict(asked, findings, at=at)
    assert (kept.decision, kept.ground) == ("do_not_ship", ground)
    assert verdict(without, findings, at=at).decision == "ship"


def test_a_small_expected_loss_ships_what_is_not_shown_to_be_worse() -> None:
    asked = DecisionRule(metric="profit", max_loss="0.1")
    made = verdict(asked, but(profit=FLAT))
    assert (made.decision, made.ground) == ("ship", "loss")
    assert verdict(asked, but(profit=WORSE)).ground == "harm"


def test_time_decides_alone() -> None:
    early, ripe = (verdict(DecisionRule(), GOOD, at=Standing(True, days, 7)) for days in (6.9, 7.0))
    assert (early.decision, early.ground, ripe.decision, ripe.ground) == ("keep_running", "days", "ship", "proof")
    waits = verdict(DecisionRule(minimum_precision="95%"), GOOD, at=Standing(True, 20, 7, 0.9))
    assert (waits.decision, waits.ground) == ("keep_running", "precision")
    assert waits.because[0].startswith("90% of the units")


@pytest.mark.parametrize(
    ("preset", "findings", "decision", "ground"),
    [
        ("clear_signals", but(goal=FLAT), "do_not_ship", "proof"),
        ("do_no_harm", but(goal=FLAT), "ship", "no_harm"),
        ("do_no_harm", but(goal=FLAT, returns={"guarded": False}), "do_not_ship", "guardrails"),
        ("do_no_harm", but(goal=FLAT, aov=WORSE), "do_not_ship", "harm"),
        ("do_no_harm", but(goal=WORSE), "do_not_ship", "harm"),
        ("do_no_harm", but(goal={"movement": "unknown"}), "do_not_ship", "unknown"),
        ("profit_first", but(goal=FLAT, profit={"movement": "better"}), "ship", "proof"),
        ("profit_first", but(aov=WORSE, profit={"movement": "better"}), "ship", "proof"),
        ("profit_first", but(goal=WORSE, profit={"movement": "better"}), "do_not_ship", "harm"),
        ("profit_first", but(returns=WORSE, profit={"movement": "better"}), "do_not_ship", "harm"),
        ("profit_first", but(profit=WORSE), "do_not_ship", "harm"),
        ("profit_first", GOOD, "do_not_ship", "proof"),
    ],
)
def test_presets_decide_as_they_are_named(preset: str, findings: Any, decision: str, ground: str) -> None:
    asked = PRESETS[preset]
    asked = DecisionRule("profit", secondaries_forbid=False) if asked.metric else asked
    made = verdict(asked, findings)
    assert (made.decision, made.ground) == (decision, ground)


Y, Z = Metric("y", "mean", "y"), Metric("z", "mean", "z")


def two(lift: float, n: int = 4_000, seed: int = 2, spread: float = 3.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.normal(10, spread, n), rng.normal(10 * (1 + lift), spread, n)])
    return pa.table({"variant": ["a"] * n + ["b"] * n, "y": y, "z": rng.normal(5, 1, 2 * n)})


def read(table: pa.Table, asked: DecisionRule, **options: Any) -> Any:
    plan = AnalysisPlan(
        (Y, Z), "a", roles={"y": "primary", "z": "guardrail"}, margins={"z": 0.05}, rule=asked, **options
    )
    return analyze(table, plan)


@pytest.mark.parametrize("sequential", [False, True])
def test_a_stricter_lift_never_ships_where_a_laxer_one_does_not(sequential: bool) -> None:
    """From data on: no margin ships less than a smaller one, through 0."""
    table = two(0.02)
    shipped = [
        read(table, DecisionRule(least_lift=f"{lift / 4:g}%"), sequential=sequential).verdict.decision == "ship"
        for lift in range(-16, 20)
    ]
    assert shipped == sorted(shipped, reverse=True)
    assert shipped[0]
    assert not shipped[-1]


def test_a_lift_that_is_asked_for_is_where_fiellers_interval_ends() -> None:
    """The test of a shifted control and the interval of the ratio are one (Fieller 1954)."""
    low = read(two(0.05), DecisionRule())["y"].comparison("b").lift.low
    for near, decision in ((low - 2e-5, "ship"), (low + 2e-5, "do_not_ship")):
        report = read(two(0.05), DecisionRule(least_lift=f"{near:.7f}"))
        assert report.verdict.decision == decision
        assert report.to_dict()["metrics"][0]["comparisons"][0]["exceeds"]["lift"] == pytest.approx(near, abs=1e-7)


def test_where_less_is_better_a_lift_is_a_fall() -> None:
    metric = Metric("y", "mean", "y", direction="decrease")
    plan = AnalysisPlan((metric,), "a", rule=DecisionRule(least_lift="2%"))
    assert analyze(two(-0.1), plan).verdict.decision == "ship"
    assert analyze(two(0.1), plan).verdict.decision == "do_not_ship"


def test_a_share_of_a_loss_is_no_lift() -> None:
    table = two(0.1)
    table = table.set_column(1, "y", pa.array(np.asarray(table["y"]) - 20))
    report = read(table, DecisionRule(least_lift="-5%"))
    assert report["y"].comparison("b").exceeds.p_value is None


def test_harmless_alone_is_read_by_the_method_of_the_plan() -> None:
    """Guardrails that carry the proof are as strict at any time as the metric that decides would be."""
    table = two(0.0)
    once, often = (read(table, DecisionRule(least_lift=None), sequential=s) for s in (False, True))
    p = [r["z"].comparison("b").non_inferiority.p_value for r in (once, often)]
    assert p[0] < p[1]
    assert once.verdict.ground == "no_harm"
    plain = read(table, DecisionRule(), sequential=True)["z"].comparison("b").non_inferiority
    assert plain.p_value == p[0]


def test_a_guardrail_that_cannot_be_read_is_not_shown_to_hold() -> None:
    table = two(0.1)
    table = table.set_column(2, "z", pa.array(np.ones(len(table))))
    assert read(table, DecisionRule()).verdict.ground == "guardrails"


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([0.0, 0.02, -0.1]), st.sampled_from(list(PRESETS)))
def test_the_outlook_names_every_unmet_clause(lift: float, preset: str) -> None:
    asked = PRESETS[preset] if preset != "profit_first" else DecisionRule("z", secondaries_forbid=False)
    report = read(two(lift), asked)
    plan = AnalysisPlan((Y, Z), "a", roles={"y": "primary", "z": "guardrail"}, margins={"z": 0.05}, rule=asked)
    said = [f for r in report.metrics for f in findings_of(r, plan)]
    lines = outlook(report.verdict, plan, said, report.metrics, None)
    missing = unmet(asked, said)
    if report.verdict.decision == "ship":
        assert not missing
        assert "no longer be shipped" in lines[0]
    else:
        (line,) = lines
        assert line.startswith("It would become ship b if ")
        assert line.count("; and ") == len(missing) - 1
        assert all(one.metric in line for one in missing)


def test_looking_daily_at_a_harmless_rule_keeps_its_rate() -> None:
    """A guardrail at its margin, looked at 50 times: shipped in no more runs than alpha, five standard deviations."""
    rng = np.random.default_rng(7)
    runs, looks, each, margin, alpha = 2_000, 50, 200, 0.05, 0.05
    control = rng.normal(10, 3 / np.sqrt(each), (runs, looks))
    treated = rng.normal(10 * (1 - margin), 3 / np.sqrt(each), (runs, looks))
    n = each * np.arange(1, looks + 1)
    distance = np.cumsum(treated - (1 - margin) * control, axis=1) / np.arange(1, looks + 1)
    error = np.sqrt(9 / n * (1 + (1 - margin) ** 2))
    monitoring = Monitoring(planned_units=2 * each * looks)
    wrong = 0
    for run in range(runs):
        ahead = np.flatnonzero(distance[run] / error > 1.9)  # a smaller one is above alpha by any method
        shown = (
            read_at(monitoring, Observed(distance[run, i], error[i], 10.0, 9.0, n[i], n[i]), alpha).p_value
            for i in ahead
        )
        wrong += any(p is not None and p < alpha for p in shown)
    assert wrong <= runs * alpha / 2 + 5 * np.sqrt(runs * alpha / 2)
