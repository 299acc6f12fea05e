"""A replica's plans, and through the store those of the others."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from server.cluster.store import CONFLICT
from server.errors import IdempotencyConflict, UnknownPlan
from server.plans.elsewhere import Told
from server.plans.memory import CAPACITY, PlanMade, PlanMemory, PlanRecord, Plans
from world_models.eye import STANDARD, Calibration

_ROUND_SECONDS = 60.0


@runtime_checkable
class Store(Protocol):
    """How :class:`server.cluster.store.PlanStore` is reached; ``method`` is one of its own."""

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Its answer."""

    def ask_now(self, method: str, *arguments: Any) -> Any:
        """The same in a thread that can wait."""


class SharedMemory(PlanMemory):
    """The plans of a replica by caller, which the others can ask for."""

    def __init__(self, store: Store) -> None:
        super().__init__(lambda caller: SharedPlans(self, store, caller))
        self._reports: set[asyncio.Task[None]] = set()

    def report(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something told to the store in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def settle(self) -> None:
        """Wait until all is told."""
        await asyncio.gather(*self._reports, return_exceptions=True)


class SharedPlans(Plans):
    """Those of one caller."""

    def __init__(self, memory: SharedMemory, store: Store, caller: str) -> None:
        super().__init__()
        self._memory, self._store, self._caller = memory, store, caller

    async def announce(self, record: PlanRecord, deadline_ms: int) -> Told | None:
        """See :meth:`Plans.announce`; from now on others can ask for the record, and cancel it."""
        seconds = deadline_ms / 1000
        earlier = await self._ask("begin", record.id, record.key, record.body, seconds)
        if earlier == CONFLICT:
            raise IdempotencyConflict
        if earlier is not None:
            return await self.elsewhere(earlier)
        self._memory.report(self._follow(record))
        return None

    async def elsewhere(self, name: str, seconds: float = 0.0) -> Told:
        """See :meth:`Plans.elsewhere`."""
        told = await self._ask("told", name, seconds)
        if told is None:
            raise UnknownPlan(CAPACITY)
        return Told(*told)

    async def cancel_elsewhere(self, name: str) -> None:
        """See :meth:`Plans.cancel_elsewhere`."""
        if not await self._ask("cancel", name):
            raise UnknownPlan(CAPACITY)

    def keep(
        self,
        plan: str,
        pictures: UInt8[np.ndarray, "L H W 3"],
        calibration: Calibration = STANDARD,
        path: tuple[str, ...] | None = None,
        record: str | None = None,
    ) -> None:
        """See :meth:`Plans.keep`; others have it when this returns."""
        super().keep(plan, pictures, calibration, path, record)
        made = (pictures, calibration.model_dump_json(), path)
        self._store.ask_now("keep", self._caller, plan, made, record)

    def _find(self, plan: str) -> PlanMade:
        try:
            return super()._find(plan)
        except UnknownPlan:
            made = self._store.ask_now("made", self._caller, plan)
            if made is None:
                raise
        pictures, calibration, path = made
        return PlanMade(pictures, Calibration.model_validate_json(calibration), path)

    async def _follow(self, record: PlanRecord) -> None:
        """Cancel the work when others ask for it, and tell how it ended."""
        pending = record.pending
        cancelled = asyncio.ensure_future(self._ask("until_cancelled", record.id))
        ended = asyncio.ensure_future(_until_ended(record))
        await asyncio.wait({cancelled, ended}, return_when=asyncio.FIRST_COMPLETED)
        if cancelled.done() and cancelled.exception() is None and cancelled.result():
            pending.cancel()
        await ended
        again = pending.reply is None
        try:
            await self._ask("finish", record.id, record.status.model_dump_json(), again)
            await asyncio.wait({cancelled})
        except Exception:
            logging.getLogger(__name__).exception("The end of plan %s could not be told to others", record.id)

    async def _ask(self, method: str, *arguments: Any) -> Any:
        return await self._store.ask(method, self._caller, *arguments)


async def _until_ended(record: PlanRecord) -> None:
    while not await record.pending.wait(_ROUND_SECONDS):
        pass
