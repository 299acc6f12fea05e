"""Five players and a ball seen from above: many bodies that react to each other, without a simulator.

In the manner of the Basketball data of Struct-VRNN (Minderer et al. 2019, section 5.1: five attackers and the
ball as coloured dots), with dynamics of our own. Players run to spots, now and then cut to a new one, keep
their distance and shift with the ball; a team-mate fills the spot that a cutter leaves; the carrier passes at
random times to someone in the open, who comes to meet the ball. Lengths are pixels, times frames.

All of it is arithmetic on dice that are thrown beforehand, so a scene can be played again with one thing
changed, and only sums, products, quotients and square roots are used: the same bytes on every machine.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from world_models.data import Sequences

SIZE = 64
FRAMES = 20
PLAYERS = 5
BODIES = (*(f"player-{number}" for number in range(1, PLAYERS + 1)), "ball")
PLAYER_RADIUS, BALL_RADIUS = 3.0, 1.8
COURT = (150, 112, 74)
COLORS = ((222, 44, 40), (40, 84, 226), (36, 170, 72), (232, 84, 206), (92, 222, 236), (255, 240, 72))
"""Of the players and the ball."""

LEAD = 30
"""Frames played before the first one that is shown: by then the start is forgotten."""
SUBSTEPS = 4
REACH = 8
"""Width of the square that a disc is drawn in, and of the border round a picture that is cut off."""
DICE = 7
"""Throws per player and frame: cut, to where (2), follow, sway (2), and one row for the ball."""

MARGIN = 4.0
"""Players turn back where their centre comes this close to the edge."""
SPEED, CARRIER_SPEED = 2.2, 1.7
ACCELERATION = 0.5
CUT = 0.05
"""Chance per frame that a player goes to a new spot: every 20 frames."""
FOLLOW = 0.7
"""Chance that the nearest team-mate fills the spot that a cutter leaves."""
SHIFT = 0.4
"""How far the team's spots move with the ball, as a share of its distance from the middle."""
SPACING = 22.0
"""Players who are closer than this push each other away."""
HAND = 3.8
"""Distance from the carrier to the ball in front of him."""
HOLD, PASS = 4, 0.14
"""Frames a ball is held at least, and the chance per frame of a pass after that."""
PASS_SPEED = 5.0


@dataclass(frozen=True)
class Scene:
    """n scenes at one instant.

    Attributes:
        players: positions.
        velocities: pixels per frame.
        facing: which way the players look; up to length 1.
        spots: where the players are going, before the team shifts with the ball.
        ball: position.
        flight: the ball's way per frame while it is passed.
        owner: index of the player who holds the ball or will catch it.
        clock: frames since the owner got the ball; negative while it is on its way to him.
    """

    players: Float[np.ndarray, "n 5 2"]
    velocities: Float[np.ndarray, "n 5 2"]
    facing: Float[np.ndarray, "n 5 2"]
    spots: Float[np.ndarray, "n 5 2"]
    ball: Float[np.ndarray, "n 2"]
    flight: Float[np.ndarray, "n 2"]
    owner: Int[np.ndarray, " n"]
    clock: Int[np.ndarray, " n"]

    def bodies(self) -> Float[np.ndarray, "n 6 2"]:
        """Positions of the players and the ball."""
        return np.concatenate([self.players, self.ball[:, None]], axis=1)

    def owners(self) -> Bool[np.ndarray, "n 5"]:
        """True for the player who holds the ball or will catch it."""
        return self.owner[:, None] == np.arange(PLAYERS)


def throw_dice(seed: int, index: int) -> Float[np.ndarray, "steps 7 5"]:
    """Everything that is random in sequence ``index`` of the data set with this seed: numbers in 0..1.

    The first row sets the scene, the others are for one frame each.
    """
    return np.random.default_rng([seed, index]).random((LEAD + FRAMES, DICE, PLAYERS))


def start(dice: Float[np.ndarray, "n 7 5"]) -> Scene:
    """Players at rest anywhere, and one of them has the ball."""
    players = _inside(np.moveaxis(dice[:, :2], 1, -1) * SIZE, 2 * MARGIN)
    still = np.zeros_like(players)
    owner = (dice[:, 6, 0] * PLAYERS).astype(np.int64)
    return Scene(
        players=players,
        velocities=still,
        facing=still,
        spots=_spots(dice[:, 4:6]),
        ball=players[np.arange(len(owner)), owner],
        flight=np.zeros_like(players[:, 0]),
        owner=owner,
        clock=np.zeros_like(owner),
    )


