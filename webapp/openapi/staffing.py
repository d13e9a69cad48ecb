"""People: what those routes take and give."""

from collections.abc import Mapping

import msgspec

from experiments.storage.users import Role
from webapp.api.people import NewPerson, RoleInput
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


class InvitedAnswer(PersonAnswer, frozen=True):
    """With the link by which they set a password, good for three days and told once."""

    link: str


STAFFING: Mapping[str, Operation] = {
    "staffing.list_people": Operation(tag="Operating", answer=PeopleAnswer),
    "staffing.invite_person": Operation(
        tag="Operating", body=NewPerson, answer=InvitedAnswer, status=201, refuses=(409,),
        example={"email": "ann@shop.example", "role": "editor"},
    ),
    "staffing.change_person": Operation(
        tag="Operating", body=RoleInput, answer=PersonAnswer, refuses=(409,), path={"user_id": "1"},
        example={"role": "admin"},
    ),
    "staffing.renew_persons_link": Operation(
        tag="Operating", answer=InvitedAnswer, status=201, path={"user_id": "1"}
    ),
    "staffing.remove_person": Operation(tag="Operating", answer=PersonAnswer, refuses=(409,), path={"user_id": "1"}),
    "staffing.release_person": Operation(tag="Operating", answer=PersonAnswer, refuses=(409,), path={"user_id": "1"}),
}  # fmt: skip
