"""Steering what runs, and drafts that are not finished: what those routes take and give."""

from collections.abc import Mapping

import msgspec

from experiments.definition import About, PauseWhen, RampStep
from webapp.api.steering import DraftChange, DraftInput, RampInput, TimesInput
from webapp.openapi import managed
from webapp.openapi.operation import Operation


class ScheduleChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a started experiment's schedule what may change; steps of the ramp that were taken stay as they are."""

    end_at: str | msgspec.UnsetType | None = msgspec.UNSET
    ramp: list[RampStep] | msgspec.UnsetType = msgspec.UNSET
    pause_when: list[PauseWhen] | msgspec.UnsetType = msgspec.UNSET


class Amendment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is safe to change while it runs; what is not given stays. Anything else is refused with its reason."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    hypothesis: str | msgspec.UnsetType = msgspec.UNSET
    about: About | msgspec.UnsetType = msgspec.UNSET
    schedule: ScheduleChange | msgspec.UnsetType = msgspec.UNSET


class DraftAnswer(msgspec.Struct, frozen=True):
    """A draft with what was typed, whoever kept it last, and its version."""

    id: int
    experiment: str | None
    title: str
    form: dict[str, list[str]]
    version: int
    saved_by: str
    saved_at: str


class DraftList(msgspec.Struct, frozen=True):
    """Drafts that are not finished, the latest first."""

    drafts: list[DraftAnswer]


_TYPED = {"name": ["Cart: which offer?"], "coverage": ["lots"]}

STEERING: Mapping[str, Operation] = {
    "steering.amend_experiment": Operation(
        tag="Experiments", body=Amendment, answer=managed.ExperimentAnswer, refuses=(409,),
        example={"name": "Cart: which offer, in winter?"},
    ),
    "steering.ramp_experiment": Operation(
        tag="Experiments", body=RampInput, answer=managed.ExperimentAnswer, refuses=(404, 409),
        example={"coverage": 10000},
    ),
    "steering.schedule_experiment": Operation(
        tag="Experiments", body=TimesInput, answer=managed.ExperimentAnswer, refuses=(404, 409),
        example={"end_at": "2099-01-01T09:00"},
    ),
    "steering.list_drafts": Operation(tag="Experiments", answer=DraftList),
    "steering.begin_draft": Operation(
        tag="Experiments", body=DraftInput, answer=DraftAnswer, status=201, refuses=(404, 409),
        example={"title": "Cart: which offer?", "form": _TYPED},
    ),
    "steering.read_draft": Operation(tag="Experiments", answer=DraftAnswer),
    "steering.keep_draft": Operation(
        tag="Experiments", body=DraftChange, answer=DraftAnswer, refuses=(409,), example={"form": _TYPED, "version": 1}
    ),
    "steering.discard_draft": Operation(tag="Experiments", answer=DraftAnswer),
}  # fmt: skip
