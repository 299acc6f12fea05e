"""Pushing as a world: one of its tasks, from pictures, with the puck's way to the goal as measure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.push.env import STRICT_SUCCESS, SUCCESS, PushEnv, standard_view
from envs.push.episodes import Scenes, draw_episodes, find_demonstration, load_manifest
from envs.push.ids import MANIFESTS
from envs.push.rhythms import find_rhythm
from envs.push.scene import PUCK_NAMES, Scene, is_free, path_length
from envs.push.simulator import PushSimulator
from envs.push.variation.factors import Variation
from envs.world import Column, Demonstrated, Measures, Picture, Record, World
from world_models.segmenter import PUCK_GOAL, TWO_PUCKS_GOAL, Wanted
from world_models.statistics import mcnemar, wilson_interval


def _success(records: Sequence[Record], _: Mapping[str, Sequence[Record]]) -> Record:
    distances = np.array([record["distance"] for record in records])
    successes = int((distances < SUCCESS).sum())
    return {
        "success_rate": successes / len(records),
        "success_ci95": list(wilson_interval(successes, len(records))),
    }


def _strict(records: Sequence[Record], _: Mapping[str, Sequence[Record]]) -> Record:
    distances = np.array([record["distance"] for record in records])
    return {"strict_rate": float((distances < STRICT_SUCCESS).mean())}


def _error(records: Sequence[Record], _: Mapping[str, Sequence[Record]]) -> Record:
    distances = np.array([record["distance"] for record in records])
    return {
        "position_error_mean": float(distances.mean()),
        "position_error_std": float(distances.std()) if len(distances) > 1 else None,
        "initial_error_mean": float(np.mean([record["initial_distance"] for record in records])),
    }


def _through_wall(records: Sequence[Record], _: Mapping[str, Sequence[Record]]) -> Record:
    """How many plans cut through a wall; None for planners that plan nothing."""
    planned = any(record["planned"] for record in records)
    return {"plans_through_wall": sum(r["plan_crosses_wall"] for r in records) if planned else None}


def _against_first(records: Sequence[Record], by_arm: Mapping[str, Sequence[Record]]) -> Record:
    """In how many episodes this arm succeeds and the first one does not, and the other way round; None for
    the first one itself.
    """
    first = next(iter(by_arm.values()), records)
    if first is records:
        return {"won": None, "lost": None, "mcnemar_p": None}
    pairs = [
        (mine["distance"] < SUCCESS, other["distance"] < SUCCESS)
        for mine, other in zip(records, first, strict=True)
    ]
    won, lost = pairs.count((True, False)), pairs.count((False, True))
    return {"won": won, "lost": lost, "mcnemar_p": mcnemar(won, lost)}


def against_first_text(row: Mapping[str, Any]) -> str:
    """Won and lost episodes of a row, and McNemar's p; a dash for the first one itself."""
    if row.get("won") is None:  # older results do not have it
        return "-"
    p = row["mcnemar_p"]
    return f"{row['won']} / {row['lost']} ({f'{p:.2g}' if p >= 0.001 else f'{p:.0e}'})"


def _error_text(row: Mapping[str, Any]) -> str:
    spread = row["position_error_std"]
    return f"{row['position_error_mean']:.3f}" + (f" ± {spread:.3f}" if spread is not None else "")


def _success_text(row: Mapping[str, Any]) -> str:
    low, high = row["success_ci95"]
    return f"{100 * row['success_rate']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


DIRECTIONS = 64
"""In which a disturbance may move the puck."""


