"""Named training recipes of Struct-VRNN: those that ship, the paper's arms, and the columns of Table S1."""

from pathlib import Path
from typing import Any

from world_models.eye import EyeStage
from world_models.segmenter import PUCK_GOAL
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.recipe import DynamicsStage, StructVRNNRecipe, VisionStage

DMC_TASKS = (
    "acrobot-swingup",
    "cartpole-balance",
    "cheetah-run",
    "reacher-easy",
    "walker-stand",
    "walker-walk",
)
DMC_ACTUATORS = 6
"""Cheetah and walker have most."""

DMC = StructVRNNRecipe(
    model=StructVRNNConfig(
        seen_input="detected",
        tasks=DMC_TASKS,
        actions=DMC_ACTUATORS,
        widths=(0, 16, 32),
        keypoints=32,
        blob_width=0.75,
        latent=32,
        hidden=256,
    ),
    held_out=3000,
    vision=VisionStage(steps=5000, batch=6),
    dynamics=DynamicsStage(steps=2500, batch=32, predicted=12, samples=20, beta=1e-4, own_future=1.0),
)


def _change(recipe: StructVRNNRecipe, **parts: dict[str, Any]) -> StructVRNNRecipe:
    """The recipe with some fields of its parts replaced."""
    update = {name: getattr(recipe, name).model_copy(update=fields) for name, fields in parts.items()}
    return recipe.model_copy(update=update)


AGENTS = StructVRNNRecipe(
    model=StructVRNNConfig(
        seen_input="detected", widths=(0, 16, 32), keypoints=12, blob_width=0.75, latent=16, hidden=512
    ),
    held_out=1000,
    # Without a strong separation loss all keypoints end up on one player.
    vision=VisionStage(steps=2000, batch=6, foreign=0.0, separation=0.1),
    dynamics=DynamicsStage(steps=800, batch=32, samples=20, beta=1e-4),
)

ACTIONS = StructVRNNRecipe(
    model=AGENTS.model.model_copy(update={"keypoints": 32, "hidden": 256}),
    held_out=3000,
    vision=VisionStage(steps=5000, batch=6),
    dynamics=DynamicsStage(steps=2500, batch=32, predicted=12, samples=20, beta=1e-4, own_future=1.0),
)
ACTIONS_AS_VECTOR = _change(ACTIONS, model={"representation": "vector"}, dynamics={"beta": 3e-3})

PUSH = StructVRNNRecipe(
    model=StructVRNNConfig(
        seen_input="detected",
        actions=2,
        widths=(0, 16, 32),
        keypoints=16,
        bodies=("puck", "finger"),
        goal=PUCK_GOAL,
        blob_width=0.75,
        latent=8,
        hidden=256,
        posterior_width=256,
    ),
    held_out=1000,
    vision=VisionStage(steps=6000, batch=8, rarity=True),
    dynamics=DynamicsStage(
        steps=20000, batch=64, observed=4, predicted=12, samples=4, beta=1e-4, own_future=1.0
    ),
    eye=EyeStage(field_of_view=40.0),
)


def _control(tasks: tuple[str, ...], actions: int, bodies: tuple[str, ...]) -> StructVRNNRecipe:
    """A model to control the tasks of one DM Control domain with: it knows the domain's tracked bodies."""
    model = PUSH.model.model_copy(update={"tasks": tasks, "actions": actions, "bodies": bodies, "goal": None})
    return StructVRNNRecipe(
        model=model,
        held_out=100,
        vision=VisionStage(steps=5000, batch=8, rarity=True),
        dynamics=PUSH.dynamics.model_copy(update={"steps": 6000, "predicted": 12}),
    )


CONTROL = {
    "acrobot": _control(("acrobot-swingup",), 1, ("elbow", "tip")),
    "cartpole": _control(("cartpole-balance",), 1, ("cart", "pole_tip")),
    "cheetah": _control(
        ("cheetah-run",), 6, ("head", "torso", "back_knee", "back_foot", "front_knee", "front_foot")
    ),
    "reacher": _control(("reacher-easy",), 2, ("wrist", "finger", "target")),
    "walker": _control(
        ("walker-stand", "walker-walk"),
        6,
        ("head", "hips", "right_knee", "left_knee", "right_foot", "left_foot"),
    ),
}
"""A model per DM Control domain, by its name."""


def _paper(
    model: StructVRNNConfig, sparsity: float, separation: tuple[float, float], beta: float
) -> StructVRNNRecipe:
    """A column of Table S1 with the published equations, trained jointly and at full size for 1e5 steps."""
    scale, width = separation
    return StructVRNNRecipe(
        model=model.model_copy(update={"published": True}),
        held_out=1000,
        joint=True,
        vision=VisionStage(
            steps=100_000,
            frames=8,
            sparsity=sparsity,
            separation=scale,
            separation_width=width,
            foreign=0.0,
            summed=True,
            halved=30_000,
            batch=32,
            learning_rate=1e-3,
            save_every=1000,
        ),
        dynamics=DynamicsStage(steps=100_000, batch=32, learning_rate=1e-3, beta=beta, prior_learns=True),
    )


BASKETBALL_PAPER = _paper(StructVRNNConfig(keypoints=12, latent=16), 0.1, (0.1, 0.02), 1e-2)
HUMAN36M_PAPER = _paper(
    StructVRNNConfig(keypoints=48, latent=16, prior_width=4, extra_layers=2), 0.01, (0.02, 0.002), 1e-2
)
DMC_PAPER = _paper(
    StructVRNNConfig(tasks=DMC_TASKS, actions=DMC_ACTUATORS, keypoints=64, latent=128), 5.0, (0.1, 0.02), 3e-3
)

