"""After the decision: holdbacks, links to reports, and what was learned: what those routes take and give."""

from collections.abc import Mapping

import msgspec

from analysis.lasted import Lasting
from experiments.lifecycle import State
from experiments.sharing import LinkInput, LinkState, Shows
from webapp.openapi.operation import Operation


class HoldbackAnswer(msgspec.Struct, frozen=True):
    """The experiment that goes on measuring what was shipped; `share` is held back, in hundredths of a percent."""

    experiment: str
    follows: str
    share: int
    state: State
    since: str
    lasting: Lasting | None


class LinkAnswer(msgspec.Struct, frozen=True):
    """One link; `seen_at` is when somebody last read by it, to the minute, and `address` null once it opens nothing."""

    id: int
    shows: Shows
    state: LinkState
    address: str | None
    made_by: str
    made_at: str
    expires_at: str | None
    seen_at: str | None
    revoked_at: str | None


class LinkList(msgspec.Struct, frozen=True):
    """Every link to the report, newest first."""

    links: list[LinkAnswer]


AFTERWARDS: Mapping[str, Operation] = {
    "holdbacks.read_holdback": Operation(tag="Experiments", answer=HoldbackAnswer),
    "report_links.list_links": Operation(tag="Experiments", answer=LinkList),
    "report_links.make_link": Operation(
        tag="Experiments", body=LinkInput, answer=LinkAnswer, status=201, refuses=(409,),
        example={"shows": "live", "days": 30},
    ),
    "report_links.revoke_link": Operation(tag="Experiments", answer=LinkAnswer),
}  # fmt: skip
