"""How many units come a day, and how many would if everybody were let in."""

from dataclasses import dataclass

import numpy as np

from analysis.ledger import Ledger

LAST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Traffic:
    """New units a day over the last full days that had any; `reach` is the share of all units that may enter."""

    entering: float
    reach: float

    @property
    def everybody(self) -> float:
        """Units a day if all who are eligible were let in."""
        return self.entering / self.reach if self.reach else 0.0


def traffic(ledger: Ledger, reach: float) -> Traffic:
    """From the last seven full days before the last one with an entry; from what there is where there are fewer."""
    units = ledger.entered.sum(axis=1)
    full = units[:-1] if len(units) > 1 else units
    some = full[-LAST_DAYS:]
    return Traffic(float(np.mean(some)) if len(some) else 0.0, reach)
