"""Pictures of results: plan strips, episode videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

from planner.episode import Outcome
from world_models.files import write_bytes, written_whole
from world_models.frames import Picture

SCALE = 4
"""Pictures are 64 pixels wide; people want to see more."""
SMALL_SCALE = 2
"""The same beside a video's frames."""
GAP = 4
MARGIN = 16
"""Pixels round the pictures beside a video's frames; video encoders want sizes that are multiples of it."""
GOAL_SHARE = 0.25
"""How much of the goal is seen through a video's frames."""
FRAME_COLOUR = (230, 81, 0)


@dataclass(frozen=True)
class Strip:
    """What a video shows beside a frame: subgoals in order, the goal the last of them, or nothing at all.

    The one numbered ``framed`` has a coloured frame.
    """

    pictures: Sequence[Picture]
    framed: int | None = None


def strip(frames: Sequence[Picture], path: Path) -> None:
    """Write pictures side by side, enlarged, as one PNG."""
    enlarged = [_enlarge(frame) for frame in frames]
    gap = np.full((enlarged[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    parts = [part for frame in enlarged for part in (frame, gap)][:-1]
    content = BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1)).save(content, "PNG")
    write_bytes(path, content.getvalue())


def film(
    outcome: Outcome,
    beside: Strip,
    path: Path,
    fps: int = 10,
    *,
    strip_too: bool = False,
    identity: str = "",
) -> None:
    """Write an episode as MP4: beside every frame the plan in force, what is pursued from there on framed.

    Where there was nothing to plan, ``beside`` stands there. ``strip_too`` adds a PNG of start, first plan
    and goal. ``identity`` is kept in the MP4.
    """
    strips = [Strip(outcome.strips[plan], place) for plan, place in outcome.pursued]
    strips += [strips[-1] if strips else beside] * (len(outcome.frames) - len(strips))
    if strip_too:
        planned = outcome.strips[0] if outcome.strips else beside.pictures
        strip([outcome.frames[0], *planned], path.with_suffix(".png"))
    # Last: an episode with a film is not run again.
    video(outcome.frames, strips, path, fps, identity)


def video(
    frames: Sequence[Picture], strips: Sequence[Strip], path: Path, fps: int = 10, identity: str = ""
) -> None:
    """Write pictures as MP4, each beside its strip and with the strip's goal faintly laid over it.

    ``identity`` is kept in the file; see :func:`is_film_of`.
    """
    places = max(len(strip.pictures) for strip in strips)
    shown = [compose(frame, strip, places) for frame, strip in zip(frames, strips, strict=True)]
    height, width = shown[0].shape[:2]
    with written_whole(path) as temporary:
        kept = ["-metadata", f"comment={identity}"]
        writer = imageio_ffmpeg.write_frames(
            str(temporary), (width, height), fps=fps, quality=8, output_params=kept
        )
        writer.send(None)
        for frame in shown:
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def is_film_of(path: Path, identity: str) -> bool:
    """Whether there is a film, written with this identity."""
    return path.exists() and identity.encode() in path.read_bytes()


def compose(frame: Picture, strip: Strip, places: int) -> Picture:
    """A video's frame beside its strip, on white with room for ``places`` pictures."""
    if strip.pictures:
        mixed = (1 - GOAL_SHARE) * frame.astype(np.float32) + GOAL_SHARE * strip.pictures[-1]
        frame = mixed.round().astype(np.uint8)
    large = _enlarge(frame)
    if not places:
        return large
    height, side = large.shape[0], SMALL_SCALE * frame.shape[1]
    beside = np.full((height, MARGIN + places * (side + MARGIN), 3), 255, dtype=np.uint8)
    top = (height - side) // 2
    for place, picture in enumerate(strip.pictures):
        left = MARGIN + place * (side + MARGIN)
        if place == strip.framed:
            beside[top - GAP : top + side + GAP, left - GAP : left + side + GAP] = FRAME_COLOUR
        beside[top : top + side, left : left + side] = _enlarge(picture, SMALL_SCALE)
    return np.concatenate([large, beside], axis=1)


def _enlarge(frame: Picture, scale: int = SCALE) -> Picture:
    return frame.repeat(scale, axis=0).repeat(scale, axis=1)
