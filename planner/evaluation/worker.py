"""One process of an evaluation: worlds, and who acts in them, ready to run any episode."""

from typing import Any

import torch

from envs.world import Episodes, Record, World
from envs.worlds import make_world
from planner.episode import Outcome, run_episode
from planner.evaluation import films
from planner.evaluation.evaluation import Evaluation, Proposer, Team, Trial
from planner.goals import make_goal
from planner.pursuit import Actor


class Worker:
    """Runs single episodes of any trial of an evaluation."""

    def __init__(self, run: Evaluation) -> None:
        torch.set_num_threads(1)
        self._run = run
        self._worlds: list[tuple[tuple[str, dict[str, Any]], World[Any]]] = []
        self._starts: dict[Trial, Episodes[Any]] = {}
        self._teams: dict[Trial, Team] = {}

    def episode(self, trial: Trial, index: int, identity: str = "") -> Record:
        """Run one episode and answer its JSON record; ``identity`` is kept in its film, if there is one.

        ``keyframes`` is the size of the first plan, the goal included; ``model_steps`` counts what
        learned models imagine, keyframes and control steps, ``simulator_steps`` control steps imagined in the
        true dynamics.
        """
        run, world, team = self._run, self.world(trial), self.team(trial)
        outcome = self.outcome(trial, index)
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

    def outcome(self, trial: Trial, index: int) -> Outcome:
        """Run one episode, and nothing else."""
        run, world, team = self._run, self.world(trial), self.team(trial)
        goal = run.goal_picture(trial, index, self.outcome) if run.pursues(trial) else None
        start = self._start(trial, index)
        actor = Actor(
            team.low_level,
            team.proposer.subgoals(world, start),
            team.goal or make_goal(world.goal),
            team.config,
            team.device,
            team.eye,
        )
        length = run.length(world, start)
        outcome = run_episode(world, start, actor, run.randomness(index), goal=goal, steps=length)
        run.keep(trial, index, outcome)
        return outcome

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

    def world(self, trial: Trial) -> World[Any]:
        """Where a trial takes place."""
        wanted = self._run.place(trial)
        for made, world in self._worlds:
            if made == wanted:
                return world
        name, settings = wanted
        self._worlds.append((wanted, make_world(name, **settings)))
        return self._worlds[-1][1]

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


def run_one(first: str, second: str, index: int, identity: str) -> Record:
    """The record of an episode; :func:`start_worker` has to come first. See :meth:`Worker.episode`."""
    assert _worker is not None, "the pool runs start_worker first"
    return _worker.episode((first, second), index, identity)
