"""Pictures of results: where pucks ended up, plan strips, episode videos."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs.push import STRICT_SUCCESS, SUCCESS

Picture = NDArray[np.uint8]
SCALE = 4
"""Pictures are 64 pixels wide; people want to see more."""
GAP = 4


def strip(frames: Sequence[Picture], path: Path) -> None:
    """Write pictures side by side, enlarged, as one PNG."""
    enlarged = [_enlarge(frame) for frame in frames]
    gap = np.full((enlarged[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    parts = [part for frame in enlarged for part in (frame, gap)][:-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(parts, axis=1)).save(path)


def video(frames: Sequence[Picture], goal: Picture | None, path: Path, fps: int = 10) -> None:
    """Write an episode as MP4; a goal picture is faintly laid over every frame and shown beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [_enlarge(frame) if goal is None else _beside_goal(frame, goal) for frame in frames]
    height, width = shown[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=fps, quality=8)
    writer.send(None)
    for frame in shown:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


def final_positions(records: Mapping[str, Sequence[dict[str, Any]]], path: Path) -> None:
    """Plot, per planner, where the puck ended relative to its goal, and how the distances are distributed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Circle

    columns = max(len(records), 1)
    figure, axes = pyplot.subplots(2, columns, figsize=(3.2 * columns, 6.2), squeeze=False)
    for column, (planner, episodes) in enumerate(records.items()):
        offset = np.array([np.subtract(e["final_puck"], e["goal"]) for e in episodes])
        distance = np.array([e["distance"] for e in episodes])
        top, bottom = axes[0][column], axes[1][column]
        colours = np.select(
            [distance < STRICT_SUCCESS, distance < SUCCESS], ["#2a7f3f", "#d08a1d"], default="#b3261e"
        )
        top.scatter(offset[:, 0], offset[:, 1], s=8, c=colours, alpha=0.7, linewidths=0)
        top.add_patch(Circle((0, 0), SUCCESS, fill=False, color="grey", linewidth=0.8))
        top.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", title=planner, xlabel="puck - goal, x")
        bottom.hist(distance, bins=np.linspace(0, 2, 41), color="#44617b")
        bottom.axvline(SUCCESS, color="grey", linewidth=0.8)
        bottom.set(xlabel="shortest path to goal", ylabel="episodes" if column == 0 else "")
    axes[0][0].set_ylabel("puck - goal, y")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _beside_goal(frame: Picture, goal: Picture) -> Picture:
    frame, goal = _enlarge(frame), _enlarge(goal)
    mixed = (0.75 * frame.astype(np.float32) + 0.25 * goal).round().astype(np.uint8)
    return np.concatenate([mixed, goal], axis=1)


def _enlarge(frame: Picture) -> Picture:
    return frame.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
