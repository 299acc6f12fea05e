"""Named trainings of control models: one per DM Control task."""

from pathlib import Path

from world_models.struct_vrnn.control.config import ControlSizes
from world_models.struct_vrnn.control.recipe import ControlRecipe, ControlRun
from world_models.training.method import RUNS

DEFAULT = ControlRecipe()
WALKER = ControlSizes(discount=0.985)
"""Its steps are half as long as the others'."""
RECIPES = {
    "acrobot-swingup": DEFAULT,
    "cartpole-balance": ControlRecipe(steps=7500),
    "cheetah-run": ControlRecipe(sizes=ControlSizes(reads=("bodies",))),
    "reacher-easy": DEFAULT,
    "walker-stand": ControlRecipe(steps=14_000, sizes=WALKER),
    "walker-walk": ControlRecipe(steps=24_000, sizes=WALKER),
}

CONTROL_PRESETS: dict[str, tuple[str, ControlRun]] = {
    f"control-{task}": (
        f"what to do in {task}, and what it is worth, on recorded episodes",
        ControlRun(
            task=task,
            data=Path("data/episodes") / task,
            detector=f"struct-vrnn-{task.partition('-')[0]}",
            out=RUNS / f"control-{task}",
            recipe=recipe,
        ),
    )
    for task, recipe in RECIPES.items()
}
"""What each is, and its settings."""
