"""A DM Control task as a world: pictures of one camera, and reward."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from dm_control.rl.control import PhysicsError
from numpy.typing import NDArray

from envs.dmc.env import DmcEnv
from envs.dmc.episodes import DmcStart, draw_starts, load_starts
from envs.dmc.simulator import DmcSimulator
from envs.dmc.variation import DmcVariation
from envs.world import (
    Column,
    Diverged,
    Episodes,
    Measures,
    Picture,
    Record,
    World,
    canonical,
    mean_column,
)
from world_models.statistics import bootstrap_interval


def _return(records: Sequence[Record], _: Mapping[str, Sequence[Record]]) -> Record:
    returns = _returns(records)
    interval = bootstrap_interval(returns)
    return {
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns, ddof=1)) if interval else None,
        "return_ci95": list(interval) if interval else None,
    }


def _return_text(row: Mapping[str, Any]) -> str:
    if row["return_ci95"] is None:
        return f"{row['return_mean']:.1f} (one episode: no interval)"
    low, high = row["return_ci95"]
    return f"{row['return_mean']:.1f} ± {row['return_std']:.1f} ({low:.1f} to {high:.1f})"


def _of(arm: str) -> Column:
    """Mean return over that of another arm; None where there is no such arm, or it earned nothing."""

    def figures(records: Sequence[Record], by_arm: Mapping[str, Sequence[Record]]) -> Record:
        reference = float(np.mean(_returns(by_arm[arm]))) if arm in by_arm else None
        return {f"of_{arm}": float(np.mean(_returns(records))) / reference if reference else None}

    def text(row: Mapping[str, Any]) -> str:
        ratio = row[f"of_{arm}"]
        if ratio is None:
            return "-"
        if arm == "simulator":
            return f"{100 * ratio:.0f} %"
        # Where chance earns next to nothing, the ratio says no more than that.
        return f"{ratio:.1f} ×" if ratio < 1000 else "> 1000 ×"

    return Column(f"of {arm}", figures, text)


def _returns(records: Sequence[Record]) -> NDArray[np.float64]:
    return np.array([float(record["return"]) for record in records])


class DmcWorld(World[DmcStart]):
    """One task of the DeepMind Control Suite; ``variation`` says how it looks otherwise than in training."""

    columns: ClassVar[Sequence[Column | str]] = (
        Column("return, mean ± sd (95 % CI)", _return, _return_text),
        _of("simulator"),
        _of("random"),
        mean_column("steps", "steps_mean", "steps", ".0f"),
        "imagined",
        "decision_seconds",
    )

    def __init__(self, task: str, variation: DmcVariation | None = None) -> None:
        self.id = f"dmc/{task}"
        self.env: DmcEnv = DmcEnv(task, variation=variation)
        self.steps = self.env.task.steps
        self._reward = 0.0

    def episodes(self, count: int, seed: int | None = None) -> Episodes[DmcStart]:
        """The task's frozen starts, or ``count`` new ones drawn with ``seed``."""
        task = self.env.task.name
        if seed is None:
            frozen = load_starts()
            return Episodes(frozen.name, frozen.seed, frozen.fingerprint, frozen.starts[task])
        starts = draw_starts(self.env, seed, count)
        digest = hashlib.sha256(canonical([start.digest for start in starts])).hexdigest()
        return Episodes(f"{task}-fresh-{seed}", seed, digest, starts)

    def begin(self, start: DmcStart) -> tuple[Picture, None]:
        """Start where it says. Raises ValueError if that is not where it was frozen."""
        start.begin(self.env)
        self._reward = 0.0
        return self.env.render(), None

    def step(self, action: NDArray[np.float32]) -> Picture:
        """Hold the action for the task's number of control steps."""
        try:
            self._reward, _ = self.env.advance(action.astype(np.float64))
        except PhysicsError as error:
            raise Diverged(str(error)) from error
        return self.env.render()

    def measure(self) -> Measures:
        """``reward`` of the last step, and the true ``state``."""
        return {"reward": self._reward, "state": self.env.state()}

    def simulator(self, pool: int, threads: int = 1) -> DmcSimulator:
        """Rewards, from the physics."""
        return DmcSimulator(self.env, pool, threads)