class PushWorld(World[Scene]):
    """One pushing task; ``variation`` says how its world differs from what models were trained on."""

    goal: Wanted = PUCK_GOAL
    columns: ClassVar[Sequence[Column | str]] = (
        Column("success < 0.30 (95 % CI)", _success, _success_text),
        Column("won / lost against the first (p)", _against_first, against_first_text),
        Column("strict < 0.15", _strict, lambda row: f"{100 * row['strict_rate']:.1f} %"),
        Column(
            "position error, mean ± sd",
            _error,
            _error_text,
        ),
        "whole",
        Column(
            "plans through wall",
            _through_wall,
            lambda row: "-" if row["plans_through_wall"] is None else str(row["plans_through_wall"]),
        ),
        "steps",
        "model_steps",
        "simulator_steps",
        "plan_seconds",
        "step_seconds",
    )

    def __init__(
        self,
        task: str = "push",
        variation: Variation | None = None,
        rhythm: str = "regular",
        disturbance: float = 0.0,
    ) -> None:
        """``rhythm`` is that of its demonstrations. After a third of an episode's steps somebody moves the
        puck by ``disturbance`` (table units) to where it is farthest from the goal, over walls, too.

        Raises:
            ValueError: there is no such task or rhythm.
        """
        self.id = task
        self._disturbance, self._done = disturbance, 0
        self._rhythm = find_rhythm(rhythm)
        self.env: PushEnv = PushEnv(variation, task=task)
        self.steps = self.env.task.steps
        if self.env.task.pucks == 2:
            self.goal = TWO_PUCKS_GOAL
        self._project = standard_view(self.image_size)

    def episodes(self, count: int, seed: int | None = None) -> Scenes:
        """The task's frozen scenes, or ``count`` new ones drawn with ``seed``."""
        if seed is not None:
            return draw_episodes(seed, count, self.id)
        return load_manifest(MANIFESTS[self.id])

    def begin(self, start: Scene) -> tuple[Picture, Picture]:
        """Set up the scene: how it is, and how it should be."""
        picture, info = self.env.reset(options={"scene": start})
        self._done = 0
        return picture, info["goal"]

    def step(self, action: NDArray[np.float32]) -> Picture:
        """Do the action ``[2]`` and see what comes of it, and of the disturbance."""
        picture = super().step(action)
        self._done += 1
        if self._disturbance and self._done == self.env.scene.steps // 3:
            self._disturb()
            picture = self.env.render()
        return picture

    def _disturb(self) -> None:
        """Of the places that are free, the puck gets the one from which its way to the goal is longest."""
        scene, positions = self.env.scene, self.env.positions()
        angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
        around = positions["puck"] + self._disturbance * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        free = [place for place in around if is_free(scene, place, positions["finger"])]
        if free:
            self.env.move_puck(max(free, key=lambda place: path_length(scene, place)))

    def length(self, start: Scene) -> int:
        """A scene says how many steps it allows."""
        return start.steps

    def measure(self) -> Measures:
        """``distance``: the puck's shortest way to the goal in table units, of two pucks the longer one;
        ``puck``: where it is ``[x, y]``, and ``second_puck`` where there is one.
        """
        positions = self.env.positions()
        pucks = {name: positions[name] for name in PUCK_NAMES if name in positions}
        places = {name: (float(puck[0]), float(puck[1])) for name, puck in pucks.items()}
        return {"distance": self.env.distance(), **places}

    def simulator(self, pool: int, threads: int = 1) -> PushSimulator:
        """Pixels of pucks and finger, from the physics."""
        return PushSimulator(self.env, pool, threads)

    def demonstrate(self, start: Scene) -> Demonstrated | None:
        """The demonstrator's first success; None if it has none."""
        demonstration = find_demonstration(self.env, start, self._rhythm)
        if demonstration is None:
            return None
        pictures = []
        self.env.start(start)
        for state in demonstration.states:
            self.env.set_state(state)
            pictures.append(self.env.render())
        return Demonstrated(pictures, np.flatnonzero(demonstration.keyframes).tolist())

    def record(
        self, start: Scene, measures: Sequence[Measures], plans: Sequence[Sequence[tuple[float, ...]]]
    ) -> Record:
        """Distances at the start and at the end, and whether the first plan crosses a wall."""
        return {
            "initial_distance": measures[0]["distance"],
            "distance": measures[-1]["distance"],
            "final_puck": measures[-1]["puck"],
            "goal": start.goal,
            **self._second(start, measures[-1]),
            "plan_crosses_wall": bool(plans) and self._crosses(start, plans[0]),
        }

    def _second(self, scene: Scene, last: Measures) -> Record:
        if scene.second is None:
            return {}
        return {"final_second_puck": last["second_puck"], "second_goal": scene.second[1]}

    def _crosses(self, scene: Scene, centres: Sequence[tuple[float, ...]]) -> bool:
        """Whether straight lines from start over the planned puck positions to the goal cut a wall."""
        seen = [np.array(centre).reshape(-1, 2) for centre in centres if np.isfinite(centre).all()]
        walls = [self._project(wall.end_points(margin=0.0), 0.0) for wall in scene.walls]
        for number, errand in enumerate(scene.errands):
            start, goal = self._project(np.array(errand), 0.0)
            route = [start, *(places[number] for places in seen), goal]
            if any(_cut(a, b, *wall) for a, b in pairwise(route) for wall in walls):
                return True
        return False


def _cut(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> bool:
    """Whether the segments a-b and c-d cross."""

    def side(p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
