"""Bindings: which account of an OpenID provider is whose."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from experiments.moment import Micros
from experiments.storage.newrows import insert_new
from experiments.storage.tables import openid_binding, users
from experiments.storage.users import User

COLUMNS = ("issuer", "subject", "user_id", "bound_at")


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a provider: its `sub`, which the provider neither changes nor gives to another."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Binding:
    """Since when an account signs a person in."""

    user_id: int
    account: Account
    bound_at: Micros


def bind(conn: Connection, user_id: int, account: Account, now: Micros) -> bool:
    """Whether the account is the person's from now on: neither of the two may be bound at this provider already."""
    row = (account.issuer, account.subject, user_id, now)
    return bool(insert_new(conn, openid_binding, COLUMNS, [row], 1))


def bound_person(conn: Connection, account: Account) -> User | None:
    """Whose account it is, or None."""
    whose = select(users).join(openid_binding, openid_binding.c.user_id == users.c.id)
    here = (openid_binding.c.issuer == account.issuer, openid_binding.c.subject == account.subject)
    row = conn.execute(whose.where(*here)).first()
    return None if row is None else User(row.id, row.email, row.role, row.password_hash)


def all_bindings(conn: Connection) -> dict[int, list[Binding]]:
    """What binds each person, the newest first."""
    found: dict[int, list[Binding]] = {}
    for row in conn.execute(select(openid_binding).order_by(openid_binding.c.bound_at.desc())):
        made = Binding(row.user_id, Account(row.issuer, row.subject), row.bound_at)
        found.setdefault(made.user_id, []).append(made)
    return found


def bindings_of(conn: Connection, user_id: int) -> list[Binding]:
    """What binds one person, the newest first."""
    return all_bindings(conn).get(user_id, [])


def unbind(conn: Connection, user_id: int) -> None:
    """No account is the person's any more."""
    conn.execute(delete(openid_binding).where(openid_binding.c.user_id == user_id))
