"""How often a password may be guessed: counted in the database, so that it holds over all workers together."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from experiments.errors import OfferlabError
from experiments.moment import SECOND, Micros
from experiments.storage.guesses import empty, pour, sweep, take_back


class TooManyGuesses(OfferlabError):
    """Too many wrong passwords: try again after `retry_after` seconds."""

    code = "too_many_guesses"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many wrong passwords. Try again in {max(1, -(-retry_after // 60))} min.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many at once, and then one more in each `window / most` microseconds."""

    kind: str
    most: int
    window: int

    @property
    def step(self) -> int:
        """How long one guess counts."""
        return self.window // self.most


@dataclass(frozen=True, slots=True)
class Counted:
    """What a guess has in common with others, and how many of those there may be."""

    limit: Limit
    what: str

    @property
    def who(self) -> str:
        """Its name among all that is counted."""
        return f"{self.limit.kind} {self.what}"


def before_guess(conn: Connection, counted: Sequence[Counted], now: Micros) -> None:
    """Count a guess before it is looked at; TooManyGuesses, and the transaction to be undone, where it is one too many.

    Kinds must come in the same order everywhere: rows locked crosswise would deadlock.
    """
    for one in counted:
        wait = pour(conn, one.who, one.limit.step, one.limit.step * one.limit.most, now)
        if wait:
            raise TooManyGuesses(-(-wait // SECOND))


def after_success(conn: Connection, counted: Sequence[Counted], now: Micros) -> None:
    """It was no guess: the first of what it had in common with others is forgotten, of the rest this once."""
    empty(conn, counted[0].who)
    for one in counted[1:]:
        take_back(conn, one.who, one.limit.step)
    sweep(conn, now)


def after_failure(conn: Connection, now: Micros) -> None:
    """It was one, and stays counted; what counts nothing any more goes."""
    sweep(conn, now)
