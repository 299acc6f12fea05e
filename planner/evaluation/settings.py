"""How a closed-loop run decides: the settings of both levels and of the loop, as one value."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from planner.pursuit import EpisodeConfig
from planner.search.cem import CemConfig
from planner.search.hierarchy import HierarchyConfig
from planner.search.servo import ServoConfig


class Settings(BaseModel):
    """What an outcome depends on beside task, planner, weights and seed. The defaults are what ships."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hierarchy: HierarchyConfig = HierarchyConfig()
    """The search for subgoals; the number of keyframes is the model's."""
    servo: ServoConfig = ServoConfig()
    episode: EpisodeConfig = EpisodeConfig()

    def search(self, planner: str) -> ServoConfig:
        """How the low level of a planner searches: all alike but ``flat-deep``, with four times the steps."""
        if planner != "flat-deep":
            return self.servo
        cem = self.servo.cem.model_copy(update={"candidates": 2 * self.servo.cem.candidates})
        return self.servo.model_copy(update={"horizon": 2 * self.servo.horizon, "cem": cem})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, equal exactly for equal settings."""
        return self.model_dump(mode="json", exclude={"hierarchy": {"keyframes"}})


FOLLOWING = Settings(
    servo=ServoConfig(horizon=5, objective="track"),
    episode=EpisodeConfig(goal_radius=0.0, follow=True, replan_every=2),
)
"""Of models that are asked for whole pictures: plans are followed frame by frame and made afresh every other
step, and the world says when the goal is reached.
"""

PAPER_CEM = CemConfig(candidates=200, iterations=3, elite_fraction=0.05, best_ever=False)
"""KeyIn, Algorithm 1 with the sizes of Table 3: the answer is the cheapest of the last population."""
PAPER_SERVO = ServoConfig(
    horizon=8, cem=PAPER_CEM.model_copy(update={"bound": 1.0}), warm_start=False, warm_std=1.0
)
"""KeyIn, Algorithm 4 and Table 3."""
PAPER = Settings(
    hierarchy=HierarchyConfig(cem=PAPER_CEM, shortlist=1, choice="cheapest"),
    servo=PAPER_SERVO,
    episode=EpisodeConfig(max_steps_per_subgoal=10, subgoal_radius=5.0, replan="never"),
)
"""KeyIn as published: plain searches and no plausibility rule; the radius is that of the authors' code."""
