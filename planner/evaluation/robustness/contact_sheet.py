"""How every world looks when an episode begins: one picture for people."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs.worlds import make_world
from planner.evaluation.evaluation import Evaluation
from world_models.files import write_bytes
from world_models.frames import Picture

ACROSS = 6
"""Pictures of each world, shared among its tasks."""
SCALE = 2
FRONT_SCALE = 3
GAP = 4
LABEL = 190
"""Width of the names, pixels."""
TEXT = 18


def draw_sheet(evaluations: Mapping[str, Evaluation], path: Path) -> None:
    """Write one row of start pictures for each name as PNG: of the first episodes of its evaluation."""
    rows = {name: start_pictures(evaluation) for name, evaluation in evaluations.items()}
    content = BytesIO()
    Image.fromarray(compose(rows)).save(content, "PNG")
    write_bytes(path, content.getvalue())


def draw_row(pictures: Sequence[Picture], captions: Sequence[str], path: Path) -> None:
    """Write pictures side by side as PNG, enlarged, a caption under each."""
    height, width = (FRONT_SCALE * side for side in pictures[0].shape[:2])
    size = (len(pictures) * (width + GAP) - GAP, height + 2 * TEXT)
    row = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(row), ImageFont.load_default(TEXT)
    for column, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = column * (width + GAP)
        enlarged = picture.repeat(FRONT_SCALE, axis=0).repeat(FRONT_SCALE, axis=1)
        row.paste(Image.fromarray(enlarged), (left, 0))
        draw.text((left + width // 2, height + TEXT), caption, "black", font, "mm")
    content = BytesIO()
    row.save(content, "PNG")
    write_bytes(path, content.getvalue())


def start_pictures(evaluation: Evaluation) -> list[Picture]:
    """First pictures of the first episodes, of every place where the evaluation's trials take place."""
    trials = {evaluation.place(trial)[0]: trial for trial in evaluation.trials()}
    each = min(max(1, ACROSS // len(trials)), evaluation.episodes)
    pictures: list[Picture] = []
    for trial in trials.values():
        name, settings = evaluation.place(trial)
        starts = evaluation.starts(trial).starts[:each]
        world = make_world(name, **settings)
        try:
            pictures += [world.begin(start)[0] for start in starts]
        finally:
            world.close()
    return pictures


def compose(rows: Mapping[str, Sequence[Picture]]) -> Picture:
    """The rows, pictures enlarged, each behind its name, on white."""
    height, width = (SCALE * side for side in next(iter(rows.values()))[0].shape[:2])
    most = max(len(pictures) for pictures in rows.values())
    size = (LABEL + most * (width + GAP), len(rows) * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for line, (name, pictures) in enumerate(rows.items()):
        top = line * (height + GAP)
        draw.text(
            (LABEL - GAP, top + height // 2), name.replace("_", "\n"), "black", font, "rm", align="right"
        )
        for column, picture in enumerate(pictures):
            enlarged = picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
            sheet.paste(Image.fromarray(enlarged), (LABEL + column * (width + GAP), top))
    return np.array(sheet)
