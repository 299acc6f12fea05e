"""The composition root: names and settings in, ready planners and world models out."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.figures import read_figures
from planner.goals.planning import planner_for
from planner.loaded import (
    Ready,
    ReadyControl,
    ReadyHead,
    ReadyKalman,
    ReadyPlanner,
    ReadySVG,
    ReadyWorldModel,
)
from planner.search.hierarchy import HierarchyConfig
from world_models.checkpoint import CONFIG, EYE, CheckpointError, StoredModel, read_model
from world_models.eye import Eye, Reference
from world_models.goals import BodyGoal, KeypointsGoal
from world_models.kalman.model import Kalman
from world_models.keyin.config import KeyInConfig
from world_models.keyin.model import KeyIn
from world_models.keyin.reader.network import load_reader
from world_models.shipped import find_folder, heads_folder, model_name, shipped_kind, shipped_models
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.detector.stored import find_detector
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import load_heads
from world_models.svg import SVG
from world_models.tap.model import Tap

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def available_ready() -> tuple[str, ...]:
    """Names of all shipped models that a server offers."""
    acting = (*available_world_models(), *available_control_models())
    return (*available_models(), *acting, *available_video_models())


def available_models() -> tuple[str, ...]:
    """Names of the shipped models that plan by a search over keyframes, KeyIn first."""
    return tuple(sorted(filter(_plans, _shipped("keyin")), key=lambda name: name != "keyin-push"))


def available_world_models() -> tuple[str, ...]:
    """Names of the shipped Struct-VRNNs, those that predict rewards first."""
    return tuple(
        sorted(_shipped("struct-vrnn"), key=lambda name: not heads_folder(find_folder(name)).is_dir())
    )


def available_control_models() -> tuple[str, ...]:
    """Names of the shipped models that act in a DM Control task with a value of what comes."""
    return tuple(_shipped("control"))


def available_video_models() -> tuple[str, ...]:
    """Names of the shipped SVG and Kalman models, SVG first."""
    return (*_shipped("svg"), *_shipped("kalman"))


def _shipped(kind: str) -> list[str]:
    return [name for name in shipped_models() if shipped_kind(name) == kind]


def _plans(name: str) -> bool:
    config = json.loads((find_folder(name) / CONFIG).read_text())
    return KeyInConfig.model_validate(config).goal is not None


def load_tap(name: str = "tap-push", device: str = "cpu") -> Tap:
    """Load a TAP model by its shipped name or the path of a model folder.

    Raises:
        ValueError: there is no such model.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    return Tap.load(find_folder(name), device)


def load_keyin(name: str = "keyin-push", device: str = "cpu") -> KeyIn:
    """Load a KeyIn model by its shipped name or the path of a model folder.

    Raises:
        ValueError: there is no such model.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    return KeyIn.load(find_folder(name), device)


def find_models(wanted: Sequence[str]) -> dict[str, Path]:
    """The folders of models that a server is to offer, by their names; nothing is loaded.

    Each is given by its shipped name, the path of its folder, or ``NAME=`` and one of these.

    Raises:
        ValueError: there is no such model, it is of a kind that is not offered, or two have one name.
        CheckpointError: a configuration cannot be read.
    """
    found: dict[str, Path] = {}
    for given in wanted:
        name, folder = _find(given)
        if name in found:
            raise ValueError(
                f"two models are called {name}: {found[name]} and {folder}; "
                f"leave one out, or name it as in {name}-2={given.partition('=')[2] or given}"
            )
        _check_kind(given, _kind(folder))
        found[name] = folder
    return found


def load_ready(given: str, device: str = "cpu") -> Ready:
    """Load what a server offers, a planner or a world model, given as for :func:`find_models`.

    Raises:
        ValueError: there is no such model, or it is of a kind that is not offered.
        CheckpointError: its files are incomplete or differ from their manifest, or its heads are not its own.
    """
    name, folder = _find(given)
    kind = str(read_model(folder).config.get("kind"))
    _check_kind(given, kind)
    found = _LOADERS[kind](str(folder), device)
    return replace(found, name=name)


def _find(given: str) -> tuple[str, Path]:
    name, sign, path = given.partition("=")
    if not sign or Path(given).is_dir():
        folder = find_folder(given)
        return model_name(folder), folder
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a model; one has up to 100 letters, digits and signs ._-")
    return name, find_folder(path)


def _kind(folder: Path) -> str:
    """As the configuration has it, which is not verified yet."""
    try:
        return str(dict(json.loads((folder / CONFIG).read_bytes())).get("kind"))
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{folder / CONFIG} cannot be read: {error}") from error


def _check_kind(given: str, kind: str) -> None:
    if kind not in _LOADERS:
        offered = ", ".join(available_ready()) or "none"
        raise ValueError(f"{given} is none of {', '.join(_LOADERS)}; shipped ones that are: {offered}")


def load_planner(
    name: str = "keyin-push", device: str = "cpu", hierarchy: HierarchyConfig | None = None
) -> ReadyPlanner:
    """Load a planning model by its shipped name or the path of a model folder.

    ``hierarchy`` is how it searches; the number of keyframes is the model's, whatever it says.

    Raises:
        ValueError: there is no such model, or its configuration has no goal.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    folder = find_folder(name)
    stored = read_model(folder)
    wanted = stored.parse_config(KeyInConfig).goal or stored.goal
    if wanted is None:
        able = ", ".join(available_models()) or "none"
        raise ValueError(f"{name} has no goal that plans could be searched for; shipped ones that do: {able}")
    if isinstance(wanted, KeypointsGoal | BodyGoal):
        raise CheckpointError(f"{folder} is of a KeyIn, which has no {wanted.kind} that could be wanted")
    model = KeyIn.load(folder, device)
    reader = load_reader(stored, model.config.image_size, device)
    return ReadyPlanner(
        **_identity(folder, stored),
        image_size=model.config.image_size,
        planner=planner_for(wanted, model, reader, hierarchy or HierarchyConfig()),
        goal=wanted,
        eye=_eye(stored),
    )


