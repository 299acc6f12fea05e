"""The BAIR robot pushing data (Ebert, Finn, Lee and Levine 2017), for those who own the files.

``softmotion30_44k`` holds folders ``train`` and ``test`` of TFRecord files. Each record is 30 frames of a
robot arm that pushes things about in a bin, 64 x 64 pixels, with actions of 4 numbers and the gripper's
position.
The camera is ``image_aux1``, as in SVG (Denton and Fergus 2018, section 4.4).
"""

from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from envs.owned.shards import Shard, Summary, find_files, write_shards
from envs.owned.tf_records import Feature, parse_example, read_records
from envs.owned.windows import Windows, cut
from world_models.data import DataError, Scalar

SIZE = 64
CAMERA, ACTION, POSITION = "image_aux1/encoded", "action", "endeffector_pos"
"""Names of features; the frame's number and a slash come before them."""
NUMBERS = {ACTION: 4, POSITION: 3}


def collect_bair(source: Path, out: Path, frames: int) -> Summary:
    """Write every shard that is not there yet: one per file. States are the gripper's positions.

    Args:
        source: folder with the folders ``train`` and ``test``, or one that has them somewhere in it.
        out: folder of the shards.
        frames: T, length of a window; 30 keeps records whole.

    Raises:
        DataError: files are missing or malformed, or ``out`` holds something else.
    """
    found = find_files(source, ".tfrecords")
    shards = []
    for split in ("train", "test"):
        files = [path for path in found if path.parent.name == split]
        if not files:
            raise DataError(
                f"{source} has no {split}/*.tfrecords: expected is the folder softmotion30_44k with its "
                "folders train and test"
            )
        for path in files:
            origin: dict[str, Scalar] = {"split": split, "source": path.name}
            shards.append(Shard(origin, partial(_read_windows, path, frames), [path]))
    return write_shards(out, "bair", frames, shards)


def _read_windows(path: Path, frames: int) -> Windows:
    """All records of a file, cut into windows."""
    pictures, actions, positions = [], [], []
    for number, record in enumerate(read_records(path)):
        try:
            features = parse_example(record)
            steps = sum(name.endswith(f"/{CAMERA}") for name in features)
            if steps < frames:
                raise ValueError(f"it has {steps} frames, {frames} were asked for")
            seen = np.stack([_picture(features, f"{step}/{CAMERA}") for step in range(steps)])
            moved, placed = (_numbers(features, name, steps) for name in (ACTION, POSITION))
        except ValueError as error:
            raise DataError(f"record {number} of {path}: {error}") from error
        pictures.append(cut(seen, frames))
        actions.append(cut(moved, frames)[:, :-1])
        positions.append(cut(placed, frames)[:, :, None])
    if not pictures:
        raise DataError(f"{path} has no records")
    return Windows(
        np.concatenate(pictures),
        np.concatenate(positions),
        ("gripper",),
        actions=np.concatenate(actions),
        recordings=tuple(map(len, pictures)),
    )


def _picture(features: dict[str, Feature], name: str) -> UInt8[np.ndarray, "H W 3"]:
    """A frame: its pixels as they are, or a JPEG or PNG file."""
    content = features.get(name, [])
    if len(content) != 1 or not isinstance(content[0], bytes):
        raise ValueError(f"{name} is no picture")
    if len(content[0]) == 3 * SIZE**2:
        return np.frombuffer(content[0], np.uint8).reshape(SIZE, SIZE, 3)
    try:
        picture = np.asarray(Image.open(BytesIO(content[0])).convert("RGB"))
    except OSError as error:
        raise ValueError(f"{name} is no picture: {error}") from error
    if picture.shape != (SIZE, SIZE, 3):
        raise ValueError(
            f"{name} must be {SIZE} x {SIZE} pixels, got {picture.shape[1]} x {picture.shape[0]}"
        )
    return picture


def _numbers(features: dict[str, Feature], name: str, steps: int) -> Float32[np.ndarray, "T A"]:
    """A feature of every frame."""
    rows = [features.get(f"{step}/{name}", []) for step in range(steps)]
    for step, row in enumerate(rows):
        if len(row) != NUMBERS[name] or isinstance(row[0], bytes):
            raise ValueError(f"{step}/{name} must be {NUMBERS[name]} numbers")
    return np.array(rows, np.float32)
