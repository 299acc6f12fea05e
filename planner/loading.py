"""The composition root: names and settings in, ready planners, world models and servos out."""

from collections.abc import Callable, Mapping
from pathlib import Path

from envs.push.env import PUCK_PIXELS, PushEnv
from envs.push.simulator import PushSimulator
from planner.learned import PlaceController, PlaceModel
from planner.loaded import Ready, ReadyHead, ReadyKalman, ReadyPlanner, ReadySVG, ReadyWorldModel
from planner.search.costs import Approach, ObjectDistance
from planner.search.hierarchy import HierarchyConfig, Planner
from planner.search.servo import Servo, ServoConfig
from world_models.checkpoint import StoredModel, read_model
from world_models.kalman.model import Kalman
from world_models.keyin.model import KeyIn
from world_models.segmenter import ColorSegmenter
from world_models.shipped import find_folder, heads_folder, shipped_kind, shipped_models
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.head import load_heads
from world_models.svg import SVG
from world_models.tap.model import Tap

PUCK_SEGMENTER = ColorSegmenter(color=PUCK_PIXELS, tolerance=0.4, min_mass=10, max_mass=40, max_radius=2.9)
"""Finds the puck; the limits hold for every picture the environment renders, half-hidden pucks included."""
APPROACH_WEIGHT = 0.1
"""Pull of the finger toward the puck, per pixel of puck distance."""
PUSH_BODIES = ("puck", "finger")
PUSH_MEMORY = 4
"""Frames that the learned servo looks at: as many as the model sees in training."""


def available_ready() -> tuple[str, ...]:
    """Names of all shipped models that a server offers."""
    return (*available_models(), *available_world_models(), *available_video_models())


def available_models() -> tuple[str, ...]:
    """Names of the shipped models that plan pushing by a search over keyframes, KeyIn first."""
    return tuple(
        sorted((name for name in shipped_models() if _plans(name)), key=lambda name: name != "keyin-push")
    )


def available_world_models() -> tuple[str, ...]:
    """Names of the shipped Struct-VRNNs, those that predict rewards first."""
    names = (name for name in shipped_models() if shipped_kind(name) == "struct-vrnn")
    return tuple(sorted(names, key=lambda name: not heads_folder(find_folder(name)).is_dir()))


def available_video_models() -> tuple[str, ...]:
    """Names of the shipped SVG and Kalman models, SVG first."""
    kinds = {name: shipped_kind(name) for name in shipped_models()}
    return tuple(name for kind in ("svg", "kalman") for name in kinds if kinds[name] == kind)


def _plans(name: str) -> bool:
    return shipped_kind(name) == "keyin" and name.endswith("-push")


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


def load_ready(name: str, device: str = "cpu") -> Ready:
    """Load what a server offers, a planner or a world model, by its shipped name or the path of its folder.

    Raises:
        ValueError: there is no such model, or it is of a kind that is not offered.
        CheckpointError: its files are incomplete or differ from their manifest, or its heads are not its own.
    """
    kind = str(read_model(find_folder(name)).config.get("kind"))
    if kind not in _LOADERS:
        offered = ", ".join(available_ready()) or "none"
        raise ValueError(f"{name} is none of {', '.join(_LOADERS)}; shipped ones that are: {offered}")
    return _LOADERS[kind](name, device)


def load_planner(
    name: str = "keyin-push", device: str = "cpu", hierarchy: HierarchyConfig | None = None
) -> ReadyPlanner:
    """Load a planning model by its shipped name or the path of a model folder.

    ``hierarchy`` is how it searches; the number of keyframes is the model's, whatever it says.

    Raises:
        ValueError: there is no such model.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    folder = find_folder(name)
    stored = read_model(folder)
    model = KeyIn.load(folder, device)
    segmenter = PUCK_SEGMENTER
    cost = ObjectDistance(segmenter, lambda features: segmenter.blob(model.decode(features)).centre)
    config = (hierarchy or HierarchyConfig()).model_copy(update={"keyframes": model.config.keyframes})
    return ReadyPlanner(
        **_identity(folder, stored),
        image_size=model.config.image_size,
        planner=Planner(model, cost, config, plausible=segmenter.whole),
        segmenter=segmenter,
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
    )


def load_svg(name: str = "svg-lp-digits", device: str = "cpu") -> ReadySVG:
    """Load an SVG model of pictures by its shipped name or the path of a model folder.

    Raises:
        ValueError: there is no such model.
        CheckpointError: its files are incomplete or differ from their manifest.
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
    "svg": load_svg,
    "kalman": load_kalman,
}
"""By kind of model."""


def _identity(folder: Path, stored: StoredModel) -> dict[str, str]:
    return {
        "name": folder.resolve().name,
        "version": stored.digest[:12],
        "sha256": stored.digest,
        "weights_sha256": stored.weights_digest,
    }


def simulator_servo(env: PushEnv, config: ServoConfig | None = None, threads: int = 1) -> Servo:
    """The low level of KeyIn, section 10: a search over actions in the environment's own physics."""
    config = config or ServoConfig()
    simulator = PushSimulator(env, pool=config.cem.candidates, threads=threads)
    return Servo(simulator, _push_cost(), config)


def learned_servo(
    name: str = "struct-vrnn-push", config: ServoConfig | None = None, device: str = "cpu"
) -> PlaceController:
    """The low level that works from pictures alone: the same search with the same cost in a learned model.

    Raises:
        ValueError: there is no such model, or it does not know puck and finger.
        CheckpointError: its files are incomplete or differ from their manifest.
    """
    return push_controller(load_world_model(name, device), config)


def pushes(ready: ReadyWorldModel) -> bool:
    """Whether a world model knows the bodies of the pushing task."""
    return ready.world.config.bodies == PUSH_BODIES


def push_controller(ready: ReadyWorldModel, config: ServoConfig | None = None) -> PlaceController:
    """:func:`learned_servo` on a model that is loaded.

    Raises:
        ValueError: it does not know puck and finger.
    """
    if not pushes(ready):
        known = ", ".join(ready.world.config.bodies) or "no bodies"
        raise ValueError(f"{ready.name} knows {known}; a model that pushes knows {', '.join(PUSH_BODIES)}")
    model = PlaceModel(ready.world)
    return PlaceController(model, Servo(model, _push_cost(), config or ServoConfig()), PUSH_MEMORY)


def _push_cost() -> Approach:
    """Puck to goal, finger to puck; features are the pixels of puck and finger."""
    return Approach(ObjectDistance(PUCK_SEGMENTER, lambda features: features[:, :2]), APPROACH_WEIGHT)
