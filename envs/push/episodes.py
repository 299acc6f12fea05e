"""Frozen evaluation episodes: which tasks a planner is judged on, and the demonstrations beside them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.push.demonstrations import Demonstration, demonstrate
from envs.push.demonstrator import REGULAR
from envs.push.env import PushEnv
from envs.push.ids import PUSH_IDS
from envs.push.rhythms import Rhythm
from envs.push.scene import Scene
from envs.push.staged.demonstrations import demonstrate_stages
from envs.push.tasks import find_task
from envs.world import Episodes, canonical

FOLDER = Path(__file__).parents[1] / "manifests"
DEMONSTRATION_DRAWS = 200
"""Attempts of the demonstrator at one evaluation task before it counts as not demonstrated."""


@dataclass(frozen=True)
class Scenes(Episodes[Scene]):
    """Scenes of one task; the fingerprint is the SHA-256 of their canonical JSON."""

    task: str


def _episodes(name: str, seed: int, scenes: tuple[Scene, ...], task: str) -> Scenes:
    content = canonical([scene.to_json() for scene in scenes])
    return Scenes(name, seed, hashlib.sha256(content).hexdigest(), scenes, task)


def draw_episodes(seed: int, count: int, task: str = "push") -> Scenes:
    """Scenes straight from the task's distribution, independent of every training seed.

    Raises:
        ValueError: there is no such task.
    """
    draw = find_task(task).draw
    # The extra words keep these streams apart from those of the demonstrations, which use [seed, index].
    scenes = (draw(np.random.default_rng([seed, index, 0xE7A1])) for index in range(count))
    name = f"fresh-{seed}" if task == "push" else f"{task}-fresh-{seed}"
    return _episodes(name, seed, tuple(scenes), task)


def load_manifest(name: str) -> Scenes:
    """The frozen manifest ``envs/manifests/<name>.json``.

    Raises:
        ValueError: there is no such manifest, or its contents do not match its fingerprint.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("push*.json"))) or "none"
        raise ValueError(f"no manifest {name!r}; there are: {known}")
    content = json.loads(path.read_text())
    scenes = tuple(Scene.from_json(values) for values in content["scenes"])
    task = next(task for task, env_id in PUSH_IDS.items() if env_id == content["environment"])
    episodes = _episodes(name, content["seed"], scenes, task)
    if episodes.fingerprint != content["fingerprint"]:
        raise ValueError(f"{path.name} was altered: its scenes do not match its fingerprint")
    return episodes


def manifest_json(episodes: Scenes) -> str:
    """The text of a manifest file."""
    scenes = [scene.to_json() for scene in episodes.starts]
    content = {
        "environment": PUSH_IDS[episodes.task],
        "seed": episodes.seed,
        "fingerprint": episodes.fingerprint,
        "scenes": scenes,
    }
    return json.dumps(content, indent=1) + "\n"


def find_demonstration(env: PushEnv, scene: Scene, rhythm: Rhythm = REGULAR) -> Demonstration | None:
    """The demonstrator's first success at ``scene``, the same on every call; ``None`` if it has none."""
    rng = np.random.default_rng(list(bytes.fromhex(scene.digest)[:16]))
    if env.task.staged:
        attempts = (demonstrate_stages(env, scene, rng) for _ in range(DEMONSTRATION_DRAWS))
    else:
        attempts = (demonstrate(env, scene, rng, rhythm) for _ in range(DEMONSTRATION_DRAWS))
    return next((attempt for attempt in attempts if attempt is not None), None)
