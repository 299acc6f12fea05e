from dataclasses import replace

import numpy as np
import pytest

from envs import collect, data_set
from envs.videos.agents import (
    ACCELERATION,
    BALL_RADIUS,
    COLORS,
    COURT,
    FRAMES,
    LEAD,
    MARGIN,
    PASS_SPEED,
    PLAYERS,
    SIZE,
    advance,
    draw_pictures,
    draw_sequences,
    play,
    start,
    throw_dice,
)
from envs.videos.data_sets import AGENTS, Agents
from world_models.data import SequenceDataset, read_attributes

COUNT = 150


@pytest.fixture(scope="module")
def dice():
    return np.stack([throw_dice(3, index) for index in range(COUNT)])


@pytest.fixture(scope="module")
def scene(dice):
    """In the middle of the game, with everybody running."""
    now = start(dice[:, 0])
    for step in range(1, LEAD):
        now = advance(now, dice[:, step])
    return now


@pytest.fixture(scope="module")
def path(scene, dice):
    return play(scene, dice[:, LEAD:])


def length(vectors):
    return np.linalg.norm(vectors, axis=-1)


def test_players_run_smoothly_apart_and_inside(path):
    players = path[:, :, :PLAYERS]
    velocity = np.diff(players, axis=1)
    assert length(np.diff(velocity, axis=1)).max() < 1.5 * ACCELERATION
    assert players.min() >= MARGIN and players.max() <= SIZE - 1 - MARGIN
    assert path.min() >= BALL_RADIUS and path.max() <= SIZE - 1 - BALL_RADIUS
    apart = length(players[:, :, :, None] - players[:, :, None]) + SIZE * np.eye(PLAYERS)
    assert apart.min() > 4.0 and np.quantile(apart.min((2, 3)), 0.01) > 6.0
    assert length(players[:, 16] - players[:, 0]).mean() > 8.0


def test_the_ball_is_carried_or_flies_straight_to_a_team_mate(scene, dice):
    carried, flights = [], 0
    for step in range(LEAD, LEAD + FRAMES):
        before, scene = scene, advance(scene, dice[:, step])
        gap = length(scene.players - scene.ball[:, None])
        carried.append(gap.min(1)[scene.clock > 2])
        flying = (before.clock < 0) & (scene.clock <= 0) & (before.flight == scene.flight).all(1)
        np.testing.assert_allclose((scene.ball - before.ball)[flying], scene.flight[flying])
        assert length(scene.flight[flying]).max(initial=0) < 1.5 * PASS_SPEED
        assert np.median(gap[np.arange(COUNT), scene.owner][scene.clock == 0], axis=0) < 4.0
        started = scene.owner != before.owner
        assert (before.clock >= 0)[started].all()
        flights += started.sum()
    assert np.concatenate(carried).max() < 6.0
    assert 0.7 < flights / COUNT < 2.5


def test_moving_one_player_moves_the_others(scene, path, dice):
    """The first player is led to the left or to the right for 8 frames; everybody then plays on."""
    ends = []
    for direction in (-1.5, 1.5):
        now = scene
        for step in range(8):
            now = advance(now, dice[:, LEAD + step])
            players = now.players.copy()
            players[:, 0] = np.clip(scene.players[:, 0] + (direction * (step + 1), 0.0), MARGIN, 59.0)
            now = replace(now, players=players)
        ends.append(play(now, dice[:, LEAD + 8 : LEAD + 16])[:, -1, 1:PLAYERS])
    reaction = length(ends[1] - ends[0])
    assert reaction.mean() > 3.0 and np.median(reaction.max(1)) > 4.0


def test_the_future_is_open(scene, path):
    other = play(scene, np.stack([throw_dice(4, index) for index in range(COUNT)])[:, LEAD:])
    apart = length(other - path).mean((0, 2))
    assert apart[0] < 0.5 and apart[7] > 3.0 and apart[15] > 6.0


def test_a_sequence_depends_on_seed_and_index_only():
    late = draw_sequences(seed=3, first=7, count=3)
    alone = draw_sequences(seed=3, first=8, count=1)
    assert np.array_equal(late.frames[1], alone.frames[0])
    assert np.array_equal(late.states[1], alone.states[0])
    assert not np.array_equal(late.states[0], alone.states[0])
    assert not np.array_equal(draw_sequences(seed=4, first=8, count=1).states, alone.states)


def test_sequences_have_the_shapes_of_the_data_format():
    sequences = draw_sequences(seed=0, first=0, count=2)
    assert sequences.frames.shape == (2, 20, 64, 64, 3)
    assert sequences.actions.shape == (2, 19, 0) and sequences.states.shape == (2, 20, 12)
    assert not sequences.keyframes.any()


def test_discs_are_drawn_where_the_bodies_are():
    bodies = np.array([[8.0, 8.0], [24.5, 8.0], [40.25, 8.75], [8.0, 40.0], [40.0, 40.0], [24.0, 50.3]])
    picture = draw_pictures(bodies[None, None])[0, 0].astype(float)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for (x, y), color in zip(bodies, COLORS, strict=True):
        assert np.array_equal(picture[round(y), round(x)], color)
        near = (columns - x) ** 2 + (rows - y) ** 2 < 36
        weight = np.abs(picture - COURT).sum(-1) * near
        found = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
        assert found == pytest.approx((x, y), abs=0.1)


def test_what_leaves_the_picture_is_cut_off():
    bodies = np.full((1, 1, 6, 2), 30.0)
    bodies[0, 0, :4] = [[-30.0, 5.0], [200.0, 63.0], [63.0, 0.0], [5.0, -1.0]]
    picture = draw_pictures(bodies)[0, 0]
    seen = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    assert COLORS[0] not in seen and COLORS[1] not in seen
    assert tuple(picture[0, 63].tolist()) == COLORS[2] and tuple(picture[0, 5].tolist()) == COLORS[3]


def test_a_rerun_fills_gaps_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    for index in (0, 1):
        AGENTS.collect(Agents(out=tmp_path))[0].write(4, index)
    data = SequenceDataset(tmp_path)
    contents = [path.read_bytes() for path in data.paths]
    assert len(data) == 4 and data.shapes["actions"] == (19, 0)
    assert read_attributes(data.paths[0])["bodies"] == "player-1,player-2,player-3,player-4,player-5,ball"
    data.paths[1].unlink()
    AGENTS.collect(Agents(out=tmp_path))[0].write(4, 1)
    collect.collect(Agents(out=tmp_path, sequences=4, seed=4, workers=1))
    assert [path.read_bytes() for path in data.paths] == contents