def load_world_model(name: str = "struct-vrnn-dmc", device: str = "cpu") -> ReadyWorldModel:
    """Load a Struct-VRNN by its shipped name or the path of a model folder, with its reward heads, if any.

    They are looked for in ``<folder>-rewards``, where they ship, and in ``rewards`` beside the folder, where
    a run leaves them.

    Raises:
        ValueError: there is no such model, or it has no keypoints.
        CheckpointError: its files are incomplete or differ from their manifest, or its heads are not its own.
    """
    folder = find_folder(name)
    stored = read_model(folder)
    config = stored.parse_config(StructVRNNConfig)
    if config.representation != "keypoints":
        raise ValueError(f"{name} is a CNN-VRNN, a baseline without keypoints; name a Struct-VRNN")
    rewards = heads_folder(folder)
    heads = load_heads(rewards, stored.weights_digest, device) if rewards.is_dir() else {}
    return ReadyWorldModel(
        **_identity(folder, stored),
        image_size=config.image_size,
        world=StructVRNN.load(folder, device),
        heads={task: ReadyHead(head, read_model(rewards / task).digest) for task, head in heads.items()},
        eye=_eye(stored),
        goal=stored.goal,
    )


def is_control(name: str) -> bool:
    """Whether a shipped name or model folder is a control model's. Raises likewise."""
    return _kind(find_folder(name)) == "control"


def load_control(name: str, device: str = "cpu") -> ReadyControl:
    """Load a control model by its shipped name or the path of a model folder, with the Struct-VRNN it reads:
    that in ``detector`` beside the folder, where a run leaves it, or one that ships.

    Raises:
        ValueError: there is no such model.
        CheckpointError: its files are incomplete or differ from their manifest, it is no control model, or
            the Struct-VRNN it reads is not there.
    """
    folder = find_folder(name)
    stored = read_model(folder)
    config = stored.parse_config(ControlConfig)
    detector = find_detector(folder, config.detector)
    world = StructVRNN.load(detector, device)
    return ReadyControl(
        **_identity(folder, stored),
        image_size=world.config.image_size,
        world=world,
        control=Control.load(folder, device),
        eye=_eye(read_model(detector)),
    )


def load_svg(name: str = "svg-lp-digits", device: str = "cpu") -> ReadySVG:
    """Load an SVG model of pictures by its shipped name or the path of a model folder. Raises as
    :func:`load_tap` does.
    """
    folder = find_folder(name)
    world = SVG.load(folder, device)
    return ReadySVG(**_identity(folder, read_model(folder)), image_size=world.config.image_size, world=world)


def load_kalman(name: str = "kalman-cannonballs", device: str = "cpu") -> ReadyKalman:
    """Load a Kalman model by its shipped name or the path of a model folder. Raises likewise."""
    folder = find_folder(name)
    world = Kalman.load(folder, device)
    return ReadyKalman(
        **_identity(folder, read_model(folder)), image_size=world.config.image_size, world=world
    )


_LOADERS: Mapping[str, Callable[[str, str], Ready]] = {
    "keyin": load_planner,
    "struct-vrnn": load_world_model,
    "control": load_control,
    "svg": load_svg,
    "kalman": load_kalman,
}
"""By kind of model."""


def load_eye(name: str) -> Eye:
    """What pictures pass through before a model sees them, by the model's name or folder.

    Raises:
        ValueError: there is no such model.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    return _eye(read_model(find_folder(name)))


def _eye(stored: StoredModel) -> Eye:
    if stored.eye is None:
        return Eye()
    try:
        return Eye(Reference.from_tensors(stored.eye))
    except ValueError as error:
        raise CheckpointError(f"{stored.folder / EYE} is none: {error}") from error


def _identity(folder: Path, stored: StoredModel) -> dict[str, Any]:
    return {
        "name": model_name(folder),
        "version": stored.digest[:12],
        "sha256": stored.digest,
        "weights_sha256": stored.weights_digest,
        "figures": read_figures(folder, stored.weights_digest),
    }
