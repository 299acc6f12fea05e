"""Counterfactuals of the agents: the same dice, one player moved, and what follows from it."""

import numpy as np
import pytest

from envs import collect
from envs.videos import agents, moved_agents
from envs.videos.data_sets import MOVED_AGENTS, MovedAgents
from envs.videos.moved_agents import OBSERVED, choose_moves, draw_sequences, play_both

COUNT = 40
DICE = np.stack([agents.throw_dice(5, index) for index in range(COUNT)])


@pytest.fixture(scope="module")
def played():
    player, shift = choose_moves(5, 0, DICE)
    return player, shift, *play_both(DICE, player, shift)


def test_what_was_is_what_the_data_set_has(played):
    _, _, true, _ = played
    shown = agents.draw_sequences(5, 0, COUNT).states.reshape(true.shape)
    assert np.array_equal(shown, true.astype(np.float32))


def test_who_does_not_move_changes_nothing():
    true, moved = play_both(DICE, np.zeros(COUNT, np.int64), np.zeros((COUNT, 2)))
    assert np.allclose(true[:, :OBSERVED], moved[:, :OBSERVED])
    others = [body for body in range(6) if body != 0]  # the first one's spot is set anew
    assert np.median(np.abs(true - moved)[:, -1, others]) < 0.2


def test_the_past_of_the_player_alone_is_changed_evenly(played):
    player, shift, true, moved = played
    rows, away = np.arange(COUNT), moved - true
    assert np.allclose(away[rows, OBSERVED - 1, player], shift)
    assert np.allclose(away[rows, 0], 0.0)
    assert np.allclose(away[rows, 3, player], 3 / 7 * shift)
    lengths = np.linalg.norm(shift, axis=1)
    assert lengths.min() >= moved_agents.LEAST and lengths.max() <= moved_agents.MOST
    for row in range(COUNT):
        others = [body for body in range(agents.PLAYERS) if body != player[row]]
        assert not away[row, :OBSERVED, others].any()
    carried = away[:, OBSERVED - 1, 5].any(axis=1)
    assert 0 < carried.sum() < COUNT
    assert np.allclose(away[carried, OBSERVED - 1, 5], shift[carried])


def test_a_player_in_a_corner_finds_a_way():
    seed, index = 3, 72  # where the first directions that are thought of all lead off the court
    dice = agents.throw_dice(seed, index)[None]
    player, shift = choose_moves(seed, index, dice)
    _, moved = play_both(dice, player, shift)
    end = moved[0, OBSERVED - 1, player[0]]
    assert (end > 2 * agents.MARGIN).all() and (end < agents.SIZE - 1 - 2 * agents.MARGIN).all()


def test_everybody_reacts_and_stays_on_the_court(played):
    player, _, true, moved = played
    away = np.linalg.norm(moved - true, axis=-1)[:, -1]
    assert (away[np.arange(COUNT), player] > 1).mean() > 0.9
    reactions = [np.delete(away[row, :5], player[row]).max() for row in range(COUNT)]
    assert np.mean(np.array(reactions) > 0.5) > 0.5
    assert moved.min() > 0 and moved.max() < agents.SIZE - 1


def test_any_process_may_draw_any_sequence():
    whole, part = draw_sequences(1, 0, 4), draw_sequences(1, 2, 2)
    assert np.array_equal(part.frames, whole.frames[2:]) and np.array_equal(part.states, whole.states[2:])
    assert whole.states.shape == (4, agents.FRAMES, 1 + 12 + 12)
    assert np.array_equal(whole.frames, agents.draw_sequences(1, 0, 4).frames)
    (made,) = MOVED_AGENTS.collect(MovedAgents())
    assert made.origin["observation"] == 13 and MOVED_AGENTS in collect.DATA_SETS
