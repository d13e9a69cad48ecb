"""Reviewing: asking for a look before the start, answering, and what may start where a storefront demands it."""

from dataclasses import dataclass

from sqlalchemy import Connection

from experiments.definition import Definition
from experiments.errors import Conflict, Forbidden, Invalid, NotFound
from experiments.lifecycle import after
from experiments.moment import Micros, iso
from experiments.reviews import Review, ReviewRule, Standing, Step, covered, holds, standing, verdict
from experiments.storage.registry import AuditEntry, Experiment, get_experiment, write_audit
from experiments.storage.reviews import add_review, authors, reviews_of
from experiments.storage.storefronts import Storefront, get_storefront
from experiments.storage.users import User, find_user
from experiments.wording import worded

LONGEST_MESSAGE = 4000
_SAID: dict[Step, str] = {
    "requested": "request review",
    "approved": "approve",
    "changes_requested": "ask for changes",
    "overridden": "override review",
}
"""Each step, as the trail names it."""
_NEEDS_WORDS = {
    "changes_requested": worded("is needed: say what has to change"),
    "overridden": worded("is needed: say why it cannot wait for a review"),
}


@dataclass(frozen=True, slots=True)
class ReviewState:
    """An experiment's review: its steps, where it stands, and whether the storefront demands it."""

    steps: tuple[Review, ...]
    standing: Standing
    required: bool

    @property
    def blocks(self) -> bool:
        """Whether it cannot start as it is."""
        return self.required and not holds(self.standing)

    @property
    def verdict(self) -> Review | None:
        """The last answer."""
        return verdict(self.steps)


def review(
    conn: Connection, storefront: Storefront, key: str, step: Step, message: str, actor: str, now: Micros,
    version: int | None = None,
) -> Experiment:  # fmt: skip
    """One step of a review; Conflict where it is no draft, or not the version that was looked at, or one's own work.

    Keys and the command line may do what admins may: whoever has them can change the rule.
    """
    looked_at = get_experiment(conn, storefront.id, key)
    after(looked_at.state, "review")
    if version is not None and version != looked_at.version:
        said = worded(
            "It is version %(now)s by now, and not %(version)s: look at that first",
            now=looked_at.version,
            version=version,
        )
        raise Conflict("edited_meanwhile", said)
    message = _checked(step, message)
    who, rule = _person(conn, actor), rule_now(conn, storefront)
    if who is not None:
        _check_right(rule, who, step)
    if step == "approved" and actor in authors(conn, storefront.id, key):
        raise Conflict(
            "own_work",
            worded("%(who)s wrote a version of %(key)s: somebody else has to approve it", who=actor, key=repr(key)),
        )
    definition = looked_at.definition
    made = Review(now, actor, step, message, looked_at.version, definition.fingerprint, definition)
    add_review(conn, looked_at, made)
    then = {"message": message, "version": made.version, "fingerprint": made.fingerprint}
    write_audit(conn, storefront.id, AuditEntry(now, actor, _SAID[step], f"experiment:{key}", None, then))
    return looked_at


def rule_now(conn: Connection, storefront: Storefront) -> ReviewRule:
    """The storefront's rule at this moment: a storefront that a process holds may be seconds old."""
    return get_storefront(conn, storefront.key).review


def review_state(conn: Connection, rule: ReviewRule, experiment: Experiment) -> ReviewState:
    """Where an experiment's review stands under its storefront's rule; of one that has started, where it stood then."""
    steps = reviews_of(conn, experiment.id)
    answer = verdict(steps)
    was = answer.definition if answer is not None and experiment.started_at is not None else experiment.definition
    # a holdback goes on with what was decided: it is nothing new that somebody could look at
    required = rule.required and experiment.follows is None
    return ReviewState(tuple(steps), standing(steps, was), required)


def check_approved(conn: Connection, storefront: Storefront, experiment: Experiment) -> None:
    """Conflict where the storefront demands a review and nobody approved what would start."""
    state = review_state(conn, rule_now(conn, storefront), experiment)
    if state.blocks:
        raise Conflict(
            "not_approved",
            worded("%(key)s cannot start: %(reason)s", key=repr(experiment.key), reason=reason_of(state)),
        )


def check_stays_approved(conn: Connection, storefront: Storefront, experiment: Experiment, then: Definition) -> None:
    """Conflict where something that waits for its start would become something that nobody approved."""
    if experiment.state != "scheduled" or covered(experiment.definition) == covered(then):
        return
    if review_state(conn, rule_now(conn, storefront), experiment).required:
        said = worded(
            "%(key)s cannot change like this: it starts by itself as it was approved: take it off the schedule to "
            "change it, and ask for a review",
            key=repr(experiment.key),
        )
        raise Conflict("not_approved", said)


def reason_of(state: ReviewState) -> str:
    """Why it may not start, in a sentence's second half."""
    answer = state.verdict
    if state.standing == "requested":
        return worded("it waits for its review, asked for by %(who)s", who=state.steps[-1].by)
    if state.standing == "changes_requested" and answer is not None:
        return worded("%(who)s asked for changes", who=answer.by)
    if state.standing == "stale" and answer is not None:
        return worded(
            "it has changed since %(who)s approved version %(version)s: ask for another review",
            who=answer.by,
            version=answer.version,
        )
    return worded("it needs a review first, and nobody was asked for one")


def may_review(conn: Connection, storefront: Storefront, key: str, email: str) -> tuple[bool, bool]:
    """Whether this person has the right to review here; and whether they wrote it, and so cannot approve it."""
    who = _person(conn, email)
    right = who is not None and _may(rule_now(conn, storefront), who)
    return right, email in authors(conn, storefront.id, key)


def review_json(state: ReviewState) -> dict[str, object]:
    """A review as the API writes it."""
    return {
        "required": state.required,
        "standing": state.standing,
        "may_start": not state.blocks,
        "reviews": [
            {"at": iso(step.at), "by": step.by, "review": step.step, "message": step.message, "version": step.version,
             "fingerprint": step.fingerprint}
            for step in state.steps
        ],
    }  # fmt: skip


def _checked(step: Step, message: str) -> str:
    message = message.strip()
    if not message and step in _NEEDS_WORDS:
        raise Invalid.at("message", _NEEDS_WORDS[step])
    if len(message) > LONGEST_MESSAGE:
        raise Invalid.at("message", worded("has more than %(most)s characters", most=LONGEST_MESSAGE))
    return message


def _person(conn: Connection, actor: str) -> User | None:
    """Who acts, where that is a person and not a key or the command line."""
    try:
        return find_user(conn, actor)
    except NotFound:
        return None


def _may(rule: ReviewRule, who: User) -> bool:
    return rule.may_review(who.email, defines=who.role != "viewer")


def _check_right(rule: ReviewRule, who: User, step: Step) -> None:
    if step == "requested" and who.role == "viewer":
        raise Forbidden(worded("Asking for a review takes the role of editor"))
    if step == "overridden" and who.role != "admin":
        raise Forbidden(worded("Only an admin may let it start without a review"))
    if step in {"approved", "changes_requested"} and not _may(rule, who):
        raise Forbidden(worded("%(who)s has no right to review in this storefront", who=who.email))
