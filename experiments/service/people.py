"""People: who may sign in, by a password or by a link that works once.

Hashing is werkzeug's (scrypt). The clock and tokens are arguments; only digests of tokens reach the database.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection
from werkzeug.security import check_password_hash, generate_password_hash

from experiments.errors import Conflict, FieldError, Invalid, NotFound
from experiments.moment import DAY, Micros
from experiments.storage.users import (
    Purpose,
    Role,
    User,
    add_login_link,
    add_user,
    find_user,
    login_link_user,
    set_password_hash,
    use_login_link,
)
from experiments.wording import worded

LINK_LIFETIME = 3 * DAY
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200

# What an unknown address is checked against, so that the answer takes as long as for a known one.
_NOBODY = generate_password_hash("nobody has this password")


def normal_email(email: str) -> str:
    """The address in the one form it is kept in; Invalid where it is none."""
    cleaned = email.strip().lower()
    if not re.fullmatch(r"[^\s@]{1,64}@[^\s@]{1,189}", cleaned):
        raise Invalid.at("email", worded("%(email)s is not an e-mail address", email=repr(email)))
    return cleaned


def add_person(conn: Connection, email: str, role: Role, token: str, now: Micros) -> User:
    """A new person, who sets a password by the link with this token; Conflict where the address is taken."""
    person = add_user(conn, normal_email(email), role, now)
    issue_link(conn, person, "set_password", token, now)
    return person


def find_person(conn: Connection, email: str) -> User:
    """The person of that address, however it is written; NotFound where there is none."""
    return find_user(conn, normal_email(email))


def issue_link(conn: Connection, person: User, purpose: Purpose, token: str, now: Micros) -> Micros:
    """A link that works once; when it expires."""
    expires_at = Micros(now + LINK_LIFETIME)
    add_login_link(conn, person.id, purpose, token, expires_at)
    return expires_at


def link_owner(conn: Connection, token: str, now: Micros) -> tuple[User, Purpose] | None:
    """Whose live link this is and what for, or None; reading it does not use it."""
    purposes: Sequence[Purpose] = ("set_password", "sign_in")
    for purpose in purposes:
        person = login_link_user(conn, token, purpose, now)
        if person is not None:
            return person, purpose
    return None


def redeem(conn: Connection, token: str, password: str | None, now: Micros) -> User:
    """Use the link: sign in, or set this password. NotFound where it is dead; a weak password does not burn it."""
    found = link_owner(conn, token, now)
    if found is None:
        raise NotFound(worded("This link was used already, has expired, or never was"))
    person, purpose = found
    password_hash = _hashed(password or "", person.email) if purpose == "set_password" else None
    if not use_login_link(conn, token, now):
        raise Conflict("link_used", worded("This link was used a moment ago"))
    if password_hash is None:
        return person
    set_password_hash(conn, person.id, password_hash)
    return replace(person, password_hash=password_hash)


def authenticate(conn: Connection, email: str, password: str) -> User | None:
    """The person whose address and password these are, or None; nobody learns which of the two was wrong."""
    try:
        person = find_person(conn, email)
    except (Invalid, NotFound):
        person = None
    held = person.password_hash if person is not None and person.password_hash else None
    matches = check_password_hash(held or _NOBODY, password[:LONGEST_PASSWORD])
    return person if matches and held is not None else None


def _hashed(password: str, email: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid([FieldError("password", worded("needs at least %(least)s characters", least=SHORTEST_PASSWORD))])
    if len(password) > LONGEST_PASSWORD:
        raise Invalid([FieldError("password", worded("has more than %(most)s characters", most=LONGEST_PASSWORD))])
    if password.lower() in {email, email.partition("@")[0]} or len(set(password)) < 4:
        raise Invalid([FieldError("password", worded("is too easy to guess"))])
    return generate_password_hash(password)
