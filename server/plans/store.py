"""The plans that were made last, so that a request can name a subgoal in place of sending its picture."""

import threading
from collections import OrderedDict, defaultdict

import numpy as np
from jaxtyping import UInt8

CAPACITY = 256
"""Plans that are kept."""


class UnknownPlan(LookupError):
    """There is no plan of that id, or no longer."""

    def __init__(self) -> None:
        super().__init__(
            f"This server does not have that plan: it keeps the last {CAPACITY}, until it ends. Ask for it "
            "again (the same request with the same seed gives the same plan), or send the picture as subgoal."
        )


class IdempotencyConflict(ValueError):
    """The key of a request was used before, for another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another body before; a new request needs a new key.")


class PlanStore:
    """Subgoal pictures of the last plans by their ids. Threads may share it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._plans: OrderedDict[str, UInt8[np.ndarray, "L H W 3"]] = OrderedDict()
        self._changing = threading.Lock()

    def keep(self, plan: str, pictures: UInt8[np.ndarray, "L H W 3"]) -> None:
        """Remember a plan as the latest one, and forget the oldest if there are too many."""
        with self._changing:
            self._plans[plan] = pictures
            self._plans.move_to_end(plan)
            if len(self._plans) > self._capacity:
                self._plans.popitem(last=False)

    def subgoals(self, plan: str) -> UInt8[np.ndarray, "L H W 3"]:
        """The pictures of a plan. Raises UnknownPlan."""
        with self._changing:
            if plan not in self._plans:
                raise UnknownPlan
            return self._plans[plan]


class PlanStores:
    """A store for each caller: nobody needs to make room for others, and plans are nobody else's business."""

    def __init__(self) -> None:
        self._stores: defaultdict[str, PlanStore] = defaultdict(PlanStore)

    def of(self, caller: str) -> PlanStore:
        """The caller's own."""
        return self._stores[caller]
