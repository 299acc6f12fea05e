"""Named training recipes. ``-debug`` recipes run every stage in seconds, for tests."""

from world_models.eye import EyeStage
from world_models.keyin.config import KeyInConfig, Segmentation
from world_models.keyin.reader.training import ReaderStage
from world_models.keyin.recipe import (
    AutoencoderStage,
    KeyInRecipe,
    ObjectColor,
    PredictorStage,
    SoftStage,
    TeacherStage,
)
from world_models.segmenter import TWO_PUCKS_GOAL
from world_models.svg.latent_training import SVGStage
from world_models.training.fit import FitConfig

KEYIN_PUSH = KeyInRecipe(
    model=KeyInConfig(
        max_offset=8, longest_segment=8, segmentation=Segmentation(delay=0.15)
    ),  # recorded pushes take 4 to 8 frames
    held_out=1000,
    autoencoder=AutoencoderStage(steps=10000, batch=32),
    interpolator=FitConfig(steps=5000, batch=256),
    coder=FitConfig(steps=3000, batch=512),
    surprise=SVGStage(steps=2000, batch=64, beta=0.02),
    predictor=PredictorStage(steps=3000, batch=128, offset_weight=3.0),
    soft=SoftStage(steps=0, batch=64, learning_rate=5e-4),
    eye=EyeStage(field_of_view=40.0),
)

_TAUGHT = KEYIN_PUSH.model.model_copy(update={"segmentation": None})
JUMPY_PUSH = KEYIN_PUSH.model_copy(
    update={"model": _TAUGHT, "teacher": TeacherStage(method="constant", constant=5)}
)
SURPRISE_PUSH = KEYIN_PUSH.model_copy(update={"model": _TAUGHT, "teacher": TeacherStage(method="surprise")})

_ANY_NUMBER = KEYIN_PUSH.model.model_copy(
    update={"max_offset": 30, "longest_segment": 30, "countdown": True}
)  # a single keyframe may be the last frame of a sequence
KEYIN_PUSH_PLANNING = KEYIN_PUSH.model_copy(
    update={
        "model": _ANY_NUMBER.model_copy(
            update={"segmentation": Segmentation(interpolation=0.0, object=1.0, coding=0.0, timing=0.0)}
        ),
        "interpolator": FitConfig(steps=1500, batch=256),
        "predictor": PredictorStage(
            steps=9000,
            batch=128,
            learning_rate=4e-3,
            offset_weight=1.0,
            cut=0.25,
            counts=(1, 2, 4, 2, 1, 1),  # few keyframes have to be at the right places
        ),
        "reader": ReaderStage(steps=4000, batch=256, learning_rate=1e-3),
    }
)
"""Keyframes for planning: between them the puck moves in straight lines, whenever that is."""
_ANY_NUMBER_TAUGHT = KEYIN_PUSH_PLANNING.model_copy(
    update={"model": _ANY_NUMBER.model_copy(update={"segmentation": None})}
)


def _planning(teacher: TeacherStage) -> KeyInRecipe:
    return _ANY_NUMBER_TAUGHT.model_copy(update={"teacher": teacher})


def _two_pucks(recipe: KeyInRecipe) -> KeyInRecipe:
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"goal": TWO_PUCKS_GOAL})})


KEYIN_BROWNIAN = KeyInRecipe(
    model=KeyInConfig(
        context=5,
        max_offset=10,
        longest_segment=10,
        image_size=32,
        widths=(16, 32, 48),
        keypoints=8,
        blobs=8,
        embedding=32,
        hidden=128,
        dense=128,
        goal=None,
        # A window of 30 frames holds 4 to 5 turns: not all six keyframes are needed.
        segmentation=Segmentation(floor=0.1, exact=False, price=1.0, coding=0.0, timing=0.5),
    ),
    held_out=1000,
    autoencoder=AutoencoderStage(steps=3000, batch=64, stills_first=0.0, stills_share=0.0),
    interpolator=FitConfig(steps=15000, batch=256),
    coder=FitConfig(steps=2000, batch=512),
    surprise=SVGStage(steps=2000, batch=64, beta=0.02),
    predictor=PredictorStage(steps=3000, batch=128, beta=0.1, offset_weight=3.0),
    soft=SoftStage(steps=0, batch=64, learning_rate=5e-4),
    object=ObjectColor(color=(1.0, 1.0, 1.0), tolerance=0.8),
)

SURPRISE_BROWNIAN = KEYIN_BROWNIAN.model_copy(
    update={
        "model": KEYIN_BROWNIAN.model.model_copy(update={"segmentation": None}),
        "teacher": TeacherStage(method="surprise"),
    }
)

KEYIN_DEBUG = KeyInRecipe(
    model=KeyInConfig(
        frames=6,
        keyframes=3,
        max_offset=3,
        longest_segment=4,
        image_size=16,
        widths=(4, 8),
        keypoints=4,
        blobs=4,
        embedding=8,
        latent=2,
        hidden=8,
        dense=16,
    ),
    held_out=2,
    autoencoder=AutoencoderStage(steps=2, batch=4, save_every=1),
    interpolator=FitConfig(steps=2, batch=4, save_every=1),
    coder=FitConfig(steps=2, batch=4, save_every=1),
    surprise=SVGStage(steps=2, batch=4, save_every=1),
    predictor=PredictorStage(steps=2, batch=4, save_every=1),
    soft=SoftStage(steps=2, batch=4, save_every=1),
    reader=ReaderStage(steps=2, batch=4, save_every=1, width=8, keyframes=20),
)

PRESETS: dict[str, tuple[str, KeyInRecipe]] = {
    "keyin-push": ("KeyIn on the pushing demonstrations", KEYIN_PUSH),
    "keyin-push-planning": (
        "KeyIn for planning: up to six keyframes, where the puck's path bends",
        KEYIN_PUSH_PLANNING,
    ),
    "jumpy-push-planning": (
        "keyframes at equal shares of the time, otherwise as keyin-push-planning",
        _planning(TeacherStage(method="even")),
    ),
    "surprise-push-planning": (
        "keyframes where SVG is surprised, otherwise as keyin-push-planning",
        _planning(TeacherStage(method="surprise")),
    ),
    "random-times-push-planning": (
        "keyframes at random times, otherwise as keyin-push-planning",
        _planning(TeacherStage(method="random")),
    ),
    "keyin-two-pucks-planning": (
        "keyin-push-planning for two pucks, which are to be moved in turn",
        _two_pucks(KEYIN_PUSH_PLANNING),
    ),
    "jumpy-two-pucks-planning": (
        "keyframes at equal shares of the time, otherwise as keyin-two-pucks-planning",
        _two_pucks(_planning(TeacherStage(method="even"))),
    ),
    "keyin-brownian": ("KeyIn on Structured Brownian motion", KEYIN_BROWNIAN),
    "surprise-brownian": ("keyframes where SVG is surprised, otherwise as keyin-brownian", SURPRISE_BROWNIAN),
    "jumpy-push": ("keyframes a constant time apart, otherwise as keyin-push", JUMPY_PUSH),
    "surprise-push": ("keyframes where SVG is surprised, otherwise as keyin-push", SURPRISE_PUSH),
    "keyin-debug": ("KeyIn on tiny pictures, in seconds", KEYIN_DEBUG),
}
