"""Which user agents are no visitors: by the list of the package crawler-user-agents, matched by RE2 in one pass.

The list says of each pattern what kind of thing it is. What announces itself as a crawler, a monitor or a preview is
`crawlers`; `automation` also counts browsers that a program drives and HTTP libraries, which are often the shop's own
server, its app, or a test.
"""

from functools import cache, lru_cache
from typing import Literal

import re2  # type: ignore[import-untyped]  # Google's bindings carry no types
from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]  # carries none either

BotFilter = Literal["off", "crawlers", "automation"]

LONGEST = 512
"""Characters of a user agent that are looked at."""
REMEMBERED = 8192

_AUTOMATION = {"http-library", "browser-automation"}


def is_bot(user_agent: str, bots: BotFilter) -> bool:
    """Whether this user agent is none that the filter lets through."""
    return bots != "off" and _known(user_agent[:LONGEST], bots)


@lru_cache(maxsize=REMEMBERED)
def _known(user_agent: str, bots: BotFilter) -> bool:
    try:
        return _automaton(bots).Match(user_agent) is not None
    except UnicodeEncodeError:  # half of a surrogate pair: no list knows it
        return False


@cache
def _automaton(bots: BotFilter) -> re2.Set:
    automaton = re2.Set.SearchSet()
    for entry in CRAWLER_USER_AGENTS_DATA:
        if bots == "automation" or not _AUTOMATION & set(entry.get("tags", ())):
            automaton.Add(entry["pattern"])
    automaton.Compile()
    return automaton
