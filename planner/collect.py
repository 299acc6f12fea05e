"""Collect data from the planner's own episodes.

``python -m planner.collect dmc --task reacher-easy --model random --out data/rounds/reacher-easy`` writes
shards that training reads like those of ``envs.collect dmc``. Several rounds may go into one folder: shards
of other models, seeds or settings are left alone, and new ones are numbered after them. A run that was
interrupted goes on with the first missing shard; the same seed gives the same bytes whatever the number of
workers.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import tyro
from tqdm import tqdm

from envs.dmc.tasks import find_task
from envs.dmc.world import DmcWorld
from planner.low_levels.learned import DMC_SERVO
from planner.practice.recording import (
    Policy,
    cut,
    disturbed_policy,
    load_search,
    random_policy,
    record_episode,
)
from planner.search.servo import ServoConfig
from world_models.data import (
    SEQUENCES_OF_EPISODES,
    DataError,
    Scalar,
    SequenceDataset,
    Sequences,
    read_attributes,
    read_identity,
    shard_path,
    write_shard,
)
from world_models.jobs.command import command
from world_models.jobs.outputs import check_device, check_folder
from world_models.jobs.workers import Job, cores, run_jobs

EPISODES = 5
"""Episodes of a shard."""
VERSION = 1
RANDOM = "random"


@dataclass(frozen=True)
class Dmc:
    """Episodes of a DM Control task, cut into consecutive sequences."""

    out: Path
    """Folder of the shards."""
    task: str
    """A task such as cartpole-balance."""
    model: str = "struct-vrnn-dmc"
    """Shipped name or folder of the Struct-VRNN that imagines rewards, or of the task's control model; or
    random, for random actions."""
    episodes: int = 20
    """How many episodes; rounded up to whole shards of 5."""
    frames: int = 25
    """Length of a sequence. Where it does not divide an episode, the last two sequences overlap."""
    steps: int | None = None
    """End episodes after so many steps: more of the beginning of a task that is soon lost."""
    noise: float = 0.3
    """Standard deviation of what is added to the model's actions, which are in [-1, 1]."""
    servo: ServoConfig = DMC_SERVO
    """How actions are searched."""
    horizon: int | None = None
    """Steps looked ahead, instead of the servo's; unless given, 3 with a control model."""
    seed: int = 0
    workers: int = cores()
    device: str = "cpu"

    def origin(self) -> dict[str, Scalar]:
        """What the content of a shard depends on, beside its number.

        Raises:
            ValueError: there is no such task or model, the model is of another task, or a number is out of
                range.
        """
        task = find_task(self.task)
        if min(self.episodes, self.workers) < 1 or min(self.noise, self.seed) < 0:
            raise ValueError("--episodes and --workers must be at least 1, --noise and --seed at least 0")
        length = task.steps if self.steps is None else self.steps
        if not 2 <= length <= task.steps:
            raise ValueError(f"--steps must be 2 to {task.steps}, the length of an episode of {task.name}")
        if self.horizon is not None and self.horizon < 1:
            raise ValueError("--horizon must be at least 1")
        if not 2 <= self.frames <= length:
            raise ValueError(f"--frames must be 2 to {length}, the length of an episode of {task.name}")
        origin: dict[str, Scalar] = {
            "environment": task.id,
            "seed": self.seed,
            "version": VERSION,
            "model": self.model,
            "frames": self.frames,
            "episode_steps": length,
        }
        if self.model == RANDOM:
            return origin
        search = load_search(self.model, self.task, self.servo, self.horizon, self.device)
        return {
            **origin,
            **search.made_of,
            "noise": self.noise,
            "search": search.settings.model_dump_json(),
            "device_type": torch.device(self.device).type,
        }


