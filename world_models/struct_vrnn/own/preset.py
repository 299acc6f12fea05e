"""The preset for data that users bring, and how it fits them."""

from pathlib import Path

from tqdm import tqdm

from world_models.data import SequenceDataset
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.own.calibration import GoalStage
from world_models.struct_vrnn.recipe import DynamicsStage, StructVRNNRecipe, StructVRNNRun, VisionStage
from world_models.training.own import check_sequences, held_out

OWN = StructVRNNRecipe(
    model=StructVRNNConfig(
        seen_input="detected",
        widths=(0, 16, 32),
        keypoints=8,
        blob_width=0.75,
        latent=8,
        hidden=128,
        posterior_width=128,
    ),
    held_out=1,
    vision=VisionStage(steps=2500, batch=8, rarity=True),
    dynamics=DynamicsStage(
        steps=4000, batch=64, observed=4, predicted=12, samples=4, beta=1e-4, own_future=1.0
    ),
    calibration=GoalStage(),
)
"""About ten minutes on one CPU core for 2,400 sequences."""

OWN_DEBUG = OWN.model_copy(
    update={
        "model": OWN.model.model_copy(
            update={"widths": (0, 4, 8), "keypoints": 4, "latent": 2, "hidden": 8, "posterior_width": 8}
        ),
        "vision": OWN.vision.model_copy(update={"steps": 2, "batch": 3, "frames": 2}),
        "dynamics": OWN.dynamics.model_copy(update={"steps": 2, "batch": 3}),
    }
)

SHORTEST = 6
"""Frames of a sequence, at the least: some that are seen, and some that are predicted."""


class OwnStructVRNNRun(StructVRNNRun):
    """A run on data that users bring: picture size, actuators and windows are those of the data, and so is
    what is held out, whatever the recipe says.
    """

    data: Path = Path("data/films")
    """Folder of sequences (``python -m envs.collect films``, ``hdf5``, ``gym``, ... make one)."""


def fit_to_data(run: OwnStructVRNNRun) -> StructVRNNRun:
    """The run with the sizes of its data.

    Raises:
        DataError: there is no data.
        ValueError: nothing can be learned from it; the message says why.
    """
    data, given = SequenceDataset(run.data), run.recipe
    check_sequences(data, SHORTEST)
    length, size = data.shapes["frames"][:2]
    actions = data.shapes["actions"][-1]
    if not actions:
        tqdm.write(f"{run.data} has no actions: the model will foresee pictures, and cannot act")
    model = StructVRNNConfig.model_validate(
        given.model.model_dump() | {"image_size": size, "actions": actions}
    )
    observed = min(given.dynamics.observed, length - 2)
    windows = {"observed": observed, "predicted": min(given.dynamics.predicted, length - observed)}
    recipe = given.model_copy(
        update={
            "model": model,
            "held_out": held_out(data),
            "dynamics": given.dynamics.model_copy(update=windows),
        }
    )
    return StructVRNNRun.model_validate(
        {name: getattr(run, name) for name in StructVRNNRun.model_fields} | {"recipe": recipe}
    )
