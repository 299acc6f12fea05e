from itertools import pairwise

import numpy as np
import pytest

from envs import collect, data_set
from envs.push.data_sets import PUSH, PUSH_PUBLISHED, Push, PushPublished
from envs.push.demonstrations import (
    KEPT_DISTANCE,
    draw_demonstration,
    keeps_rhythm,
    render_sequences,
)
from envs.push.demonstrator import REGULAR
from envs.push.episodes import draw_episodes, find_demonstration, load_manifest
from envs.push.rhythms import FRAMES, PUSHES
from envs.push.scene import blocked, path_length
from envs.push.tasks import WALL_TURN, sample_published, sample_scene
from world_models.data import SequenceDataset, read_attributes


def test_demonstrations_push_six_times_round_the_wall_to_the_goal(push):
    demonstration = draw_demonstration(push, seed=0, index=3)
    scene = demonstration.scene
    assert demonstration.keyframes.sum() == PUSHES
    assert keeps_rhythm(demonstration, REGULAR)
    push.start(scene)
    push.set_state(demonstration.states[-1])
    assert path_length(scene, push.positions()["puck"]) < KEPT_DISTANCE
    track = render_sequences(push, [demonstration]).states[0, :, :2].astype(float)
    assert not any(blocked(scene, a, b, margin=0.0) for a, b in pairwise(track))


def test_both_sides_of_the_wall_are_demonstrated(push):
    sides = set()
    scene = sample_scene(np.random.default_rng(8))
    wall = scene.walls[0]
    from envs.push.demonstrator import plan_pushes

    rng = np.random.default_rng(0)
    for _ in range(60):
        plan = plan_pushes(scene, rng, steps=60)
        if plan is not None:
            offsets = (plan.subgoals - wall.middle) @ wall.along
            sides.add(bool(offsets[np.abs(offsets).argmax()] > 0))
    assert sides == {True, False}


def test_actions_are_means_over_two_steps_and_frames_are_states(push):
    demonstration = draw_demonstration(push, seed=0, index=5)
    sequences = render_sequences(push, [demonstration])
    assert sequences.frames.shape == (1, FRAMES, 64, 64, 3)
    assert sequences.actions.shape == (1, FRAMES - 1, 2)
    assert np.abs(sequences.actions).max() <= 1.0
    finger = sequences.states[0, :, 2:4]
    moved = np.linalg.norm(np.diff(finger, axis=0), axis=1)
    asked = np.linalg.norm(sequences.actions[0], axis=1)
    assert np.corrcoef(moved, asked)[0, 1] > 0.9


def test_same_seed_writes_the_same_bytes_and_a_rerun_only_fills_gaps(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    for folder in ("one", "two"):
        for index in (0, 1):
            PUSH.collect(Push(out=tmp_path / folder))[0].write(4, index)
    names = ["shard-00000.h5", "shard-00001.h5"]
    contents = [[(tmp_path / folder / name).read_bytes() for name in names] for folder in ("one", "two")]
    assert contents[0] == contents[1]
    assert contents[0][0] != contents[0][1]
    data = SequenceDataset(tmp_path / "one")
    assert len(data) == 4
    assert read_attributes(data.paths[1])["first_index"] == 2
    before = [path.stat().st_mtime_ns for path in data.paths]
    collect.collect(Push(out=tmp_path / "one", sequences=4, seed=4, workers=1))
    assert [path.stat().st_mtime_ns for path in data.paths] == before
    (tmp_path / "one" / names[0]).unlink()
    PUSH.collect(Push(out=tmp_path / "one"))[0].write(4, 0)
    assert [path.read_bytes() for path in data.paths] == contents[0]


def test_collecting_into_data_of_another_seed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 1)
    PUSH.collect(Push(out=tmp_path))[0].write(4, 0)
    with pytest.raises(ValueError, match="seed 4"):
        collect.collect(Push(out=tmp_path, sequences=1, seed=5, workers=1))


