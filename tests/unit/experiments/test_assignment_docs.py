"""docs/assignment.md names what there is: every reason, every gate, every setting."""

from pathlib import Path
from typing import get_args

from experiments.assignment import Reason
from experiments.crawlers import BotFilter
from experiments.explanation import GATES
from experiments.service.settings import StorefrontChange
from experiments.signals import Consent

TEXT = (Path(__file__).parents[3] / "docs" / "assignment.md").read_text()


def test_the_documentation_names_every_reason_gate_and_setting() -> None:
    settings = set(StorefrontChange.__struct_fields__) - {"name", "origins"}
    for word in {*get_args(Reason), *settings, *get_args(BotFilter), *get_args(Consent)}:
        assert f"`{word}`" in TEXT or f'"{word}"' in TEXT, word
    for gate in GATES:
        assert f"| {gate} |" in TEXT, gate
