"""``planner.robustness strangers``: which pictures a planner refuses, of its own world and of others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from envs.dmc.tasks import TASKS
from envs.push.episodes import load_manifest
from envs.push.world import PushWorld
from envs.worlds import make_world
from planner.evaluation.robustness.shifts import STANDARD, VARIATIONS
from planner.loading import load_eye
from world_models.eye import DOUBTFUL, STRANGE, Eye
from world_models.files import write_results
from world_models.frames import Picture
from world_models.jobs.outputs import check_outputs
from world_models.statistics import wilson_interval

OTHERS = ("Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Pusher-v5", "Reacher-v5", "Swimmer-v5")
"""Worlds of gymnasium that are no pushing world."""
STEPS = 5
"""Random steps between pictures of a world."""
FORMATS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Strangers:
    """Refuse pictures of other worlds, photographs and noise, and none of one's own."""

    model: str = "keyin-push"
    """Shipped model or model folder."""
    manifest: str = "push-400"
    """Frozen episodes whose start pictures are those of its own world."""
    varied: int = 10
    """Start pictures of every changed world of ``planner.robustness push``."""
    each: int = 20
    """Pictures of every other world and kind of noise."""
    pictures: Path | None = None
    """A folder of photographs, PNG or JPEG, however deep."""
    seed: int = 0
    out: Path = Path("strangers.json")


def measure_strangers(run: Strangers) -> dict[str, Any]:
    """Look at all pictures and write how strange they are; returns the JSON content.

    Raises:
        ValueError: the model has no eye, or ``run.pictures`` holds no pictures.
    """
    eye = load_eye(run.model)
    if eye.reference is None:
        raise ValueError(f"{run.model} has no eye to find pictures strange with; choose another model")
    check_outputs("--out", run.out)
    rows: list[dict[str, Any]] = []
    for kind, pictures in _kinds(run, eye.reference.background.shape[0]).items():
        found = [_strangeness(eye, picture) for picture in tqdm(pictures, desc=f"{kind:>12}")]
        if not found:
            raise ValueError(f"{run.pictures} holds no PNG or JPEG that can be read")
        rows.append(_row(kind, np.array(found)))
    content = {"model": run.model, "eye_sha256": eye.digest, "limit": STRANGE, "seed": run.seed, "rows": rows}
    return write_results(run.out, "planner.robustness strangers", content, markdown(rows))


def _kinds(run: Strangers, size: int) -> Mapping[str, Iterator[Picture]]:
    rng = np.random.default_rng(run.seed)
    kinds = {
        "own world": _own(run.manifest),
        "own world, changed": _changed(run.manifest, run.varied),
        "DM Control": _dm_control(run.each, rng),
        "gymnasium": _gymnasium(run.each, size, rng),
        "noise": _noise(run.each, size, rng),
    }
    return kinds if run.pictures is None else kinds | {"photographs": _photographs(run.pictures, size)}


def _own(manifest: str) -> Iterator[Picture]:
    episodes = load_manifest(manifest)
    world = PushWorld(episodes.task)
    yield from (world.begin(start)[0] for start in episodes.starts)
    world.close()


def _changed(manifest: str, count: int) -> Iterator[Picture]:
    episodes = load_manifest(manifest)
    for name, (_, variation) in VARIATIONS.items():
        if name != STANDARD:
            world = PushWorld(episodes.task, variation=variation)
            yield from (world.begin(start)[0] for start in episodes.starts[:count])
            world.close()


def _dm_control(count: int, rng: np.random.Generator) -> Iterator[Picture]:
    for task in TASKS:
        world = make_world(f"dmc/{task}")
        yield world.begin(world.episodes(1).starts[0])[0]
        for _ in range(count - 1):
            for _ in range(STEPS):
                picture = world.step(rng.uniform(-1, 1, world.action_size).astype(np.float32))
            yield picture
        world.close()


def _gymnasium(count: int, size: int, rng: np.random.Generator) -> Iterator[Picture]:
    for name in OTHERS:
        env = gymnasium.make(name, render_mode="rgb_array", width=size, height=size)
        env.reset(seed=int(rng.integers(2**31)))
        for _ in range(count):
            for _ in range(STEPS):
                assert isinstance(env.action_space, gymnasium.spaces.Box)
                space = env.action_space
                _, _, ended, cut, _ = env.step(rng.uniform(space.low, space.high))
                if ended or cut:
                    env.reset()
            yield np.asarray(env.render(), np.uint8)
        env.close()


def _noise(count: int, size: int, rng: np.random.Generator) -> Iterator[Picture]:
    """White noise, noise in blocks, and plain colours that fade into another."""
    for _ in range(count):
        yield rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        blocks = rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        yield blocks.repeat(8, axis=0).repeat(8, axis=1)
        one, other = rng.uniform(0, 255, (2, 3))
        fade = np.linspace(one, other, size).round().astype(np.uint8)
        yield np.broadcast_to(fade, (size, size, 3)).copy()


def _photographs(folder: Path, size: int) -> Iterator[Picture]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS):
        try:
            with Image.open(path) as image:
                yield np.asarray(image.convert("RGB").resize((size, size)))
        except (OSError, UnidentifiedImageError):
            continue


def _strangeness(eye: Eye, picture: Picture) -> float:
    return eye.strangeness(picture, eye.calibrate(picture))


def _row(kind: str, found: np.ndarray) -> dict[str, Any]:
    refused = int((found > STRANGE).sum())
    return {
        "kind": kind,
        "n": len(found),
        "refused": refused / len(found),
        "refused_ci95": list(wilson_interval(refused, len(found))),
        "doubted": float(((found > DOUBTFUL) & (found <= STRANGE)).mean()),
        "strangeness_median": float(np.median(found)),
        "strangeness_lowest": float(found.min()),
        "strangeness_highest": float(found.max()),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| pictures | n | refused (95 % CI) | doubted "
        f"| strangeness, median (lowest to highest); limit {STRANGE} |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = np.multiply(100, row["refused_ci95"])
        spread = f"{row['strangeness_lowest']:.2f} to {row['strangeness_highest']:.2f}"
        lines.append(
            f"| {row['kind']} | {row['n']} | {100 * row['refused']:.1f} % ({low:.1f} to {high:.1f}) "
            f"| {100 * row['doubted']:.1f} % | {row['strangeness_median']:.2f} ({spread}) |"
        )
    return "\n".join(lines)
