"""The DM Control tasks behind ``waymark/CheetahRun-v0`` and its siblings: a table, without a simulator."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

CONTROL_STEPS = 1000
"""Control steps of an episode, in every task of the DM Control suite."""


@dataclass(frozen=True)
class Point:
    """A visible point whose place in the picture is recorded: ``offset`` (metres) in ``frame``.

    The frame is a body's, or a geometry's for what belongs to no body of its own.
    """

    name: str
    frame: str
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    kind: Literal["body", "geom"] = "body"


@dataclass(frozen=True)
class DmcTask:
    """One task: ``name`` is ours, ``domain`` and ``task`` are DM Control's.

    ``camera`` is the domain's first one (it follows the cheetah and the walker). ``action_repeat`` control
    steps make one step of the environment: PlaNet's numbers (Hafner et al. 2019) for cheetah, reacher and
    walker, 4 for the acrobot, which is not among its tasks, and for the cart-pole (there 8). An action has
    ``actions`` numbers.
    """

    name: str
    id: str
    domain: str
    task: str
    camera: str
    action_repeat: int
    actions: int
    points: tuple[Point, ...]

    @property
    def steps(self) -> int:
        """Steps of the environment after which an episode is truncated."""
        return CONTROL_STEPS // self.action_repeat


_ACROBOT = (Point("elbow", "lower_arm"), Point("tip", "lower_arm", (0.0, 0.0, 1.0)))
_CARTPOLE = (Point("cart", "cart"), Point("pole_tip", "pole_1", (0.0, 0.0, 1.0)))
_CHEETAH = (
    Point("head", "torso", (0.6, 0.0, 0.1)),
    Point("torso", "torso"),
    Point("back_knee", "bshin"),
    Point("back_foot", "bfoot", (0.03, 0.0, -0.097)),
    Point("front_knee", "fshin"),
    Point("front_foot", "ffoot", (0.045, 0.0, -0.07)),
)
_REACHER = (Point("wrist", "hand"), Point("finger", "finger"), Point("target", "target", kind="geom"))
_WALKER = (
    Point("head", "torso", (0.0, 0.0, 0.3)),
    Point("hips", "torso", (0.0, 0.0, -0.3)),
    Point("right_knee", "right_leg", (0.0, 0.0, 0.25)),
    Point("left_knee", "left_leg", (0.0, 0.0, 0.25)),
    Point("right_foot", "right_foot"),
    Point("left_foot", "left_foot"),
)

TASKS = MappingProxyType(
    {
        task.name: task
        for task in (
            DmcTask(
                "acrobot-swingup", "waymark/AcrobotSwingup-v0", "acrobot", "swingup", "fixed", 4, 1, _ACROBOT
            ),
            DmcTask(
                "cartpole-balance",
                "waymark/CartpoleBalance-v0",
                "cartpole",
                "balance",
                "fixed",
                4,
                1,
                _CARTPOLE,
            ),
            DmcTask("cheetah-run", "waymark/CheetahRun-v0", "cheetah", "run", "side", 4, 6, _CHEETAH),
            DmcTask("reacher-easy", "waymark/ReacherEasy-v0", "reacher", "easy", "fixed", 4, 2, _REACHER),
            DmcTask("walker-stand", "waymark/WalkerStand-v0", "walker", "stand", "side", 2, 6, _WALKER),
            DmcTask("walker-walk", "waymark/WalkerWalk-v0", "walker", "walk", "side", 2, 6, _WALKER),
        )
    }
)
"""Tasks by name."""


def find_task(name: str) -> DmcTask:
    """The task of that name.

    Raises:
        ValueError: there is no such task; the message names those there are.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]
