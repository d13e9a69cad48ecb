"""Coming in: whom a provider of identities may bring, as what; and each sign-in's line in the audit trail."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection

from experiments.errors import Forbidden, NotFound
from experiments.moment import Micros
from experiments.service.people import find_person, normal_email
from experiments.service.staffing import is_last_admin
from experiments.storage.bindings import Account, bind, bound_person
from experiments.storage.registry import AuditEntry, write_audit
from experiments.storage.storefronts import all_storefronts
from experiments.storage.users import Role, User, add_user, set_role

SignIn = Literal["password", "link", "openid"]
"""By what somebody signed in."""
Reason = Literal["mail_not_verified", "other_domain", "not_invited", "other_account"]


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


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider says of somebody: whose account it is, their address, and what they may do."""

    account: Account
    email: str
    verified: bool
    role: Role | None = None


def admit(conn: Connection, said: Vouched, admission: Admission, now: Micros) -> User:
    """The person whom a provider vouches for; NotAdmitted where they may not come in.

    Who came before is known by the account, whatever their address is there now; who never did, by a confirmed address,
    which binds the account to them from then on.
    """
    person = bound_person(conn, said.account)
    if person is None or admission.domains:
        _check_address(said, admission)
    role = (said.role or admission.newcomers) if admission.gives_roles else admission.newcomers
    if person is None:
        person = _first_time(conn, said.account, normal_email(said.email), role, now)
    return _in_role(conn, person, role, now) if admission.gives_roles else person


def _check_address(said: Vouched, admission: Admission) -> None:
    address = normal_email(said.email)
    if not said.verified:
        raise NotAdmitted("mail_not_verified", f"{address} is not a confirmed address")
    if admission.domains and address.rpartition("@")[2] not in admission.domains:
        raise NotAdmitted("other_domain", f"{address} is of a domain that may not sign in here")


def _first_time(conn: Connection, account: Account, address: str, role: Role | None, now: Micros) -> User:
    try:
        person = find_person(conn, address)
    except NotFound:
        if role is None:
            raise NotAdmitted("not_invited", f"Nobody has invited {address}") from None
        person = add_user(conn, address, role, now)
        _note(conn, AuditEntry(now, address, "create", f"person:{address}", None, {"role": role, "by": "openid"}))
    if bind(conn, person.id, account, now):
        bound = {"issuer": account.issuer, "subject": account.subject}
        _note(conn, AuditEntry(now, address, "bind", f"person:{address}", None, bound))
    elif bound_person(conn, account) != person:
        raise NotAdmitted("other_account", f"{address} is bound to another account of {account.issuer}")
    return person


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
