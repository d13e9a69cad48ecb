"""A kept report read back says what it said."""

import msgspec
import pytest

from analysis.stored import stored_report
from experiments.errors import NotEstimable
from tests.simulation.planted import read


def kept(value: object) -> object:
    """As the database gives it back."""
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.mark.parametrize("truth", ["true lift", "fatigue", "broken randomisation", "crossover at login"])
def test_what_was_written_is_read_and_written_again(truth: str) -> None:
    written = kept(read(truth, 3, brief=False).to_dict())
    assert kept(stored_report(written).to_dict()) == written  # type: ignore[arg-type]  # JSON is an object here


def test_a_report_from_before_the_program_knew_more_is_still_read() -> None:
    written = kept(read("true lift", 3).to_dict())
    assert isinstance(written, dict)
    for name in ("lasting", "price_changes", "all_visitors", "overlaps"):
        written.pop(name, None)
    found = stored_report(written)
    assert (found.lasting, found.price_changes, found.control) == (None, (), "control")


def test_where_nobody_entered_there_is_no_report() -> None:
    with pytest.raises(NotEstimable, match="nobody"):
        stored_report({"reason": "nobody has entered"})
