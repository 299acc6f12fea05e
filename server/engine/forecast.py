"""How long work will take, learned from how long it took."""

import math
import threading
from dataclasses import dataclass

_WEIGHT = 0.3
"""Of the latest measurement in the running means."""


@dataclass(frozen=True)
class _Known:
    """Means of similar amounts of work and of their seconds."""

    amount: float
    seconds: float
    cold: bool

    def after(self, amount: float, seconds: float) -> "_Known":
        """With another measurement."""
        # The first time is slow, whatever the work: memory has to be found and kernels chosen.
        weight = 1.0 if self.cold else _WEIGHT
        return _Known(
            self.amount + weight * (amount - self.amount),
            self.seconds + weight * (seconds - self.seconds),
            cold=False,
        )


class Forecast:
    """Seconds of work by label and amount. Threads may share it.

    Work has costs that do not grow with it, so small work says little about large work: there are
    exponentially weighted means for every doubling of the amount, with straight lines between them.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[int, _Known]] = {}
        self._changing = threading.Lock()

    def seconds(self, kind: str, who: str, amount: float) -> float:
        """What this much work should take; 0 as long as nothing is known of such work."""
        with self._changing:
            known = sorted(self._known.get((kind, who), {}).values(), key=lambda mean: mean.amount)
        if not known:
            return 0.0
        above = next((mean for mean in known if mean.amount >= amount), None)
        below = [mean for mean in known if mean.amount < amount]
        if above is None:
            return _beyond(below, amount)
        if not below:
            return above.seconds * amount / above.amount
        return _line(below[-1], above, amount)

    def learn_more(self, kind: str, who: str, amount: float, seconds: float) -> None:
        """So much work takes longer than that: it was cut short then."""
        if self.seconds(kind, who, amount) < seconds:
            self.learn(kind, who, amount, seconds)

    def learn(self, kind: str, who: str, amount: float, seconds: float) -> None:
        """So much work took so long."""
        amount = max(amount, 1.0)
        _, octave = math.frexp(amount)
        with self._changing:
            octaves = self._known.setdefault((kind, who), {})
            known = octaves.get(octave)
            octaves[octave] = (
                _Known(amount, seconds, cold=True) if known is None else known.after(amount, seconds)
            )


def _beyond(known: list[_Known], amount: float) -> float:
    """On the line through the two largest amounts; never less than the largest or more than its share."""
    last = known[-1]
    most = last.seconds * amount / last.amount
    return most if len(known) == 1 else min(max(_line(known[-2], last, amount), last.seconds), most)


def _line(one: _Known, other: _Known, amount: float) -> float:
    slope = (other.seconds - one.seconds) / (other.amount - one.amount)
    return one.seconds + slope * (amount - one.amount)
