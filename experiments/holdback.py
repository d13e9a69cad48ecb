"""A holdback: after a winner was shipped, the part of the visitors that goes on seeing control, to measure whether it
lasts.

It is an experiment like any other, which follows the one that was decided. Its units are drawn anew: who had control
before is in both of its groups alike, and so is who had seen the winner, so that whatever they carry over weighs on
both. To keep the former control's members would compare people who saw nothing for weeks with people who did, and
they would be fewer every week.
"""

from collections.abc import Collection
from typing import Any

from experiments.definition import WHOLE, Definition, to_json
from experiments.errors import Invalid
from experiments.wording import figure, worded

LEAST, MOST, USUAL = 100, 2000, 500
"""How much may be held back, and how much usually is, in hundredths of a percent."""
MARKS = (7, 30, 60, 90)
"""Days after the shipping at which it is asked whether the effect lasts."""
LONGEST_KEY = 64


def follow_up(definition: Definition, winner: str, share: int, taken: Collection[str] = ()) -> dict[str, Any]:
    """The holdback's definition, as JSON: control for `share` of those it was decided for, the winner for the others.

    It asks whom, where and by which metrics the decided one did; it has no end, is in no layer, as the winner is not,
    and counts what a unit does until the last mark. Invalid where nothing can be held back.
    """
    control, shipped = definition.control, definition.variant(winner)
    if shipped is None:
        raise Invalid.at(
            "variant",
            worded("%(key)s is not a variant of %(experiment)s", key=repr(winner), experiment=repr(definition.key)),
        )
    if shipped == control:
        raise Invalid.at(
            "holdback",
            worded("needs another variant to be shipped: %(key)s is what it would go on seeing", key=repr(winner)),
        )
    if not LEAST <= share <= MOST:
        raise Invalid.at(
            "holdback",
            worded(
                "must be %(least)s to %(most)s, and is %(given)s",
                least=figure(f"{LEAST / 100:g}%"),
                most=figure(f"{MOST / 100:g}%"),
                given=figure(f"{share / 100:g}%"),
            ),
        )
    value, weights = to_json(definition), {control.key: share, winner: WHOLE - share}
    variants = [v | {"weight": weights[v["key"]]} for v in value["variants"] if v["key"] in weights]
    # read on the way, by intervals that stay valid: nobody knows when it ends
    window = max(definition.analysis.window_days, MARKS[-1])
    analysis = {"sequential": True, "monitoring": None, "planned_units": None, "window_days": window}
    return value | {
        "key": free_key(definition.key, taken),
        "name": f"{definition.name[:180]}: does it last?",
        "variants": variants,
        "coverage": WHOLE,
        "layer": None,
        "schedule": value["schedule"] | {"start_at": None, "end_at": None, "ramp": []},
        "allow_list": {},
        "saved_offers": {key: offer for key, offer in value["saved_offers"].items() if key in weights},
        "analysis": value["analysis"] | analysis,
    }


def free_key(key: str, taken: Collection[str]) -> str:
    """The key of a holdback: `KEY-holdback`, with a number where that is taken."""
    number = 1
    while True:
        ending = "-holdback" if number == 1 else f"-holdback-{number}"
        made = key[: LONGEST_KEY - len(ending)] + ending
        if made not in taken:
            return made
        number += 1