def play(scene: Scene, dice: Float[np.ndarray, "n steps 7 5"]) -> Float[np.ndarray, "n steps 6 2"]:
    """Positions of players and ball in the frames after ``scene``."""
    path = []
    for step in range(dice.shape[1]):
        scene = advance(scene, dice[:, step])
        path.append(scene.bodies())
    return np.stack(path, axis=1)


def advance(scene: Scene, dice: Float[np.ndarray, "n 7 5"]) -> Scene:
    """The scenes one frame later."""
    scene = _pass(_choose_spots(scene, dice), dice[:, 6])
    sway = np.moveaxis(dice[:, 4:6], 1, -1) - 0.5
    for substep in range(SUBSTEPS):
        scene = _move(scene, sway, substep / SUBSTEPS)
    return replace(scene, clock=scene.clock + 1)


def _choose_spots(scene: Scene, dice: Float[np.ndarray, "n 7 5"]) -> Scene:
    """Some players cut to new spots, and the team-mates nearest to where they leave go there instead."""
    cuts = dice[:, 0] < CUT
    fresh = _spots(dice[:, 1:3])
    spots = np.where(cuts[..., None], fresh, scene.spots)
    gaps = _lengths(scene.players[:, :, None] - scene.players[:, None])  # [n, leaver, filler]
    free = ~cuts & ~scene.owners()
    gaps = np.where(free[:, None], gaps, np.inf)
    for leaver in range(PLAYERS):
        follows = cuts[:, leaver] & (dice[:, 3, leaver] < FOLLOW)
        fillers = np.arange(PLAYERS) == gaps[:, leaver].argmin(1)[:, None]
        fills = follows[:, None] & fillers & free
        spots = np.where(fills[..., None], scene.players[:, leaver, None], spots)
    return replace(scene, spots=spots)


def _pass(scene: Scene, dice: Float[np.ndarray, "n 5"]) -> Scene:
    """Some carriers let the ball go, straight to where the catcher will be; the open ones are preferred."""
    rows = np.arange(len(dice))
    passes = (scene.clock >= HOLD) & (dice[:, 0] < PASS)
    apart = _lengths(scene.players[:, :, None] - scene.players[:, None]) + SIZE * np.eye(PLAYERS)
    weights = np.where(scene.owners(), 0.0, np.square(apart.min(2))).cumsum(1)
    catcher = (weights < dice[:, 1, None] * weights[:, -1:]).sum(1)
    way = scene.players[rows, catcher] - scene.ball
    frames = np.maximum(3, np.ceil(_lengths(way) / PASS_SPEED)).astype(np.int64)
    lead = 0.6 * frames[:, None] * scene.velocities[rows, catcher]
    meeting = _inside(scene.players[rows, catcher] + lead, MARGIN + 1.0)
    flight = (meeting - scene.ball) / frames[:, None]
    catches = (passes[:, None] & (catcher[:, None] == np.arange(PLAYERS)))[..., None]
    return replace(
        scene,
        spots=np.where(catches, meeting[:, None], scene.spots),
        flight=np.where(passes[:, None], flight, scene.flight),
        owner=np.where(passes, catcher, scene.owner),
        clock=np.where(passes, -frames, scene.clock),
    )


def _move(scene: Scene, sway: Float[np.ndarray, "n 5 2"], elapsed: float) -> Scene:
    """One substep: players accelerate, the ball flies on or follows the hand of its carrier."""
    dt = 1.0 / SUBSTEPS
    owners, flying = scene.owners(), scene.clock < 0
    left = np.where(flying, -scene.clock - elapsed, 6.0)
    wanted = _wanted(scene, owners, np.maximum(left, 1.0))
    push = (wanted - scene.velocities) / 2.5 + _spacing(scene.players) + 0.3 * sway
    push += 0.3 * (_inside(scene.players, 2 * MARGIN) - scene.players)
    velocities = scene.velocities + dt * _at_most(push, ACCELERATION)
    players = scene.players + dt * velocities
    kept = _inside(players, MARGIN)
    velocities = np.where(kept == players, velocities, 0.0)
    facing = scene.facing + 0.4 * dt * (_at_most(velocities / 0.5, 1.0) - scene.facing)
    rows = np.arange(len(scene.owner))
    ahead = facing[rows, scene.owner]
    ahead = ahead / np.maximum(_lengths(ahead), 0.3)[:, None]
    hand = kept[rows, scene.owner] + HAND * ahead
    carried = scene.ball + _at_most(0.3 * (hand - scene.ball), dt * PASS_SPEED)
    ball = np.where(flying[:, None], scene.ball + dt * scene.flight, carried)
    return replace(scene, players=kept, velocities=velocities, facing=facing, ball=_inside(ball, BALL_RADIUS))


