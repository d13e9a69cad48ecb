"""The lifecycle as a state machine: what is allowed is done, what is not is a Conflict, and nothing else happens."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from experiments.errors import Conflict
from experiments.lifecycle import MEASURING, SERVING, TRANSITIONS, after, allowed


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = "draft"
        self.path: list[str] = []

    @rule(action=st.sampled_from(sorted(TRANSITIONS)))
    def act(self, action) -> None:
        if action in allowed(self.state):
            self.state = after(self.state, action)
            self.path.append(action)
        else:
            with pytest.raises(Conflict) as refusal:
                after(self.state, action)
            assert self.state in refusal.value.message
        if self.state in {"stopped", "decided"}:
            assert "stop" in self.path
            assert not {"edit", "start", "resume", "reopen"} & set(allowed(self.state))
        if self.state in SERVING:
            assert "start" in self.path


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)


def test_whoever_serves_measures() -> None:
    assert SERVING <= MEASURING