def assert_same_scenes(drawn, frozen):
    """Equal up to the last bits of sines and cosines, which differ between CPUs."""
    assert len(drawn) == len(frozen)
    for ours, theirs in zip(drawn, frozen, strict=True):
        assert (len(ours.walls), ours.steps) == (len(theirs.walls), theirs.steps)
        numbers = [
            (*np.ravel(scene.errands), *scene.finger, *(x for w in scene.walls for x in (*w.middle, w.angle)))
            for scene in (ours, theirs)
        ]
        np.testing.assert_allclose(*numbers, rtol=0, atol=1e-12)


def test_manifest_is_intact_and_episodes_are_reproducible():
    frozen = load_manifest("push-400")
    assert len(frozen.starts) == 400
    assert_same_scenes(draw_episodes(frozen.seed, 400).starts, frozen.starts)
    assert draw_episodes(7, 3).starts == draw_episodes(7, 5).starts[:3]
    assert draw_episodes(7, 3).fingerprint != draw_episodes(8, 3).fingerprint


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("push-published-400", "push-published"),
        ("push-long-200", "push-long"),
        ("push-two-walls-200", "push-two-walls"),
        ("push-tight-200", "push-tight"),
        ("push-m2-200", "push"),
        ("push-long-m3-200", "push-long"),
        ("push-two-walls-m3-200", "push-two-walls"),
        ("push-corner-200", "push-corner"),
        ("push-two-pucks-200", "push-two-pucks"),
    ],
)
def test_further_manifests_are_intact_and_reproducible(name, task):
    frozen = load_manifest(name)
    assert (frozen.task, len(frozen.starts)) == (task, int(name.split("-")[-1]))
    assert_same_scenes(draw_episodes(frozen.seed, 10, task).starts, frozen.starts[:10])


def test_published_scenes_are_those_of_the_paper():
    starts = load_manifest("push-published-400").starts
    ways = [path_length(scene, np.array(scene.puck)) for scene in starts]
    assert np.mean(ways) == pytest.approx(1.34, abs=0.03) and np.var(ways) == pytest.approx(0.053, abs=0.01)
    turns = np.histogram([scene.walls[0].angle % np.pi for scene in starts], bins=6, range=(0, np.pi))[0]
    assert turns.min() > 40  # every direction is about as likely


def test_demonstrations_of_the_published_task_are_data_of_their_own(tmp_path, monkeypatch, push):
    monkeypatch.setattr(data_set, "SIZE", 1)
    (usual,) = PUSH.collect(Push(out=tmp_path / "usual"))
    (published,) = PUSH_PUBLISHED.collect(PushPublished(out=tmp_path / "published"))
    assert published.origin != usual.origin
    published.write(12, 0)
    frames = SequenceDataset(tmp_path / "published")[:1].frames
    demonstration = draw_demonstration(push, 12, 0, draw=lambda rng: sample_published)
    assert abs(np.sin(demonstration.scene.walls[0].angle)) < np.cos(WALL_TURN)  # across no x axis
    assert np.array_equal(frames, render_sequences(push, [demonstration]).frames)


def test_unknown_manifest_names_the_known_ones():
    with pytest.raises(ValueError, match="push-400"):
        load_manifest("push-4000")


def test_altered_manifest_is_refused(tmp_path, monkeypatch):
    from envs.push import episodes

    text = episodes.manifest_json(draw_episodes(7, 2))
    (tmp_path / "push-2.json").write_text(text.replace("0.", "0.1", 1))
    monkeypatch.setattr(episodes, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="fingerprint"):
        load_manifest("push-2")


def test_demonstration_of_an_episode_is_the_same_every_time(push):
    scene = load_manifest("push-400").starts[0]
    first, again = find_demonstration(push, scene), find_demonstration(push, scene)
    assert first is not None and again is not None
    assert np.array_equal(first.states, again.states)
