"""Coming in: whom a provider of identities may bring, as what; and each sign-in's line in the audit trail."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection

from experiments.errors import Forbidden, NotFound
from experiments.moment import Micros
from experiments.service.people import find_person, normal_email
from experiments.service.staffing import is_last_admin
from experiments.storage.registry import AuditEntry, write_audit
from experiments.storage.storefronts import all_storefronts
from experiments.storage.users import Role, User, add_user, set_role

SignIn = Literal["password", "link", "openid"]
"""By what somebody signed in."""
Reason = Literal["mail_not_verified", "other_domain", "not_invited"]


class NotAdmitted(Forbidden):
    """The provider knows them, and they may not come in here; `code` says why."""

    def __init__(self, code: Reason, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom a provider may bring: of which domains (empty: any), as what (None: only people who are here already)."""

    domains: tuple[str, ...] = ()
    newcomers: Role | None = None
    gives_roles: bool = False
    """Whether the provider says what people may do, at each sign-in anew."""


def admit(
    conn: Connection, email: str, verified: bool, claimed: Role | None, admission: Admission, now: Micros
) -> User:
    """The person whom a provider vouches for; NotAdmitted where they may not come in."""
    address = normal_email(email)
    if not verified:
        raise NotAdmitted("mail_not_verified", f"{address} is not a confirmed address")
    if admission.domains and address.rpartition("@")[2] not in admission.domains:
        raise NotAdmitted("other_domain", f"{address} is of a domain that may not sign in here")
    role = (claimed or admission.newcomers) if admission.gives_roles else admission.newcomers
    try:
        person = find_person(conn, address)
    except NotFound:
        if role is None:
            raise NotAdmitted("not_invited", f"Nobody has invited {address}") from None
        person = add_user(conn, address, role, now)
        _note(conn, AuditEntry(now, address, "create", f"person:{address}", None, {"role": role, "by": "openid"}))
        return person
    return _in_role(conn, person, role, now) if admission.gives_roles else person


def note_sign_in(conn: Connection, person: User, by: SignIn, now: Micros) -> None:
    """Write down that somebody came in: into every storefront's trail, as they may sign in to each of them."""
    _note(conn, AuditEntry(now, person.email, "sign in", f"person:{person.email}", None, {"by": by}))


def _in_role(conn: Connection, person: User, role: Role | None, now: Micros) -> User:
    if role is None:
        raise NotAdmitted("not_invited", f"The provider gives {person.email} no role here")
    if role == person.role or is_last_admin(conn, person):
        return person
    set_role(conn, person.id, role)
    by = {"role": role, "by": "openid"}
    _note(conn, AuditEntry(now, person.email, "edit", f"person:{person.email}", {"role": person.role}, by))
    return replace(person, role=role)


def _note(conn: Connection, entry: AuditEntry) -> None:
    for storefront in all_storefronts(conn):
        write_audit(conn, storefront.id, entry)
