"""Plans that were asked for or made, by caller: for a while they can be watched, cancelled and named."""

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from server.errors import IdempotencyConflict, UnknownPlan
from server.http.exchange import Exchange
from server.http.pending import Pending
from server.http.problems import explain
from server.plans.elsewhere import Told
from server.plans.schemas import PlanResponse, PlanStatus
from server.schemas import Problem
from world_models.eye import STANDARD, Calibration

CAPACITY = 256
"""Plans that are kept of a caller."""
KEPT_SECONDS = 900.0
"""How long after its beginning a record is kept."""


def new_name() -> str:
    """What a new record goes by."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class PlanRecord:
    """A plan that was asked for.

    ``body`` is the digest of the request, ``key`` its Idempotency-Key, ``request_id`` its name.
    """

    body: str
    key: str | None
    pending: Pending[PlanResponse]
    request_id: str
    id: str = field(default_factory=new_name)
    begun: float = field(default_factory=time.monotonic)

    @property
    def status(self) -> PlanStatus:
        """How it stands, and the plan or why there is none once it has ended."""
        pending, problem = self.pending, None
        if pending.error is not None:
            problem = Problem.model_validate_json(explain(pending.error, self.request_id))
        return PlanStatus(id=self.id, status=pending.status, result=pending.reply, problem=problem)

    def goes_by(self, name: str) -> bool:
        """Whether it is the record of that name: its id or the id of its finished plan."""
        reply = self.pending.reply
        return name == self.id or (reply is not None and name == reply.id)


@dataclass(frozen=True)
class PlanMade:
    """What actions that go by a plan need of it."""

    pictures: UInt8[np.ndarray, "L H W 3"]
    calibration: Calibration
    path: tuple[str, ...] | None
    """Packed: there are many of them, and few are looked at."""


class Plans:
    """The last plans of one caller: records of what was asked for, and what was made.

    Records are for the event loop alone; threads may share what was made.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._records: dict[str, PlanRecord] = {}
        self._made: OrderedDict[str, PlanMade] = OrderedDict()
        self._changing = threading.Lock()

    def add(self, record: PlanRecord) -> None:
        """Keep a record, and forget what is too old or too many; what still runs is kept."""
        records = self._records
        records[record.id] = record
        now, surplus = time.monotonic(), len(records) - self._capacity
        for name, old in list(records.items()):
            ended = old.pending.status not in ("queued", "running")
            if ended and (surplus > 0 or now - old.begun > KEPT_SECONDS):
                del records[name]
                surplus -= 1

    def find(self, name: str) -> PlanRecord | None:
        """The record of that id or with a plan of that id, if it is one of this process."""
        return next((record for record in reversed(self._records.values()) if record.goes_by(name)), None)

    async def announce(self, record: PlanRecord, deadline_ms: int) -> Told | None:
        """Tell other replicas of a new record; what one of them has begun by the same key before.

        Raises:
            IdempotencyConflict: the body of that was another one.
        """
        return None

    async def elsewhere(self, name: str, seconds: float = 0.0) -> Told:
        """How a plan of another replica stands that goes by that name, when it has ended or so many seconds
        later. Raises UnknownPlan.
        """
        raise UnknownPlan(self._capacity)

    async def cancel_elsewhere(self, name: str) -> None:
        """End the work of another replica on a plan. Raises UnknownPlan."""
        raise UnknownPlan(self._capacity)

    def repeated(self, key: str | None, body: str) -> PlanRecord | None:
        """The record of an earlier request with this key, unless that came to nothing.

        Raises:
            IdempotencyConflict: its body was another one.
        """
        if key is None:
            return None
        for record in reversed(self._records.values()):
            if record.key != key:
                continue
            if record.body != body:
                raise IdempotencyConflict
            pending = record.pending
            given_up = pending.job.cancelled and pending.reply is None
            return None if given_up or pending.status == "failed" else record
        return None

    def keep(
        self,
        plan: str,
        pictures: UInt8[np.ndarray, "L H W 3"],
        calibration: Calibration = STANDARD,
        path: tuple[str, ...] | None = None,
        record: str | None = None,
    ) -> None:
        """Remember the pictures of a plan, and how its scene was seen, as the latest; forget the oldest if
        there are too many. ``record``: what was asked for and is answered by it.
        """
        with self._changing:
            self._made[plan] = PlanMade(pictures, calibration, path)
            self._made.move_to_end(plan)
            if len(self._made) > self._capacity:
                self._made.popitem(last=False)

    def subgoals(self, plan: str) -> UInt8[np.ndarray, "L H W 3"]:
        """The pictures of a plan. Raises UnknownPlan."""
        return self._find(plan).pictures

    def calibration(self, plan: str) -> Calibration:
        """How the pictures of its scene were corrected. Raises UnknownPlan."""
        return self._find(plan).calibration

    def path(self, plan: str) -> tuple[str, ...] | None:
        """PNGs in base64 of every frame after the start, one for each step, the goal picture last; None if
        the plan is not one to be followed. Raises UnknownPlan.
        """
        return self._find(plan).path

    def _find(self, plan: str) -> PlanMade:
        with self._changing:
            if plan not in self._made:
                raise UnknownPlan(self._capacity)
            return self._made[plan]


class PlanMemory:
    """Plans by caller: nobody needs to make room for others, and plans are nobody else's business."""

    def __init__(self, make: Callable[[str], Plans] = lambda caller: Plans()) -> None:
        """``make``: what a caller gets who has none yet."""
        self._make = make
        self._plans: dict[str, Plans] = {}

    def of(self, caller: str) -> Plans:
        """The caller's own."""
        if caller not in self._plans:
            self._plans[caller] = self._make(caller)
        return self._plans[caller]


def plans_of(exchange: Exchange) -> Plans:
    """Those of whoever sent this request."""
    memory: PlanMemory = exchange.request.app.state.plans
    return memory.of(exchange.caller)
