"""Links by which anybody can look at a variant: signed, good for a day, and never part of the comparison."""

from dataclasses import dataclass

from flask import url_for

from experiments.definition import Variant
from experiments.moment import DAY, Micros
from experiments.service.serving import Preview
from experiments.storage.registry import Experiment
from webapp.lab import the_lab
from webapp.ui.person import here
from webapp.visit import sealed


@dataclass(frozen=True, slots=True)
class SignedLink:
    """A variant and the address that shows it; into the shop where the storefront says where that is."""

    variant: Variant
    address: str


def preview_links(experiment: Experiment, at: Micros) -> list[SignedLink]:
    """A link for each variant, in the definition's order."""
    origins = here().origins
    made = []
    for variant in experiment.definition.variants:
        token = sealed(the_lab(), here().key, Preview(experiment.key, variant.key), Micros(at + DAY))
        shop = {"to": f"{origins[0]}/"} if origins else {}
        made.append(SignedLink(variant, url_for("traffic.open_preview", token=token, _external=True, **shop)))
    return made
