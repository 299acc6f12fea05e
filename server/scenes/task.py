"""Scenes and clips: what the engine does in a simulated world without any model."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from dm_control.rl.control import PhysicsError

from envs.dmc.env import DmcEnv
from envs.push.env import PushEnv
from envs.push.scene import Scene
from envs.push.scene_from_pictures import NoScene, scene_reading
from envs.push.world import PushWorld
from server.engine.task import Work, go_on
from server.environments import KINDS, Worlds
from server.errors import UnreadableScene
from server.http.pictures import Picture

_STEPS_PER_TURN = 5


@dataclass(frozen=True)
class SceneOutcome:
    """A pushing task and its two pictures."""

    scene: Scene
    start: Picture
    goal: Picture


@dataclass(frozen=True)
class SceneTask:
    """A pushing task to draw with ``seed``, or to read off ``pictures`` (start, goal)."""

    worlds: Worlds
    environment: str
    seed: int | None
    pictures: tuple[Picture, Picture] | None

    kind: ClassVar[str] = "scene"
    amount: ClassVar[float] = 1.0
    least: ClassVar[float] = 1.0

    @property
    def who(self) -> str:
        """The environment, and what it is set up from: reading pictures takes longer."""
        return self.environment if self.pictures is None else f"{self.environment} pictures"

    def work(self, device: str) -> Work[SceneOutcome]:
        """Draw it. Raises UnreadableScene, Interrupted."""
        yield from go_on()
        with self.worlds.push.borrow(self.environment) as world:
            yield from go_on()
            scene = yield from scene_of(world, self.seed, self.pictures)
            yield from go_on()
            start, goal = world.begin(scene)
            return SceneOutcome(scene, start, goal)


def scene_of(world: PushWorld, seed: int | None, pictures: tuple[Picture, Picture] | None) -> Work[Scene]:
    """What is drawn with ``seed``, or read off ``pictures`` (start, goal).

    Raises UnreadableScene, Interrupted.
    """
    if pictures is None:
        world.env.reset(seed=seed)
        return world.env.scene
    reading = scene_reading(world.env, *pictures)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            scene: Scene = end.value
            return scene
        except NoScene as error:
            raise UnreadableScene(error.picture, f"{str(error).capitalize()}.") from None
        yield from go_on()


@dataclass(frozen=True)
class ClipOutcome:
    """A frame more than there are actions and rewards."""

    frames: list[Picture] = field(default_factory=list)
    actions: list[list[float]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class ClipTask:
    """Random actions to record."""

    worlds: Worlds
    environment: str
    seed: int
    steps: int

    kind: ClassVar[str] = "clip"
    least: ClassVar[float] = 1.0

    @property
    def who(self) -> str:
        """The environment."""
        return self.environment

    @property
    def amount(self) -> float:
        """Steps."""
        return self.steps

    def work(self, device: str) -> Work[ClipOutcome]:
        """Record it; a simulation that diverges ends the clip. Raises Interrupted."""
        yield from go_on()
        pool = self.worlds.push if KINDS[self.environment] == "push" else self.worlds.dmc
        with pool.borrow(self.environment) as world:
            return (yield from self._record(world.env))

    def _record(self, env: PushEnv | DmcEnv) -> Work[ClipOutcome]:
        yield from go_on()
        first, _ = env.reset(seed=self.seed)
        clip = ClipOutcome([first])
        (width,) = env.action_space.shape or ()
        rng = np.random.default_rng([self.seed, 1])  # not the stream that the start is drawn from
        for step in range(self.steps):
            action = rng.uniform(-1, 1, width).astype(np.float32)
            try:
                frame, reward, *_ = env.step(action.astype(np.float64))
            except PhysicsError:
                break
            clip.frames.append(frame)
            clip.actions.append(action.tolist())
            clip.rewards.append(float(reward))
            if step % _STEPS_PER_TURN == _STEPS_PER_TURN - 1:
                yield from go_on()
        return clip