def _wanted(
    scene: Scene, owners: Bool[np.ndarray, "n 5"], left: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 5 2"]:
    """The velocities that players would like to have: to their spots in ``left`` frames, at most full speed.

    Spots shift with the ball, except for the one who holds or catches it.
    """
    shift = SHIFT * (scene.ball - (SIZE - 1) / 2)[:, None] * ~owners[..., None]
    way = _inside(scene.spots + shift, 2 * MARGIN) - scene.players
    way = np.where(owners[..., None], scene.spots - scene.players, way)
    time = np.where(owners, left[:, None], 6.0)[..., None]
    limit = np.where(owners & (scene.clock >= 0)[:, None], CARRIER_SPEED, SPEED)
    return _at_most(way / time, limit[..., None])


def _spacing(players: Float[np.ndarray, "n 5 2"]) -> Float[np.ndarray, "n 5 2"]:
    """Accelerations away from everyone who is too close."""
    away = players[:, :, None] - players[:, None]
    distance = np.maximum(_lengths(away), 1e-6)
    strength = 2.5 * np.square(np.maximum(0.0, 1.0 - distance / SPACING)) / distance
    return (away * strength[..., None]).sum(2)


def _spots(dice: Float[np.ndarray, "n 2 5"]) -> Float[np.ndarray, "n 5 2"]:
    return _inside(np.moveaxis(dice, 1, -1) * SIZE, 2 * MARGIN)


def _inside(points: Float[np.ndarray, "*B 2"], margin: float) -> Float[np.ndarray, "*B 2"]:
    return np.clip(points, margin, SIZE - 1 - margin)


def _lengths(vectors: Float[np.ndarray, "*B 2"]) -> Float[np.ndarray, "*B"]:
    return np.sqrt(np.square(vectors[..., 0]) + np.square(vectors[..., 1]))


def _at_most(
    vectors: Float[np.ndarray, "*B 2"], limit: float | Float[np.ndarray, "*B 1"]
) -> Float[np.ndarray, "*B 2"]:
    """The vectors, shortened to the given length where they are longer."""
    return vectors * (limit / np.maximum(_lengths(vectors)[..., None], limit))


def draw_pictures(bodies: Float[np.ndarray, "n T 6 2"]) -> UInt8[np.ndarray, "n T H W C"]:
    """Coloured discs with soft edges on a plain court, the ball on top; what is outside is cut off."""
    n, frames = bodies.shape[:2]
    centers = np.clip(bodies.reshape(n * frames, *bodies.shape[2:]), -REACH // 2, SIZE - 1 + REACH // 2)
    edge = SIZE + 2 * REACH
    pictures = np.full((n * frames, edge, edge, 3), COURT, dtype=np.uint8)
    rows, window = np.arange(n * frames)[:, None, None], np.arange(1 - REACH // 2, 1 + REACH // 2)
    for body, color in enumerate(COLORS):
        corner = np.floor(centers[:, body]).astype(np.int64)
        x, y = (corner[:, axis, None] + window for axis in (0, 1))
        across, down = (np.square(p - centers[:, body, axis, None]) for axis, p in enumerate((x, y)))
        radius = BALL_RADIUS if body == PLAYERS else PLAYER_RADIUS
        cover = np.clip(radius + 0.5 - np.sqrt(across[:, None] + down[:, :, None]), 0.0, 1.0)[..., None]
        place = rows, y[:, :, None] + REACH, x[:, None] + REACH
        pictures[place] = np.rint(pictures[place] * (1.0 - cover) + cover * color)
    return pictures[:, REACH:-REACH, REACH:-REACH].reshape(n, frames, SIZE, SIZE, 3)


def draw_sequences(seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count - 1`` of the data set with this seed.

    The states are the pixel positions (x, y) of the five players and the ball. Nobody acts: actions have size
    0; no frame is a keyframe.
    """
    dice = np.stack([throw_dice(seed, index) for index in range(first, first + count)])
    bodies = play(start(dice[:, 0]), dice[:, 1:])[:, LEAD - 1 :]
    return to_sequences(draw_pictures(bodies), bodies)


def to_sequences(frames: UInt8[np.ndarray, "n T H W C"], bodies: Float[np.ndarray, "n T J D"]) -> Sequences:
    """Pictures and true positions in which nobody acts and no frame is a keyframe."""
    n, steps = frames.shape[:2]
    return Sequences(
        frames=frames,
        actions=np.zeros((n, steps - 1, 0), dtype=np.float32),
        keyframes=np.zeros((n, steps), dtype=np.bool_),
        states=bodies.reshape(n, steps, bodies.shape[2] * bodies.shape[3]).astype(np.float32),
    )