PAPER = _change(
    DMC_PAPER,
    # A quarter of the channels and of the batch, an eighth of the steps; all else as published.
    model={"widths": (8, 16, 32)},
    vision={"steps": 12_000, "batch": 8, "halved": 3_600, "save_every": 200},
    dynamics={"steps": 12_000, "batch": 8},
).model_copy(update={"held_out": DMC.held_out})
"""The column DMCS at a width that two cores train, tested on the sequences that the arms hold out."""

DEBUG = StructVRNNRecipe(
    model=StructVRNNConfig(
        actions=2, image_size=16, widths=(0, 4, 8), keypoints=4, latent=2, hidden=8, posterior_width=8
    ),
    held_out=2,
    vision=VisionStage(steps=2, batch=3, frames=2, save_every=1),
    dynamics=DynamicsStage(steps=2, batch=3, observed=3, predicted=3, samples=4, save_every=1),
)

STRUCT_VRNN_PRESETS: dict[str, tuple[str, Path, StructVRNNRecipe]] = {
    "struct-vrnn-dmc": ("Struct-VRNN on six DM Control tasks", Path("data/dmc"), DMC),
    "struct-vrnn-dmc-no-bom": (
        "as struct-vrnn-dmc without best-of-many samples",
        Path("data/dmc"),
        _change(DMC, dynamics={"samples": 1}),
    ),
    "struct-rnn-dmc": (
        "as struct-vrnn-dmc with deterministic dynamics",
        Path("data/dmc"),
        _change(DMC, model={"stochastic": False}),
    ),
    "cnn-vrnn-dmc": (
        "as struct-vrnn-dmc with an unstructured vector of the same size",
        Path("data/dmc"),
        # Its features have a variance of 1, weighed keypoints of about 0.02: beta in proportion.
        _change(DMC, model={"representation": "vector"}, dynamics={"beta": 3e-3}),
    ),
    "struct-vrnn-dmc-no-separation": (
        "as struct-vrnn-dmc without the separation loss",
        Path("data/dmc"),
        _change(DMC, vision={"separation": 0.0}),
    ),
    "struct-vrnn-dmc-no-sparsity": (
        "as struct-vrnn-dmc without the sparsity loss",
        Path("data/dmc"),
        _change(DMC, vision={"sparsity": 0.0}),
    ),
    "struct-vrnn-dmc-supervised": (
        "as struct-vrnn-dmc with keypoints drawn to the true positions",
        Path("data/dmc"),
        _change(DMC, vision={"supervision": 10.0}),
    ),
    "cnn-vrnn-dmc-supervised": (
        "as cnn-vrnn-dmc with some of its numbers drawn to the true positions",
        Path("data/dmc"),
        _change(
            DMC,
            model={"representation": "vector"},
            vision={"supervision": 10.0},
            dynamics={"beta": 3e-3},
        ),
    ),
    "struct-vrnn-agents": ("Struct-VRNN on five players and a ball", Path("data/agents"), AGENTS),
    **{
        name: (f"{text} on a humanoid's behaviours", Path("data/actions"), recipe)
        for name, text, recipe in (
            ("struct-vrnn-actions", "Struct-VRNN", ACTIONS),
            ("cnn-vrnn-actions", "CNN-VRNN", ACTIONS_AS_VECTOR),
            (
                "struct-vrnn-actions-supervised",
                "supervised Struct-VRNN",
                _change(ACTIONS, vision={"supervision": 10.0}),
            ),
            (
                "cnn-vrnn-actions-supervised",
                "supervised CNN-VRNN",
                _change(ACTIONS_AS_VECTOR, vision={"supervision": 10.0}),
            ),
        )
    },
    "struct-vrnn-push": ("Struct-VRNN on pushing at the rate of control", Path("data/push-play"), PUSH),
    **{
        f"struct-vrnn-{domain}": (f"Struct-VRNN to control the {domain} with", Path("data/rounds"), recipe)
        for domain, recipe in CONTROL.items()
    },
    "struct-vrnn-paper": (
        "published equations and losses, trained jointly, at a quarter of the width",
        Path("data/dmc"),
        PAPER,
    ),
    "struct-vrnn-dmc-paper": ("Table S1, column DMCS", Path("data/dmc"), DMC_PAPER),
    "struct-vrnn-basketball-paper": (
        "Table S1, column Basketball",
        Path("data/basketball"),
        BASKETBALL_PAPER,
    ),
    "struct-vrnn-human36m-paper": ("Table S1, column Human3.6M", Path("data/human36m"), HUMAN36M_PAPER),
    "struct-vrnn-debug": ("Struct-VRNN on tiny pictures, in seconds", Path("data/debug"), DEBUG),
}
"""What each preset is, where its data is looked for, and how it is trained."""

DMC_ARMS = {
    "struct-vrnn": "struct-vrnn-dmc",
    "no-bom": "struct-vrnn-dmc-no-bom",
    "struct-rnn": "struct-rnn-dmc",
    "cnn-vrnn": "cnn-vrnn-dmc",
    "supervised": "struct-vrnn-dmc-supervised",
    "cnn-vrnn-supervised": "cnn-vrnn-dmc-supervised",
    "no-separation": "struct-vrnn-dmc-no-separation",
    "no-sparsity": "struct-vrnn-dmc-no-sparsity",
    "paper": "struct-vrnn-paper",
}
"""Presets of the arms of the paper's comparisons, in the order of the tables."""

ACTION_ARMS = {
    "struct-vrnn": "struct-vrnn-actions",
    "cnn-vrnn": "cnn-vrnn-actions",
    "supervised": "struct-vrnn-actions-supervised",
    "cnn-vrnn-supervised": "cnn-vrnn-actions-supervised",
}
"""The same for action recognition."""
