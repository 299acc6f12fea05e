"""Plans as resources: what was begun can be asked for again, watched and cancelled, for a while.

Used from the event loop alone.
"""

import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from server.http.pending import Running
from server.plans.schemas import PlanResponse
from server.plans.store import IdempotencyConflict, UnknownPlan

CAPACITY = 256
"""Records that are kept."""
KEPT_SECONDS = 900.0
"""How long after its beginning."""


@dataclass(frozen=True)
class PlanRecord:
    """A plan that was asked for.

    ``body`` is the digest of the request, ``key`` its Idempotency-Key, ``request_id`` its name.
    """

    body: str
    key: str | None
    running: Running[PlanResponse]
    request_id: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    begun: float = field(default_factory=time.monotonic)

    def goes_by(self, name: str) -> bool:
        """Whether it is the record of that name: its id or the id of its finished plan."""
        reply = self.running.reply
        return name == self.id or (reply is not None and name == reply.id)


class PlanRecords:
    """The last records of each caller, who sees no others."""

    def __init__(self) -> None:
        self._records: defaultdict[str, dict[str, PlanRecord]] = defaultdict(dict)

    def add(self, caller: str, record: PlanRecord) -> None:
        """Keep a record, and forget what is too old or too many; what still runs is kept."""
        records = self._records[caller]
        records[record.id] = record
        now, surplus = time.monotonic(), len(records) - CAPACITY
        for name, old in list(records.items()):
            ended = old.running.status not in ("queued", "running")
            if ended and (surplus > 0 or now - old.begun > KEPT_SECONDS):
                del records[name]
                surplus -= 1

    def find(self, caller: str, name: str) -> PlanRecord:
        """The record of that id or with a plan of that id. Raises UnknownPlan."""
        for record in reversed(self._records[caller].values()):
            if record.goes_by(name):
                return record
        raise UnknownPlan

    def repeated(self, caller: str, key: str | None, body: str) -> PlanRecord | None:
        """The record of an earlier request with this key, unless that came to nothing.

        Raises:
            IdempotencyConflict: its body was another one.
        """
        if key is None:
            return None
        for record in reversed(self._records[caller].values()):
            if record.key != key:
                continue
            if record.body != body:
                raise IdempotencyConflict
            running = record.running
            given_up = running.job.cancelled and running.reply is None
            return None if given_up or running.status == "failed" else record
        return None
