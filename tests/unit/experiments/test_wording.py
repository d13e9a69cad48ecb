"""Sentences that remember what they are made of: plain English to all but the pages."""

import json
import pickle
import sqlite3
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import FieldError, Invalid
from experiments.lifecycle import after
from experiments.wording import Figure, Listed, Term, Worded, figure, plain, say, worded, worded_n

SAID = [
    worded("must be later than start_at"),
    worded("must be more than %(least)s, and is %(given)s", least=5, given=figure("1,234.5%")),
    worded("%(key)s cannot start: %(reason)s", key="'tea'", reason=worded("it needs a review first")),
    worded_n("%(number)s product", "%(number)s products", 3, number=figure("3")),
    Listed([worded("one thing"), worded("another thing")], worded("; and ")),
    Term("state", "running"),
]


class Loud:
    """A language in capitals, which writes a decimal comma."""

    def sentence(self, text: Worded, values: Mapping[str, object]) -> str:
        said = (text.template if text.many is None or text.number == 1 else text.many).upper()
        for name in values:
            said = said.replace(f"%({name.upper()})S", f"%({name})s")
        return said % values if values else said

    def figures(self, text: str) -> str:
        return text.translate({ord(","): " ", ord("."): ","})

    def term(self, kind: str, word: str) -> str:
        return f"{kind}:{word}"


@pytest.mark.parametrize("said", SAID, ids=str)
def test_everybody_else_reads_plain_english(said: str) -> None:
    english = str(said)
    assert type(english) is str
    assert said == english
    assert hash(said) == hash(english)
    assert orjson.dumps([said]) == orjson.dumps([english])
    assert json.dumps(said) == json.dumps(english)
    assert msgspec.to_builtins({"said": said}, enc_hook=plain) == {"said": english}
    assert msgspec.json.encode(said, enc_hook=plain) == msgspec.json.encode(english)
    assert sqlite3.connect(":memory:").execute("select ?", (said,)).fetchone() == (english,)


@pytest.mark.parametrize("said", SAID, ids=str)
def test_a_copy_remembers_as_much(said: str) -> None:
    for copy in (pickle.loads(pickle.dumps(said)), deepcopy(said)):
        assert copy == said
        assert type(copy) is type(said)
        assert say(copy, Loud()) == say(said, Loud())


def test_each_part_is_said_in_the_other_language() -> None:
    assert [say(one, Loud()) for one in SAID] == [
        "MUST BE LATER THAN START_AT",
        "MUST BE MORE THAN 5, AND IS 1 234,5%",
        "'tea' CANNOT START: IT NEEDS A REVIEW FIRST",
        "3 PRODUCTS",
        "ONE THING; AND ANOTHER THING",
        "state:running",
    ]
    assert say("typed by somebody", Loud()) == "typed by somebody"


@given(st.text(), st.integers(), st.text())
def test_values_are_never_read_as_templates(key: str, number: int, reason: str) -> None:
    said = worded("%(key)s has %(number)s: %(reason)s", key=key, number=number, reason=reason)
    assert said == f"{key} has {number}: {reason}"
    assert pickle.loads(pickle.dumps(said)).values == said.values


def test_frozen_values_and_errors_keep_it() -> None:
    @dataclass(frozen=True, slots=True)
    class Kept:
        text: str

    said = worded("is in the past")
    assert Kept(said).text is said
    refusal = Invalid([FieldError("a", said), FieldError("", said)])
    assert str(refusal) == "a: is in the past; is in the past"
    assert refusal.errors[0].message is said


def test_states_and_numbers_are_named_by_whoever_says_them() -> None:
    with pytest.raises(
        Exception, match="Cannot start an experiment that is running; it must be draft or sched"
    ) as info:
        after("running", "start")
    message = info.value.message  # type: ignore[attr-defined]  # a Conflict
    assert "state:running" in say(message, Loud())
    assert "state:draft OR state:scheduled" in say(message, Loud())
    assert isinstance(figure("1"), Figure)


def test_what_is_no_text_is_still_refused() -> None:
    with pytest.raises(NotImplementedError):
        plain(object())
