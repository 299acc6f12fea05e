"""How long work will take, learned from how long it took."""

import threading

_WEIGHT = 0.3
"""Of the latest measurement in the running mean."""


class Forecast:
    """Seconds per unit of work by label, as exponentially weighted means. Threads may share it."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, str], float] = {}
        self._cold: set[tuple[str, str]] = set()
        self._changing = threading.Lock()

    def seconds(self, kind: str, who: str, amount: float) -> float:
        """What this much work should take; 0 as long as nothing is known of such work."""
        return self._rates.get((kind, who), 0.0) * amount

    def learn_more(self, kind: str, who: str, amount: float, seconds: float) -> None:
        """So much work takes longer than that: it was cut short then."""
        if self.seconds(kind, who, amount) < seconds:
            self.learn(kind, who, amount, seconds)

    def learn(self, kind: str, who: str, amount: float, seconds: float) -> None:
        """So much work took so long."""
        label, rate = (kind, who), seconds / max(amount, 1.0)
        with self._changing:
            known = self._rates.get(label)
            if known is not None and label not in self._cold:
                self._rates[label] = known + _WEIGHT * (rate - known)
                return
            # The first time is slow, whatever the work: memory has to be found and kernels chosen.
            self._cold ^= {label}
            self._rates[label] = rate
