"""What the replicas of a service tell each other of plans: one small process keeps it for all of them.

It computes nothing and loads nothing: what it keeps are JSON, arrays and texts that replicas have made.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

CONFLICT = "conflict"
"""What :meth:`PlanStore.begin` answers to a key that came with another body before."""
GRACE_SECONDS = 10.0
"""A plan that nobody has finished so long after its deadline is lost with the replica that made it."""
_ALIAS_SECONDS = 5.0
"""How long the end of a plan is waited for that is asked for by what only finished plans have."""

Told = tuple[str, str | None, bool]
"""Id of a record, the JSON of its status once it has ended, and whether it is lost."""


@dataclass
class _Record:
    """A plan that a replica was asked for; ``ends`` is when it is lost if it has no status by then."""

    id: str
    key: str | None = None
    body: str = ""
    begun: float = 0.0
    ends: float = 0.0
    status: str | None = None
    again: bool = False
    plans: set[str] = field(default_factory=set)
    cancelled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """That it was cancelled, or has ended."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def lost(self, now: float) -> bool:
        return self.status is None and now > self.ends


class PlanStore:
    """Records and finished plans by caller: as many, and for as long, as a single process keeps them."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity, self._seconds = capacity, seconds
        self._records: defaultdict[str, dict[str, _Record]] = defaultdict(dict)
        self._made: defaultdict[str, OrderedDict[str, Any]] = defaultdict(OrderedDict)

    async def begin(self, caller: str, name: str, key: str | None, body: str, seconds: float) -> str | None:
        """A replica has begun a plan, to be done in so many seconds.

        Answers None, or that it should not have: the id of the record that has had this ``key`` before it, or
        :data:`CONFLICT`. To be told of the same record twice changes nothing.
        """
        records, now = self._records[caller], time.monotonic()
        if name in records:
            return None
        self._forget(records, now)
        for earlier in reversed(records.values()) if key is not None else ():
            if earlier.key == key and earlier.body != body:
                return CONFLICT
            if earlier.key == key and not earlier.again and not earlier.lost(now):
                return earlier.id
        records[name] = _Record(name, key, body, now, now + seconds + GRACE_SECONDS)
        return None

    async def finish(self, caller: str, name: str, status: str, again: bool) -> None:
        """A plan has ended; ``again``: it came to nothing, and its key may be used again."""
        record = self._records[caller].setdefault(name, _Record(name, begun=time.monotonic()))
        record.status, record.again = status, again
        record.changed.set()
        record.ended.set()

    async def told(self, caller: str, name: str, patience: float) -> Told | None:
        """How a record stands that goes by this name; its end is waited for as long as ``patience``."""
        record = self._find(caller, name)
        if record is None:
            return None
        if name != record.id:
            patience = max(patience, _ALIAS_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(record.ended.wait(), patience)
        return record.id, record.status, record.lost(time.monotonic())

    async def cancel(self, caller: str, name: str) -> bool:
        """End the work on a plan; whether there is one of that name."""
        record = self._find(caller, name)
        if record is not None:
            record.cancelled = True
            record.changed.set()
        return record is not None

    async def until_cancelled(self, caller: str, name: str) -> bool:
        """Wait until a plan has ended or somebody has cancelled it; whether it was that."""
        record = self._records[caller].get(name)
        if record is None:
            return False
        await record.changed.wait()
        return record.cancelled

    async def keep(self, caller: str, plan: str, made: Any, record: str | None) -> None:
        """Keep what actions need of a plan; ``record``: of the request that it answers, if any."""
        kept = self._made[caller]
        kept[plan] = made
        kept.move_to_end(plan)
        if len(kept) > self._capacity:
            kept.popitem(last=False)
        if record is not None and record in self._records[caller]:
            self._records[caller][record].plans.add(plan)

    async def made(self, caller: str, plan: str) -> Any:
        """What was kept of a plan, or None."""
        return self._made[caller].get(plan)

    def _find(self, caller: str, name: str) -> _Record | None:
        for record in reversed(self._records[caller].values()):
            if name == record.id or name in record.plans:
                return record
        return None

    def _forget(self, records: dict[str, _Record], now: float) -> None:
        """What is too old or too many; what still runs is kept."""
        surplus = len(records) + 1 - self._capacity
        for name, old in list(records.items()):
            ended = old.status is not None or old.lost(now)
            if ended and (surplus > 0 or now - old.begun > self._seconds):
                old.changed.set()
                del records[name]
                surplus -= 1
