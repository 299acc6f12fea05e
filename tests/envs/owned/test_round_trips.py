"""From every format to a plan: written by its own library, brought in, learned from, planned with."""

import io
import json
from types import SimpleNamespace

import gymnasium
import h5py
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from envs.collect import collect
from envs.owned.sources.data_sets import Films, Gym, Hdf5, LeRobot, Minari
from planner.loading import load_planner
from world_models.data import SequenceDataset
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.keyin.own.method import OWN_KEYIN
from world_models.keyin.own.preset import OWN_DEBUG, OwnKeyInRun

EPISODES, FRAMES, SIZE = 26, 9, 64


def moving_dots():
    """Episodes of a dot that goes along a line, ``[EPISODES FRAMES H W 3]``, and its speed for actions."""
    rng = np.random.default_rng(0)
    start, speed = rng.uniform(16, 48, (EPISODES, 1, 2)), rng.uniform(-1.5, 1.5, (EPISODES, 1, 2))
    places, pixel = start + speed * np.arange(FRAMES)[None, :, None], np.arange(SIZE)
    rows = np.exp(-((pixel - places[..., 1:]) ** 2) / 16)[..., :, None]
    columns = np.exp(-((pixel - places[..., :1]) ** 2) / 16)[..., None, :]
    pictures = np.repeat((255 * rows * columns)[..., None], 3, -1).astype(np.uint8)
    return pictures, np.repeat(speed, FRAMES - 1, 1).astype(np.float32) / 1.5


def write_mp4(folder, pictures, actions):
    for number, episode in enumerate(pictures):
        writer = imageio_ffmpeg.write_frames(
            str(folder / f"{number:02d}.mp4"), (SIZE, SIZE), fps=10, quality=9
        )
        writer.send(None)
        for picture in episode:
            writer.send(picture.tobytes())
        writer.close()
    return Films(source=folder, frames=FRAMES)


def write_gif(folder, pictures, actions):
    for number, episode in enumerate(pictures):
        drawn = [Image.fromarray(picture) for picture in episode]
        path = folder / f"{number:02d}.gif"
        drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=100)
    return Films(source=folder, frames=FRAMES)


def write_png(folder, pictures, actions):
    for number, episode in enumerate(pictures):
        (folder / f"{number:02d}").mkdir()
        for time, picture in enumerate(episode):
            Image.fromarray(picture).save(folder / f"{number:02d}" / f"{time:03d}.png")
    return Films(source=folder, frames=FRAMES)


def write_hdf5(folder, pictures, actions):
    with h5py.File(folder / "demos.hdf5", "w") as file:
        for number, (episode, done) in enumerate(zip(pictures, actions, strict=True)):
            group = file.create_group(f"data/demo_{number}")
            group["obs/image"] = episode
            group["actions"] = np.concatenate([done, done[-1:]])
    return Hdf5(source=folder / "demos.hdf5", frames=FRAMES, actions="actions")


def write_lerobot(folder, pictures, actions):
    """Tables with pictures in them, by pyarrow, as LeRobot's own library writes them."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    camera = "observation.images.top"
    (folder / "meta").mkdir()
    features = {camera: {"dtype": "image", "shape": [SIZE, SIZE, 3]}}
    features |= {"action": {"dtype": "float32", "shape": [2]}}
    info = {"codebase_version": "v2.1", "fps": 10, "features": features}
    (folder / "meta/info.json").write_text(json.dumps(info | {"data_path": "data/{episode_index}.parquet"}))
    lines = [json.dumps({"episode_index": number, "length": FRAMES}) for number in range(EPISODES)]
    (folder / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "data").mkdir()
    for number, (episode, done) in enumerate(zip(pictures, actions, strict=True)):
        files = []
        for time, picture in enumerate(episode):
            content = io.BytesIO()
            Image.fromarray(picture).save(content, "png")
            files.append({"bytes": content.getvalue(), "path": f"{time}.png"})
        columns = {camera: files, "action": np.concatenate([done, done[-1:]]).tolist()}
        columns |= {"episode_index": [number] * FRAMES, "frame_index": list(range(FRAMES))}
        columns["timestamp"] = [time / 10 for time in range(FRAMES)]
        pq.write_table(pa.table(columns), folder / "data" / f"{number}.parquet")
    return LeRobot(source=folder, frames=FRAMES)


def write_minari(folder, pictures, actions):
    pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    seen = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
    taken = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    storage = MinariStorage.new(folder / "data", seen, taken, data_format="hdf5", jpeg_encoding=False)
    ends = [False] * (FRAMES - 2)
    storage.update_episodes(
        EpisodeBuffer(
            id=number,
            observations=episode,
            actions=done,
            rewards=[0.0] * (FRAMES - 1),
            terminations=[*ends, False],
            truncations=[*ends, True],
            infos={},
        )
        for number, (episode, done) in enumerate(zip(pictures, actions, strict=True))
    )
    return Minari(source=folder, frames=FRAMES)


def write_gym(folder, pictures, actions):
    return Gym(
        env="dot_room:DotRoom-v0", policy="dot_room:ROAM", episodes=EPISODES, max_steps=8, frames=FRAMES
    )


WRITERS = {
    "mp4": write_mp4,
    "gif": write_gif,
    "png": write_png,
    "hdf5": write_hdf5,
    "lerobot": write_lerobot,
    "minari": write_minari,
    "gym": write_gym,
}


@pytest.fixture(scope="module")
def dots():
    return SimpleNamespace(**dict(zip(("pictures", "actions"), moving_dots(), strict=True)))


@pytest.mark.parametrize("form", WRITERS)
def test_a_format_becomes_a_plan(tmp_path, dots, form):
    (tmp_path / "in").mkdir()
    brought = WRITERS[form](tmp_path / "in", dots.pictures, dots.actions)
    collect(type(brought)(**(vars(brought) | {"out": tmp_path / "data", "test": 0.1})))
    data = SequenceDataset(tmp_path / "data")
    assert len(data) == EPISODES and data.shapes["frames"] == (FRAMES, SIZE, SIZE, 3)
    if form not in ("mp4", "gif", "gym"):  # those lose something, and that is not ours
        assert np.array_equal(data[:].frames, dots.pictures)
    if form in ("hdf5", "lerobot", "minari"):
        np.testing.assert_allclose(data[:].actions, dots.actions, atol=1e-6)
    model = OWN_KEYIN.train(
        OwnKeyInRun(data=tmp_path / "data", out=tmp_path / "keyin", recipe=OWN_DEBUG), "test"
    )
    planner = load_planner(str(model)).planner
    frames = to_tensor(data[0].frames[0])
    context = Context(frames[None, :1], torch.zeros(1, 0, 0))
    generator = torch.Generator().manual_seed(0)
    plan = planner.plan(context, frames[-1:], [generator], candidates=8, iterations=2)
    assert plan.subgoals.shape == (1, 3, 3, SIZE, SIZE) and bool(plan.cost.isfinite())


def test_a_broken_film_is_named_and_the_rest_comes_in(tmp_path, dots, capsys):
    (tmp_path / "in").mkdir()
    films = write_mp4(tmp_path / "in", dots.pictures[:4], dots.actions[:4])
    broken = tmp_path / "in" / "02.mp4"
    broken.write_bytes(broken.read_bytes()[:200])
    collect(Films(source=films.source, frames=FRAMES, test=0.0, out=tmp_path / "data"))
    said = capsys.readouterr().out
    assert "3 episodes came in as 3 sequences" in said
    assert "1 episodes were left out:" in said and "02.mp4: " in said
    assert len(SequenceDataset(tmp_path / "data")) == 3
