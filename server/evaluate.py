"""Closed-loop evaluation over HTTP: ``python -m server.evaluate push --server URL --out results.json``.

The same as ``python -m planner.evaluate push`` or ``gym`` with another source of decisions: a server's models
plan and act in place of those here, and model names are the server's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import tyro

from envs.gym.recording import Recording
from envs.gym.world import GymWorld
from envs.world import World
from planner.evaluation.evaluation import Proposer, Team, Trial
from planner.evaluation.gym.run import Gym
from planner.evaluation.gym.team import UNLEARNED
from planner.evaluation.push import LEARNED, Push, evaluate_push
from planner.evaluation.run import evaluate
from planner.evaluation.settings import FOLLOWING
from planner.low_levels.low_level import LowLevel
from planner.search.servo import ServoConfig
from server.client import Client
from server.remote import (
    NothingRead,
    RemoteServo,
    check_settings,
    find_model,
    remote_path,
    remote_subgoals,
)
from world_models.data import SequenceDataset, read_attributes
from world_models.jobs.command import command


@dataclass(frozen=True)
class RemotePush(Push):
    """Push an object round the wall, by the models of a server."""

    verb: ClassVar[str] = "server.evaluate push"

    server: str | None = "http://127.0.0.1:8000"
    """URL of the server."""

    @property
    def url(self) -> str:
        """Where to ask."""
        if self.server is None:
            raise ValueError("say with --server URL which server is to plan and act")
        return self.server

    def digests(self) -> dict[str, str]:
        """SHA-256 of the server's weights by learned planner.

        Raises:
            ValueError: the server is not ready, or cannot do what is asked.
        """
        weights = self.weights()
        if "tap" in weights:
            raise ValueError("servers do not plan as tap does; leave out tap")
        check_settings(self.settings)
        with Client(self.url) as service:
            if not service.ready():
                raise ValueError(f"no server is ready at {self.url}; start one with python -m server")
            kinds = {name: "world-model" if name == LEARNED else "planner" for name in weights}
            return {
                name: find_model(service, model, kinds[name]).weights_sha256
                for name, model in weights.items()
            }

    def dependencies(self, trials: list[Trial]) -> dict[Trial, dict[str, Any]]:  # type: ignore[override]
        """The same, marked: decisions of another device are other decisions."""
        found = super().dependencies(trials)
        return {trial: {**settings, "over_http": True} for trial, settings in found.items()}

    def low_level(self, servo: str, search: ServoConfig, world: World[Any]) -> LowLevel:
        """The server's, where it is a learned one."""
        if servo != LEARNED:
            return super().low_level(servo, search, world)
        return RemoteServo(client_of(self.url), self.learned, search)

    def proposer(self, planner: str) -> Proposer:
        """The server's, for learned planners."""
        models: Mapping[str, str] = self.weights()
        if planner not in models:
            return super().proposer(planner)
        search, service = self.settings.hierarchy.cem, client_of(self.url)
        most = find_model(service, models[planner], "planner").keyframes
        keyframes = most if self.keyframes is None else self.keyframes
        subgoals = remote_subgoals(service, models[planner], search, self.keyframes)
        candidates = search.candidates * search.iterations
        return Proposer(lambda world, start: subgoals, keyframes, lambda planned: candidates * (planned + 1))


@dataclass(frozen=True)
class RemoteGym(Gym):
    """Act in any gymnasium environment by the models of a server: a planner toward whole pictures, whose
    plans are followed, and a world model with a goal of its own. ``--data`` says how pictures were brought
    in.
    """

    verb: ClassVar[str] = "server.evaluate gym"

    server: str = "http://127.0.0.1:8000"
    """URL of the server."""

    @property
    def recording(self) -> Recording:
        """As the data say. Raises ValueError without them."""
        if self.data is None:
            raise ValueError("say with --data FOLDER what the data of the server's models were like")
        return Recording.from_attributes(read_attributes(SequenceDataset(self.data).paths[0]), str(self.data))

    def digest(self, role: Literal["model", "world"]) -> str:
        """SHA-256 of the manifest of one of the server's models. Raises ValueError if it has none of it."""
        check_settings(self.settings, FOLLOWING)
        with Client(self.server) as service:
            if role == "world":
                found = find_model(service, self.world, "world-model", "keypoints")
            else:
                found = find_model(service, self.model, "planner")
                if not found.follows:
                    raise ValueError(f"plans of {self.model} are not followed frame by frame")
            return str(found.sha256)

    def dependencies(self, trials: Sequence[Trial]) -> dict[Trial, dict[str, Any]]:
        """The same, marked: decisions of another device are other decisions."""
        found = super().dependencies(trials)
        return {trial: {**settings, "over_http": True} for trial, settings in found.items()}

    def team(self, trial: Trial, world: World[Any]) -> Team:
        """The planner's own, of the server where it learned."""
        assert isinstance(world, GymWorld)
        if trial[0] in UNLEARNED:
            return UNLEARNED[trial[0]](world)
        service = client_of(self.server)
        low_level = RemoteServo(service, self.world, self.settings.servo, "keypoints")
        if trial[0] == "flat":
            return Team(low_level)
        search = self.settings.hierarchy.cem
        keyframes = find_model(service, self.model, "planner").keyframes
        frames = remote_path(service, self.model, search)
        imagined = search.candidates * search.iterations * keyframes
        proposer = Proposer(lambda world, start: frames, keyframes, lambda shown: imagined)
        return Team(low_level, proposer, self.settings.episode, goal=NothingRead())


@cache
def client_of(url: str) -> Client:
    """One connection for all that a process asks of a server."""
    return Client(url)


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    kinds: Any = (
        Annotated[RemotePush, tyro.conf.subcommand("push")]
        | Annotated[RemoteGym, tyro.conf.subcommand("gym")]
    )
    run: RemotePush | RemoteGym = tyro.cli(kinds, prog="python -m server.evaluate", description=__doc__)
    written = [run.out]
    if isinstance(run, RemotePush):
        result = evaluate_push(run)
        written.append(run.figure_path())
    else:
        result, _ = evaluate(run)
    print(result["table"])
    print(f"\nwritten: {', '.join(map(str, written))}")


if __name__ == "__main__":
    main()
