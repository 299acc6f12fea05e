"""The preset for data that users bring, and how it fits them."""

from pathlib import Path

from world_models.data import SequenceDataset
from world_models.keyin.config import KeyInConfig, Segmentation
from world_models.keyin.own.calibration import CalibrationStage
from world_models.keyin.recipe import AutoencoderStage, KeyInRecipe, KeyInRun, PredictorStage, SoftStage
from world_models.svg.latent_training import SVGStage
from world_models.training.fit import FitConfig
from world_models.training.own import check_sequences, held_out

OWN = KeyInRecipe(
    model=KeyInConfig(
        max_offset=8,
        longest_segment=8,
        widths=(16, 32, 48),
        keypoints=16,
        blobs=16,
        embedding=48,
        hidden=128,
        dense=192,
        segmentation=Segmentation(delay=0.15),
        goal=None,
    ),
    held_out=1,
    autoencoder=AutoencoderStage(steps=3000, batch=32, stills_first=0.0, stills_share=0.1),
    interpolator=FitConfig(steps=2500, batch=256),
    coder=FitConfig(steps=1500, batch=512),
    surprise=SVGStage(steps=2000, batch=64, beta=0.02),
    predictor=PredictorStage(steps=2500, batch=128, offset_weight=3.0),
    soft=SoftStage(steps=0, batch=64, learning_rate=5e-4),
    calibration=CalibrationStage(),
)
"""About ten minutes on one CPU core for 2,400 sequences."""

OWN_DEBUG = OWN.model_copy(
    update={
        "model": OWN.model.model_copy(
            update={
                "keyframes": 3,
                "widths": (4, 8),
                "keypoints": 4,
                "blobs": 4,
                "embedding": 8,
                "latent": 2,
                "hidden": 8,
                "dense": 16,
            }
        ),
        "autoencoder": OWN.autoencoder.model_copy(update={"steps": 2, "batch": 4}),
        "interpolator": FitConfig(steps=2, batch=4),
        "coder": FitConfig(steps=2, batch=4),
        "predictor": PredictorStage(steps=2, batch=4),
        "calibration": CalibrationStage(
            time_weights=(0.1,), prior_weights=(0.1, 1.0), pairs=4, candidates=10, iterations=2
        ),
    }
)

SHORTEST = 7
"""Frames of a sequence, at the least: one that is seen, and six keyframes."""


class OwnKeyInRun(KeyInRun):
    """A run on data that users bring: picture size, frames and offsets are those of the data, and so is what
    is held out, whatever the recipe says.
    """

    data: Path = Path("data/films")
    """Folder of sequences (``python -m envs.collect films``, ``hdf5``, ``gym``, ... make one)."""


def fit_to_data(run: OwnKeyInRun) -> KeyInRun:
    """The run with the sizes of its data.

    Raises:
        DataError: there is no data.
        ValueError: nothing can be learned from it; the message says why.
    """
    data, given = SequenceDataset(run.data), run.recipe.model
    check_sequences(data, max(SHORTEST, given.context + given.keyframes))
    length, size = data.shapes["frames"][:2]
    frames = length - given.context
    offset = max(given.max_offset, 2 * -(-frames // given.keyframes) - 2)
    sizes = {
        "image_size": size,
        "frames": frames,
        "max_offset": min(offset, frames),
        "longest_segment": min(max(offset, given.longest_segment), frames),
    }
    model = KeyInConfig.model_validate(given.model_dump() | sizes)
    recipe = run.recipe.model_copy(update={"model": model, "held_out": held_out(data)})
    return KeyInRun.model_validate(
        {name: getattr(run, name) for name in KeyInRun.model_fields} | {"recipe": recipe}
    )
