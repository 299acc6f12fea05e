"""One process of an evaluation: worlds, and who acts in them, ready to run any episode."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from envs.world import Episodes, Record, World
from envs.worlds import make_world
from planner.episode import Episode, Outcome, episode
from planner.evaluation import films
from planner.evaluation.evaluation import Evaluation, Proposer, Team, Trial
from planner.goals import make_goal
from planner.pursuit import Actor
from planner.search.rollout import drive
from planner.search.together import run_together
from world_models.frames import Picture


class Worker:
    """Runs episodes of any trial of an evaluation."""

    def __init__(self, run: Evaluation) -> None:
        torch.set_num_threads(1)
        self._run = run
        self._worlds: list[tuple[tuple[str, dict[str, Any]], int, World[Any]]] = []
        self._starts: dict[Trial, Episodes[Any]] = {}
        self._teams: dict[Trial, Team] = {}

    def episodes(self, trial: Trial, indices: Sequence[int], identities: Sequence[str]) -> list[Record]:
        """Run episodes and answer their JSON records; identities are kept in their films, if there are any.

        ``keyframes`` is the size of the first plan, the goal included; ``model_steps`` counts what
        learned models imagine, keyframes and control steps, ``simulator_steps`` control steps imagined in the
        true dynamics.
        """
        found = self.outcomes(trial, indices)
        return [
            self._record(trial, index, outcome, identity)
            for index, outcome, identity in zip(indices, found, identities, strict=True)
        ]

    def episode(self, trial: Trial, index: int) -> Record:
        """The record of one episode."""
        return self.episodes(trial, [index], [""])[0]

    def _record(self, trial: Trial, index: int, outcome: Outcome, identity: str) -> Record:
        run, world, team = self._run, self.world(trial), self.team(trial)
        record = world.record(self._start(trial, index), outcome.measures, outcome.plans)
        if (film := run.film_path(trial, index)) is not None:
            fps = world.env.metadata["render_fps"]
            films.film(
                outcome,
                self._beside(trial, index),
                film,
                fps,
                strip_too=world.goal is not None,
                identity=identity,
            )
        # To be surprised, a low level has to imagine one more step than to act.
        watched = int(team.config.replan == "surprised")
        imagined = (team.low_level.imagined_steps + watched) * len(outcome.decision_seconds)
        planned = sum(team.proposer.imagined(len(plan)) for plan in outcome.plans)
        true_dynamics = team.low_level.true_dynamics
        return {
            **dict(zip(run.labels, trial, strict=True)),
            "episode": index,
            **record,
            "steps": outcome.steps,
            "keyframes": _keyframes(team.proposer, outcome),
            "planned": sum(len(whole) for whole in outcome.whole),
            "planned_whole": sum(sum(whole) for whole in outcome.whole),
            "model_steps": planned + (0 if true_dynamics else imagined),
            "simulator_steps": imagined if true_dynamics else 0,
            "plan_seconds": _rounded(outcome.plan_seconds),
            "step_seconds": _rounded(outcome.step_seconds),
            "decision_seconds": _rounded(outcome.decision_seconds),
        }

    def outcomes(self, trial: Trial, indices: Sequence[int]) -> list[Outcome]:
        """Run episodes, and nothing else: together where a learned model imagines for all of them, one after
        the other where the low level knows the state of one world.
        """
        team = self.team(trial)
        if len(indices) == 1 or team.low_level.true_dynamics:
            return [self.outcome(trial, index) for index in indices]
        goals = [self._goal(trial, index) for index in indices]
        begin = [
            partial(self._begin, trial, index, goal, seat)
            for seat, (index, goal) in enumerate(zip(indices, goals, strict=True))
        ]
        found = run_together(begin, team.device)
        for index, outcome in zip(indices, found, strict=True):
            self._run.keep(trial, index, outcome)
        return found

    def outcome(self, trial: Trial, index: int) -> Outcome:
        """Run one episode, and nothing else."""
        outcome = drive(self._begin(trial, index, self._goal(trial, index)))
        self._run.keep(trial, index, outcome)
        return outcome

    def _goal(self, trial: Trial, index: int) -> Picture | None:
        run = self._run
        return run.goal_picture(trial, index, self.outcome) if run.pursues(trial) else None

    def _begin(
        self,
        trial: Trial,
        index: int,
        goal: Picture | None,
        seat: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Episode:
        """An episode toward this picture, or the world's own; those that run together have a seat each."""
        run, world, team = self._run, self.world(trial, seat), self.team(trial)
        start = self._start(trial, index)
        actor = Actor(
            team.low_level,
            team.proposer.subgoals(world, start),
            team.goal or make_goal(world.goal),
            team.config,
            team.device,
            team.eye,
        )
        picture, shown = world.begin(start)
        steps = run.length(world, start)
        randomness = run.randomness(index)
        return episode(world, picture, shown if goal is None else goal, steps, actor, randomness, clock)

    def _beside(self, trial: Trial, index: int) -> films.Strip:
        """What a film shows where nothing was planned."""
        goal = self._run.goal_picture(trial, index, self.outcome)
        if goal is None:
            _, goal = self.world(trial).begin(self._start(trial, index))
        return (
            films.Strip([]) if goal is None else films.Strip([goal], 0 if self._run.pursues(trial) else None)
        )

    def _start(self, trial: Trial, index: int) -> Any:
        if trial not in self._starts:
            self._starts[trial] = self._run.starts(trial)
        return self._starts[trial].starts[index]

    def world(self, trial: Trial, seat: int = 0) -> World[Any]:
        """Where a trial takes place; episodes that run together have a world each."""
        wanted = self._run.place(trial)
        for made, number, world in self._worlds:
            if made == wanted and number == seat:
                return world
        name, settings = wanted
        self._worlds.append((wanted, seat, make_world(name, **settings)))
        return self._worlds[-1][-1]

    def team(self, trial: Trial) -> Team:
        """Who acts in a trial."""
        if trial not in self._teams:
            self._teams[trial] = self._run.team(trial, self.world(trial))
        return self._teams[trial]


def _keyframes(proposer: Proposer, outcome: Outcome) -> int | None:
    if proposer.keyframes != "auto":
        return proposer.keyframes
    return len(outcome.plans[0]) + 1 if outcome.plans else None


def _rounded(seconds: list[float]) -> list[float]:
    return [round(value, 5) for value in seconds]


_worker: Worker | None = None


def start_worker(run: Evaluation) -> None:
    """Make this process ready."""
    global _worker
    _worker = Worker(run)


def run_some(*asked: tuple[str, str, int, str]) -> list[Record]:
    """The records of episodes of one trial, each asked for by trial, index and identity;
    :func:`start_worker` has to come first. See :meth:`Worker.episodes`.
    """
    assert _worker is not None, "the pool runs start_worker first"
    first, second, _, _ = asked[0]
    return _worker.episodes((first, second), [each[2] for each in asked], [each[3] for each in asked])
