"""People: what those routes take and give."""

from collections.abc import Mapping

import msgspec

from experiments.storage.users import Role
from webapp.openapi.operation import Operation


class BoundAccount(msgspec.Struct, frozen=True):
    """An account of a provider: its issuer and its `sub`, and since when it signs the person in."""

    issuer: str
    subject: str
    bound_at: str


class PersonAnswer(msgspec.Struct, frozen=True):
    """Somebody who may sign in."""

    id: int
    email: str
    role: Role
    has_password: bool
    accounts: list[BoundAccount]


class PeopleAnswer(msgspec.Struct, frozen=True):
    """Everybody of the installation, by address."""

    people: list[PersonAnswer]


STAFFING: Mapping[str, Operation] = {
    "staffing.list_people": Operation(tag="Operating", answer=PeopleAnswer),
    "staffing.release_person": Operation(tag="Operating", answer=PersonAnswer, refuses=(409,), path={"user_id": "1"}),
}
