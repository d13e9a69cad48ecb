"""Decision rules for laws that hold of every one of them."""

from hypothesis import strategies as st

from experiments.rules import DecisionRule

any_rule = st.builds(
    DecisionRule,
    metric=st.sampled_from([None, "contribution_per_visitor", "aov"]),
    least_lift=st.sampled_from([None, "0%", "-2%", "1.5%"]),
    max_loss=st.sampled_from([None, "0.02"]),
    secondaries_forbid=st.booleans(),
    prove_guardrails=st.booleans(),
    minimum_precision=st.sampled_from([None, "80%"]),
)
