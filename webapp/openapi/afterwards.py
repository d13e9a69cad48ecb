"""After the decision: holdbacks, links to reports, and what was learned: what those routes take and give."""

from collections.abc import Mapping

import msgspec

from analysis.lasted import Lasting
from experiments.lifecycle import State
from webapp.openapi.operation import Operation


class HoldbackAnswer(msgspec.Struct, frozen=True):
    """The experiment that goes on measuring what was shipped; `share` is held back, in hundredths of a percent."""

    experiment: str
    follows: str
    share: int
    state: State
    since: str
    lasting: Lasting | None


AFTERWARDS: Mapping[str, Operation] = {
    "holdbacks.read_holdback": Operation(tag="Experiments", answer=HoldbackAnswer),
}