def collect(run: Dmc) -> float:
    """Make every shard that is not there yet; answers the mean return of the episodes.

    Raises:
        DataError: the folder holds data that does not go with it.
        ValueError: there is no such task or model, a number is out of range, or an episode diverges
            however often it is drawn again.
    """
    check_device(run.device)
    origin, shards = run.origin(), -(-run.episodes // EPISODES)
    check_folder("--out", run.out)
    first, done = place(run, origin, shards)
    returns = [done[group] for group in sorted(done)]
    missing = [group for group in range(shards) if group not in done]
    jobs = [(run, origin, first + group, group) for group in missing]
    with tqdm(total=shards * EPISODES, initial=len(done) * EPISODES, unit="episode", desc=run.task) as bar:

        def count(_: Job, mean_return: float) -> None:
            returns.append(mean_return)
            bar.update(EPISODES)

        run_jobs(write, jobs, count, workers=run.workers)
    return float(np.mean(returns))


def place(run: Dmc, origin: dict[str, Scalar], shards: int) -> tuple[int, dict[int, float]]:
    """The number of the run's first shard, and the mean returns of its shards that are there.

    Raises:
        DataError: the folder holds sequences of another length or task, or other shards stand in the way.
    """
    if not any(run.out.glob("shard-*.h5")):
        return 0, {}
    data = SequenceDataset(run.out)
    if data.shapes["frames"][0] != run.frames:
        raise DataError(f"{run.out} has sequences of {data.shapes['frames'][0]} frames, not {run.frames}")
    first, last, done = None, 0, dict[int, float]()
    for path in data.paths:
        attributes, last = read_attributes(path), int(path.stem.removeprefix("shard-"))
        if attributes["environment"] != origin["environment"]:
            raise DataError(f"{path} shows {attributes['environment']}, not {origin['environment']}")
        if read_identity(path) == origin:
            group = int(attributes["first_episode"]) // EPISODES
            first, done[group] = last - group, float(attributes["mean_return"])
    if first is None:
        return last + 1, {}
    taken = [n for n in range(shards) if n not in done and shard_path(run.out, first + n).exists()]
    if taken:
        raise DataError(f"{shard_path(run.out, first + taken[0])} is of another run; choose another --seed")
    return first, done


def write(run: Dmc, origin: dict[str, Scalar], number: int, group: int) -> float:
    """Record one shard; answers the mean return of its episodes.

    Raises:
        DataError: another run has taken its place meanwhile.
    """
    torch.set_num_threads(1)
    world = DmcWorld(run.task)
    try:
        env = world.env
        first = group * EPISODES
        policy = _policy(run)
        episodes = [
            record_episode(world, policy, run.seed, first + k, run.steps, run.device) for k in range(EPISODES)
        ]
        parts = [part for episode in episodes for part in cut(episode, run.frames)]
        sequences = Sequences(
            frames=np.stack([part.frames for part in parts]),
            actions=np.stack([part.actions for part in parts]),
            keyframes=np.zeros((len(parts), run.frames), dtype=np.bool_),
            states=np.stack([part.states for part in parts]),
            rewards=np.stack([part.rewards for part in parts]),
        )
        mean_return = float(np.mean([episode.rewards.sum() for episode in episodes]))
        attributes: dict[str, Scalar] = {
            "first_index": group * len(parts),
            "first_episode": first,
            "episodes": EPISODES,
            "environment_steps": sum(len(e.frames) for e in episodes) * env.task.action_repeat,
            "mean_return": mean_return,
            SEQUENCES_OF_EPISODES: ",".join([str(len(parts) // EPISODES)] * EPISODES),
            "camera": env.task.camera,
            "action_repeat": env.task.action_repeat,
            "episode_length": 1 + len(episodes[0].frames),
            "observation": env.observation_size,
            "bodies": ",".join(env.bodies),
        }
        path = shard_path(run.out, number)
        if path.exists() and read_identity(path) != origin:
            raise DataError(f"another run wrote {path} meanwhile; start this one again")
        write_shard(path, sequences, attributes, origin)
        return mean_return
    finally:
        world.close()


@lru_cache(maxsize=1)
def _policy(run: Dmc) -> Policy:
    if run.model == RANDOM:
        return random_policy
    search = load_search(run.model, run.task, run.servo, run.horizon, run.device)
    return disturbed_policy(search.low_level, run.noise)


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    run = tyro.extras.subcommand_cli_from_dict(
        {"dmc": Dmc}, prog="python -m planner.collect", description=__doc__
    )
    found = collect(run)
    print(f"written: {run.out}; mean return {found:.1f}")


if __name__ == "__main__":
    main()
