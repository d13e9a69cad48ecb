"""Staffing: who may sign in to an installation, as what; each change stands in the trail of where it was made."""

from dataclasses import replace

from sqlalchemy import Connection

from experiments.errors import Conflict, NotFound
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.service.people import add_person, issue_link
from experiments.storage.bindings import bindings_of, unbind
from experiments.storage.registry import AuditEntry, write_audit
from experiments.storage.users import Role, User, all_users, get_user, remove_user, set_role
from experiments.wording import worded


def invite(conn: Connection, here: StorefrontId, email: str, role: Role, token: str, actor: str, now: Micros) -> User:
    """A new person, who sets a password by the link with this token; Conflict where the address is taken."""
    person = add_person(conn, email, role, token, now)
    _audit(conn, here, actor, "create", person, None, {"role": role}, now)
    return person


def renew_link(conn: Connection, here: StorefrontId, user_id: int, token: str, actor: str, now: Micros) -> User:
    """The person, who sets another password by the link with this token; the old one holds until then."""
    person = _person(conn, user_id)
    issue_link(conn, person, "set_password", token, now)
    _audit(conn, here, actor, "link", person, None, None, now)
    return person


def change_role(conn: Connection, here: StorefrontId, user_id: int, role: Role, actor: str, now: Micros) -> User:
    """The person in another role; Conflict where nobody would be left to manage people."""
    person = _person(conn, user_id)
    if role == person.role:
        return person
    if role != "admin":
        _check_not_last(conn, person)
    set_role(conn, person.id, role)
    _audit(conn, here, actor, "edit", person, {"role": person.role}, {"role": role}, now)
    return replace(person, role=role)


def remove(conn: Connection, here: StorefrontId, user_id: int, actor: str, now: Micros) -> User:
    """The person who can no longer sign in; what they did stays in the trail under their address."""
    person = _person(conn, user_id)
    if person.email == actor:
        raise Conflict("yourself", worded("You cannot remove yourself: somebody else has to"))
    _check_not_last(conn, person)
    remove_user(conn, person.id)
    _audit(conn, here, actor, "remove", person, {"role": person.role}, None, now)
    return person


def release(conn: Connection, here: StorefrontId, user_id: int, actor: str, now: Micros) -> User:
    """The person whom no provider's account signs in any more: the next one with their confirmed address is theirs.

    What they began by such an account ends at once; Conflict where none was bound.
    """
    person = _person(conn, user_id)
    bound = bindings_of(conn, person.id)
    if not bound:
        raise Conflict("not_bound", f"No account of a provider is bound to {person.email}")
    unbind(conn, person.id)
    was = [{"issuer": b.account.issuer, "subject": b.account.subject} for b in bound]
    _audit(conn, here, actor, "unbind", person, {"accounts": was}, None, now)
    return person


def _person(conn: Connection, user_id: int) -> User:
    found = get_user(conn, user_id)
    if found is None:
        raise NotFound(worded("There is no such person any more"))
    return found


def is_last_admin(conn: Connection, person: User) -> bool:
    """Whether nobody else could manage people."""
    return person.role == "admin" and sum(other.role == "admin" for other in all_users(conn)) == 1


def _check_not_last(conn: Connection, person: User) -> None:
    if is_last_admin(conn, person):
        raise Conflict(
            "last_admin", worded("%(who)s is the only admin: make somebody else one first", who=person.email)
        )


def _audit(
    conn: Connection,
    here: StorefrontId,
    actor: str,
    action: str,
    person: User,
    before: object,
    after: object,
    now: Micros,
) -> None:
    write_audit(conn, here, AuditEntry(now, actor, action, f"person:{person.email}", before, after))
