"""Closed-loop evaluation over HTTP: ``python -m server.evaluate push --server URL --out results.json``.

The same as ``python -m planner.evaluate push`` with another source of decisions: a server's models plan and
act in place of those here, and model names are the server's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import tyro

from envs.world import World
from planner.evaluation.evaluation import Proposer, Trial
from planner.evaluation.push import LEARNED, Push, evaluate_push
from planner.low_levels.low_level import LowLevel
from planner.search.servo import ServoConfig
from server.client import Client
from server.remote import RemoteServo, check_settings, find_model, remote_subgoals
from world_models.jobs.command import command


@dataclass(frozen=True)
class RemotePush(Push):
    """Push the puck round the wall, by the models of a server."""

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


@cache
def client_of(url: str) -> Client:
    """One connection for all that a process asks of a server."""
    return Client(url)


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    run = tyro.cli(
        tyro.extras.subcommand_type_from_defaults({"push": RemotePush()}),
        prog="python -m server.evaluate",
        description=__doc__,
    )
    result = evaluate_push(run)
    print(result["table"])
    print(f"\nwritten: {run.out}, {run.figure_path()}")


if __name__ == "__main__":
    main()
