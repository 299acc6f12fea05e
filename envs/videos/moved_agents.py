"""What if a player had moved elsewhere: scenes of :mod:`envs.videos.agents` and their counterfactuals.

In the manner of Fig. 6 of Struct-VRNN (Minderer et al. 2019, section 5.4): the past of one player is changed,
that of the others is not, and all of them react from there on. The scene goes on with the same dice, so what
differs is what the move has caused.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from envs.videos.agents import (
    FRAMES,
    LEAD,
    MARGIN,
    PLAYERS,
    SIZE,
    Scene,
    advance,
    draw_pictures,
    start,
    throw_dice,
    to_sequences,
)
from world_models.data import Sequences

OBSERVED = 8
"""Frames over which the player moves away from his true path, evenly, from the first one on."""
LEAST, MOST = 8.0, 12.0
"""Pixels that he is away at the last of these."""
GOES_ON = 6.0
"""He is then on his way to where he would be after so many frames more."""
DIRECTIONS = 16
"""Ways that are thought of at a time, of which one that ends on the court is gone."""


def play_both(
    dice: Float[np.ndarray, "n steps 7 5"],
    player: Int[np.ndarray, " n"],
    shift: Float[np.ndarray, "n 2"],
) -> tuple[Float[np.ndarray, "n T 6 2"], Float[np.ndarray, "n T 6 2"]]:
    """Where everybody is in the frames that are shown, as it was and had a player moved.

    Args:
        dice: those of :func:`~envs.videos.agents.throw_dice`.
        player: who moves; with the ball in his hand, if he has it.
        shift: how far he is away at the last observed frame.
    """
    scene, scenes = start(dice[:, 0]), list[Scene]()
    for step in range(1, dice.shape[1]):
        scene = advance(scene, dice[:, step])
        scenes.append(scene)
    true = np.stack([each.bodies() for each in scenes[LEAD - 1 :]], axis=1)
    now = LEAD + OBSERVED - 2
    scene = _move(scenes[now], player, shift)
    moved = true.copy()
    ramp = np.linspace(0.0, 1.0, OBSERVED)[:, None, None]
    moved[:, :OBSERVED] += ramp * (scene.bodies() - true[:, OBSERVED - 1])[:, None]
    for frame, step in enumerate(range(now + 2, dice.shape[1]), start=OBSERVED):
        scene = advance(scene, dice[:, step])
        moved[:, frame] = scene.bodies()
    return true, moved


def _move(scene: Scene, player: Int[np.ndarray, " n"], shift: Float[np.ndarray, "n 2"]) -> Scene:
    """The scene with a player elsewhere, and on the way to further there."""
    rows = np.arange(len(player))
    players, velocities, spots = scene.players.copy(), scene.velocities.copy(), scene.spots.copy()
    players[rows, player] += shift
    velocities[rows, player] += shift / (OBSERVED - 1)
    ahead = players[rows, player] + GOES_ON * velocities[rows, player]
    spots[rows, player] = np.clip(ahead, 2 * MARGIN, SIZE - 1 - 2 * MARGIN)
    carries = (scene.owner == player) & (scene.clock >= 0)
    ball = scene.ball + np.where(carries[:, None], shift, 0.0)
    return replace(scene, players=players, velocities=velocities, spots=spots, ball=ball)


def choose_moves(
    seed: int, first: int, dice: Float[np.ndarray, "n steps 7 5"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
    """Who moves, not one that the ball is on its way to, and where to: somewhere on the court."""
    scene = start(dice[:, 0])
    for step in range(1, LEAD + OBSERVED):
        scene = advance(scene, dice[:, step])
    players, shifts = [], []
    for row in range(len(dice)):
        rng = np.random.default_rng([seed, first + row, 1])
        player = int(rng.integers(PLAYERS))
        if scene.clock[row] < 0 and scene.owner[row] == player:
            player = (player + 1) % PLAYERS
        players.append(player)
        shifts.append(_choose_way(rng, scene.players[row, player]))
    return np.array(players), np.stack(shifts)


def _choose_way(rng: np.random.Generator, place: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " 2"]:
    """A way from a place to another one on the court."""
    while True:  # from a corner all directions at once may lead off the court
        ways = rng.uniform(-1.0, 1.0, (DIRECTIONS, 2))
        ways *= rng.uniform(LEAST, MOST) / np.sqrt(np.square(ways).sum(axis=1, keepdims=True))
        ends = place + ways
        inside = ((ends > 2 * MARGIN) & (ends < SIZE - 1 - 2 * MARGIN)).all(axis=1)
        if inside.any():
            way: Float[np.ndarray, " 2"] = ways[int(rng.choice(np.flatnonzero(inside)))]
            return way


def draw_sequences(seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count - 1`` of the data set with this seed.

    Pictures show what was. The states are the number of the player who would have moved, the pixel positions
    (x, y) of the six bodies had he moved, and those that are shown.
    """
    dice = np.stack([throw_dice(seed, index) for index in range(first, first + count)])
    player, shift = choose_moves(seed, first, dice)
    true, moved = play_both(dice, player, shift)
    who = np.broadcast_to(player[:, None, None], (count, FRAMES, 1))
    states = np.concatenate([who, moved.reshape(count, FRAMES, -1), true.reshape(count, FRAMES, -1)], axis=2)
    return to_sequences(draw_pictures(true), states[..., None])
