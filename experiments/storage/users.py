"""People who sign in: their roles, passwords as hashes, one-time links as digests."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from experiments.errors import Conflict, NotFound
from experiments.moment import Micros
from experiments.storage.keys import digest
from experiments.storage.tables import login_link, openid_binding, users
from experiments.wording import worded

Role = Literal["viewer", "editor", "admin"]
Purpose = Literal["sign_in", "set_password"]


@dataclass(frozen=True, slots=True)
class User:
    """A person; viewers read, editors define and launch, admins also manage keys and people."""

    id: int
    email: str
    role: Role
    password_hash: str | None


def add_user(conn: Connection, email: str, role: Role, now: Micros) -> User:
    """A new person, who has no password yet; Conflict where the address is taken."""
    if conn.execute(select(users.c.id).where(users.c.email == email)).first():
        raise Conflict("email_taken", worded("There is a user %(email)s already", email=email))
    conn.execute(insert(users).values(email=email, role=role, created_at=now))
    return find_user(conn, email)


def find_user(conn: Connection, email: str) -> User:
    """The person with that address; NotFound where there is none."""
    row = conn.execute(select(users).where(users.c.email == email)).first()
    if row is None:
        raise NotFound(f"There is no user {email}")
    return _user(row)


def get_user(conn: Connection, user_id: int) -> User | None:
    """The person of that id, or None."""
    row = conn.execute(select(users).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def all_users(conn: Connection) -> list[User]:
    """Everybody, by address."""
    return [_user(row) for row in conn.execute(select(users).order_by(users.c.email))]


def set_role(conn: Connection, user_id: int, role: Role) -> None:
    """Another role."""
    conn.execute(update(users).where(users.c.id == user_id).values(role=role))


def remove_user(conn: Connection, user_id: int) -> None:
    """Nobody any more, with their links and what binds them to a provider's account."""
    conn.execute(delete(openid_binding).where(openid_binding.c.user_id == user_id))
    conn.execute(delete(login_link).where(login_link.c.user_id == user_id))
    conn.execute(delete(users).where(users.c.id == user_id))


def set_password_hash(conn: Connection, user_id: int, password_hash: str) -> None:
    """Replace the password."""
    conn.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def add_login_link(conn: Connection, user_id: int, purpose: Purpose, token: str, expires_at: Micros) -> None:
    """A link that works once, until `expires_at`; only the token's digest is kept."""
    values = {"digest": digest(token), "user_id": user_id, "purpose": purpose, "expires_at": expires_at}
    conn.execute(insert(login_link).values(**values))


def login_link_user(conn: Connection, token: str, purpose: Purpose, now: Micros) -> User | None:
    """Whose link this is, or None where it is unknown, used or expired."""
    query = select(users).join(login_link, login_link.c.user_id == users.c.id)
    live = (login_link.c.digest == digest(token), login_link.c.purpose == purpose, login_link.c.expires_at > now)
    row = conn.execute(query.where(*live, login_link.c.used_at.is_(None))).first()
    return None if row is None else _user(row)


def use_login_link(conn: Connection, token: str, now: Micros) -> bool:
    """Whether the link was still unused; it is used now."""
    unused = (login_link.c.digest == digest(token), login_link.c.used_at.is_(None))
    return conn.execute(update(login_link).where(*unused).values(used_at=now)).rowcount == 1


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(row.id, row.email, row.role, row.password_hash)
