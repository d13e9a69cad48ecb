"""The person who is signed in, as Flask-Login sees them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import g, session
from flask_login import UserMixin, current_user, login_required

from experiments.errors import Forbidden
from experiments.storage.bindings import Account, bound_person
from experiments.storage.database import reading
from experiments.storage.storefronts import Storefront, get_storefront
from experiments.storage.users import Role, User, get_user
from webapp.lab import the_lab

P = ParamSpec("P")
R = TypeVar("R")

ACCOUNT = "openid_account"
"""Where the session says which account of a provider began it."""
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
MAY = {"viewer": "read", "editor": "define and launch experiments", "admin": "manage keys"}


@dataclass(frozen=True, slots=True)
class Person(UserMixin):  # type: ignore[misc]  # flask_login ships no types
    """Somebody with a session; a changed password ends every session begun under the old one."""

    user: User

    def get_id(self) -> str:
        """What the session keeps."""
        mark = hashlib.sha256((self.user.password_hash or "").encode()).hexdigest()[:16]
        return f"{self.user.id}:{mark}"

    @property
    def email(self) -> str:
        """The address, which is also the actor of the audit trail."""
        return self.user.email

    @property
    def role(self) -> Role:
        """What they may do."""
        return self.user.role

    def may(self, role: Role) -> bool:
        """Whether they have at least this role."""
        return ROLES.index(self.user.role) >= ROLES.index(role)


def load_person(session_id: str) -> Person | None:
    """The person of a session, or None where there is none any more; an account's only while it is bound to them."""
    number = session_id.partition(":")[0]
    if not number.isdecimal():
        return None
    account = session.get(ACCOUNT)
    with reading(the_lab().engine) as conn:
        user = get_user(conn, int(number)) if account is None else bound_person(conn, Account(*account))
    person = Person(user) if user is not None else None
    return person if person is not None and person.get_id() == session_id else None


def page(role: Role = "viewer") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A page of a storefront: for who is signed in and has the role; `g.storefront` is where they are."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @login_required  # type: ignore[untyped-decorator]  # flask_login ships no types
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with reading(the_lab().engine) as conn:
                g.storefront = get_storefront(conn, str(kwargs.pop("storefront")))
            if not current_user.may(role):
                raise Forbidden(f"This takes the role of {role}: to {MAY[role]}. You are {current_user.role}.")
            return view(*args, **kwargs)

        wrapped: Callable[P, R] = guarded
        return wrapped

    return decorate


def here() -> Storefront:
    """The storefront of this page."""
    storefront: Storefront = g.storefront
    return storefront


def actor() -> str:
    """Who acts, as the audit trail names them."""
    email: str = current_user.email
    return email
