"""Simulated shoppers: who comes when, and what they would do. Every draw is a hash of who and when, so a demo is
the same demo every time.
"""

import hashlib
import struct
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from experiments.demo import truth
from experiments.demo.definitions import BAGS
from experiments.moment import DAY, SECOND, Micros

SEED = "offerlab-demo-1"


class _Choice:
    """One of several things, each as likely as its weight."""

    def __init__(self, *weighted: tuple[str, int]) -> None:
        self._things = [thing for thing, _ in weighted]
        self._bounds = list(accumulate(weight for _, weight in weighted))

    def __call__(self, draw: float) -> str:
        return self._things[bisect(self._bounds, draw * self._bounds[-1])]


_COUNTRIES = _Choice(("DE", 60), ("AT", 14), ("CH", 8), ("FR", 10), ("NL", 8))
_DEVICES = _Choice(("mobile", 62), ("desktop", 32), ("tablet", 6))
_LOOKED_AT = _Choice(
    *((f"{bag}-250", 9) for bag in BAGS),
    *(("GISHA-250", 2), ("HUSH-250", 4), ("SENCHA-100", 4), ("DARJ-100", 4), ("EARL-100", 3), ("ROOI-100", 2)),
    *(("PRESS-350", 3), ("MOKA-3", 3), ("KETTLE-G", 2), ("GRIND-HAND", 2), ("MUG-BLUE", 3), ("CUP-ESP", 3)),
)
_WITH_ESPRESSO = _Choice(("CUP-ESP", 5), ("CUP-FLAT", 3), ("TIN-500", 2), ("HONEY", 1), ("MINT-100", 1))
_WITH_FILTER = _Choice(("MUG-BLUE", 5), ("FILT-CLOTH", 3), ("TIN-500", 2), ("HONEY", 1), ("MINT-100", 1))
_WITH_TEA = _Choice(("HONEY", 5), ("SIEVE-TEA", 3), ("MINT-100", 3), ("CHAMO-100", 3))
_WITH_GEAR = _Choice(("MUG-BLUE", 3), ("TIN-500", 2), ("CUP-FLAT", 2), ("HONEY", 2), ("CHAMO-100", 2))
_ESPRESSO = ("NOTTE", "DOLCE", "CORSO", "MANDA", "HUSH", "MOKA")
_FILTER = ("YIRG", "HUILA", "NYERI", "SLEEP", "GISHA", "PRESS")
_TEA = ("SENCHA", "DARJ", "EARL", "ROOI")
_ADDED = {kind: choice for kinds, choice in ((_ESPRESSO, _WITH_ESPRESSO), (_FILTER, _WITH_FILTER), (_TEA, _WITH_TEA))
          for kind in kinds}  # fmt: skip
"""What goes along with what: by the first part of the product's id."""
_WEEK = (0.9, 0.95, 1.0, 1.0, 1.05, 1.15, 1.1)
_DRAWS = struct.Struct("<16I")


@dataclass(frozen=True, slots=True)
class Draws:
    """Sixteen independent uniform numbers of one visit, named by what they decide."""

    returning: float
    moment: float
    country: float
    device: float
    looks_at: float
    adds: float
    second: float
    added: float
    checkout: float
    buys: float
    takes_page: float
    takes_cart: float
    takes_checkout: float
    takes_thanks: float
    refund: float
    spare: float

    @property
    def takes_mail(self) -> float:
        """The low half of `takes_thanks`, which knows nothing of the high half."""
        return self.takes_thanks * 2**16 % 1


def draws(*who: object) -> Draws:
    """The draws of whoever and whenever this is."""
    digest = hashlib.blake2b("/".join(map(str, (SEED, *who))).encode(), digest_size=64).digest()
    return Draws(*(part / 2**32 for part in _DRAWS.unpack(digest)))


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody comes: who, when, from where, and what they look at; `draws` decide what they then do."""

    visitor_id: str
    at: Micros
    country: str
    device: str
    product_id: str
    draws: Draws

    @property
    def second(self) -> str | None:
        """What else goes into the cart."""
        choice = _ADDED.get(self.product_id.partition("-")[0], _WITH_GEAR)
        return choice(self.draws.added) if self.draws.second < truth.SECOND_ITEM else None

    @property
    def customer_id(self) -> str | None:
        """The account, for the half of visitors that have one."""
        return f"c-{self.visitor_id[:12]}" if int(self.visitor_id[:2], 16) < 128 else None


def visits(day: int, start: Micros, share: float = 1.0) -> Iterator[Visit]:
    """The visits of the 24 hours from `start`, in order; `share` of the usual crowd."""
    crowd = round(truth.VISITS_A_DAY * share)
    count = round(crowd * _WEEK[day % 7])
    comers = [(draws("visit", day, number), number) for number in range(count)]
    for drawn, number in sorted(comers, key=lambda comer: (comer[0].moment, comer[1])):
        who = day * crowd * 2 + number
        if drawn.returning < truth.RETURNING and day > 0:
            before, place = divmod(drawn.spare * day, 1.0)
            who = int(before) * crowd * 2 + int(place * crowd * min(_WEEK))
        visitor_id = hashlib.blake2b(f"{SEED}/visitor/{who}".encode(), digest_size=16).hexdigest()
        at = Micros(start + int(drawn.moment * (DAY - 3600 * SECOND)))
        yield Visit(
            visitor_id,
            at,
            _COUNTRIES(drawn.country),
            _DEVICES(drawn.device),
            _LOOKED_AT(drawn.looks_at),
            drawn,
        )
