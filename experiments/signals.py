"""What a request says about who is behind it, and what the storefront's settings make of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from experiments.bucketing import Bucketer
from experiments.crawlers import BotFilter, is_bot

Consent = Literal["not_needed", "required"]


class Signals(msgspec.Struct, frozen=True):
    """What a browser's own request said; a server's request says nothing about the visitor's browser."""

    user_agent: str | None = None
    opted_out: bool = False
    """Sec-GPC: 1, the Global Privacy Control."""


SILENT = Signals()


@dataclass(frozen=True, slots=True)
class Policy:
    """How a storefront treats bots, consent and the holdout."""

    bots: BotFilter = "crawlers"
    consent: Consent = "not_needed"
    honours_gpc: bool = False
    """Whether an opt-out by Global Privacy Control counts as no consent, whatever was clicked."""
    holdout: int = 0
    """The share of visitors who see nothing of the programme, in hundredths of a percent."""
    holdout_seed: str = ""

    def refusal(self, signals: Signals, attributes: Mapping[str, object]) -> Literal["bot", "no_consent"] | None:
        """Why this request gets no offer; None where nothing speaks against it.

        The attributes `user_agent`, `gpc` and `consent` say it for requests that a shop's server makes.
        """
        if self.bots != "off":
            if signals.user_agent and is_bot(signals.user_agent, self.bots):
                return "bot"
            told = attributes.get("user_agent")
            if told is not None and isinstance(told, str) and is_bot(told, self.bots):
                return "bot"
        if self.consent == "required" and attributes.get("consent") is not True:
            return "no_consent"
        if self.honours_gpc and (signals.opted_out or attributes.get("gpc") is True):
            return "no_consent"
        return None


class Holdout:
    """Visitors who see nothing of the programme, so that the others can be compared with them."""

    __slots__ = ("_bucketer", "share")

    def __init__(self, share: int, seed: str) -> None:
        self.share = share
        self._bucketer = Bucketer(seed)

    @property
    def seed(self) -> str:
        """What the visitors are hashed with."""
        return self._bucketer.seed

    def holds(self, visitor_id: str) -> bool:
        """Whether the visitor is one of them; growing the share moves nobody out."""
        return self._bucketer(visitor_id) < self.share
