"""Plans and actions asked of a server: pictures, past actions and seeds go out, decisions come back.

For the same seeds they are the decisions of the models in process, bit for bit: pictures travel as 8 bits and
numbers as JSON, both without loss.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planner.evaluation.settings import Settings
from planner.low_levels.learned import PLACE_MEMORY
from planner.low_levels.low_level import LowLevel, Request
from planner.search.cem import CemConfig
from planner.search.hierarchy import Count, HierarchyConfig
from planner.search.servo import Acting, ServoConfig, ServoStep
from planner.subgoals import Subgoals
from server.actions.schemas import Objective
from server.client import Client, PlanReply, ServerProblem
from world_models.frames import to_bytes, to_tensor

R = TypeVar("R")

PATIENCE = 600.0
"""Seconds that a busy server is waited for before a request is given up."""


class RemoteServo(LowLevel):
    """The low level of a server."""

    def __init__(
        self, service: Client, model: str, config: ServoConfig, objective: Objective = "push"
    ) -> None:
        """``model`` is a world model of the server that can act for the objective, ``push`` or ``keypoints``;
        see :func:`check_settings`.
        """
        self._service, self._model, self._config, self._objective = service, model, config, objective

    @property
    def imagined_steps(self) -> int:
        """Steps of the server's model."""
        return self._config.imagined_steps

    def acting(self, request: Request) -> Acting:
        """The next action after the server's search, with the seed of the generator.

        Raises:
            ValueError: the server refuses or does not answer.
        """
        yield from ()
        seen, warm_start = request.seen, request.warm_start
        first = max(0, seen.frames.shape[1] - PLACE_MEMORY)
        path = None if request.path is None else to_bytes(request.path[: self._config.horizon])
        reply = _ask(
            lambda: self._service.act(
                to_bytes(seen.frames[0, first:]),
                to_bytes(request.subgoal[0]) if path is None else None,
                path=path,
                objective=self._objective,
                past_actions=seen.actions[0, first:].numpy(),
                warm_start=None if warm_start is None else warm_start[0].numpy(),
                seed=request.generator.initial_seed(),
                candidates=self._config.cem.candidates,
                iterations=self._config.cem.iterations,
                horizon=self._config.horizon,
                model=self._model,
            )
        )
        action, warm_start, decisions = (
            torch.from_numpy(part)[None] for part in (reply.action, reply.warm_start, reply.actions)
        )
        cost = torch.inf if reply.response.cost is None else reply.response.cost
        return ServoStep(action, warm_start, torch.tensor([cost]), decisions)


def remote_subgoals(
    service: Client, model: str, search: CemConfig, keyframes: Count | None = None
) -> Subgoals:
    """The keyframes of a plan of the server, the last one left out: the goal picture stands in its place.

    They raise ValueError if the server refuses, does not answer or ends its search early.
    """

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        reply = _planned(service, model, now, goal, generator, search, keyframes=keyframes)
        return to_tensor(reply.images[:-1])

    return subgoals


def remote_path(service: Client, model: str, search: CemConfig) -> Subgoals:
    """Every frame of a plan of the server, up to where it reaches the goal. They raise likewise."""

    def frames(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        reply = _planned(service, model, now, goal, generator, search, path=True)
        return goal[:0] if reply.path is None or not len(reply.path) else to_tensor(reply.path)

    return frames


def _planned(
    service: Client,
    model: str,
    now: Float[Tensor, "1 C H W"],
    goal: Float[Tensor, "1 C H W"],
    generator: torch.Generator,
    search: CemConfig,
    keyframes: Count | None = None,
    path: bool = False,
) -> PlanReply:
    """A plan of the server. Raises ValueError if it refuses, does not answer or ends its search early."""
    reply = _ask(
        lambda: service.plan(
            to_bytes(now[0]),
            to_bytes(goal[0]),
            model=model,
            seed=generator.initial_seed(),
            samples=search.candidates,
            iterations=search.iterations,
            keyframes=keyframes,
            path=path,
        )
    )
    if reply.response.stop_reason != "iterations":
        raise ValueError(f"the server ended its search early: {reply.response.stop_reason}")
    return reply


class NothingRead:
    """A goal of which nothing is read here: the server's models look at pictures, the world says when it is
    reached.
    """

    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 1"]:
        """The same of every picture."""
        return pictures.new_zeros(len(pictures), 1)

    def distance(self, found: Float[Tensor, "B 1"], target: Float[Tensor, "B 1"]) -> Float[Tensor, " B"]:
        """Infinite: no picture counts as reached."""
        return found.new_full((len(found),), torch.inf)

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """All are."""
        return torch.ones(len(pictures), dtype=torch.bool, device=pictures.device)


def find_model(service: Client, name: str, kind: str, objective: Objective = "push") -> Any:
    """What the server says of its model of that name: a ``planner``, or a ``world-model`` that can act for
    the objective, ``push`` or ``keypoints``.

    Raises:
        ValueError: it has none of that kind, or does not answer; the message names those it has.
    """
    able: list[Any] = [model for model in _ask(service.models) if model.kind == kind]
    wanted = kind
    if kind == "world-model":
        able = [model for model in able if any(way.objective == objective for way in model.control)]
        wanted += " that pushes called" if objective == "push" else f" that acts for {objective} called"
    for model in able:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in able) or "none"
    raise ValueError(f"the server has no {wanted} {name!r}; it has {known}")


def _ask(request: Callable[[], R]) -> R:
    """The answer to a request; it is sent again as long as the server says when to come back.

    Raises:
        ValueError: the server refuses, is busy for too long or does not answer.
    """
    given_up = time.monotonic() + PATIENCE
    while True:
        try:
            return request()
        except ServerProblem as refusal:
            pause = refusal.retry_after
            if pause is None or time.monotonic() + pause > given_up:
                raise ValueError(f"the server refuses: {refusal}") from refusal
        except httpx2.HTTPError as error:
            raise ValueError(f"the server does not answer: {error}") from error
        time.sleep(pause)


def check_settings(settings: Settings, usual: Settings = Settings()) -> None:  # noqa: B008  # it is frozen
    """Raises ValueError if a server would decide otherwise: it cannot be told all there is to set. ``usual``
    is how it decides.
    """
    if _untold(settings.servo) != _untold(usual.servo):
        raise ValueError("of its servo a server can be told horizon, cem.candidates and cem.iterations only")
    if _untold(settings.hierarchy) != _untold(usual.hierarchy):
        raise ValueError("of its planner a server can be told cem.candidates and cem.iterations only")
    if settings.episode.follow and not usual.episode.follow:
        raise ValueError("planners of objects answer subgoals, no frames on the way that could be followed")
    if usual.episode.follow and not settings.episode.follow:
        raise ValueError("what a plan toward whole pictures has reached is not read here; follow it")
    if settings.episode.replan == "surprised":
        raise ValueError("a server does not say what surprises it; replan never, missed or always")


def _untold(config: ServoConfig | HierarchyConfig) -> dict[str, Any]:
    """What a request cannot say; the number of keyframes is the model's."""
    told = dict.fromkeys(("candidates", "iterations"), True)
    return config.model_dump(exclude={"horizon": True, "keyframes": True, "cem": told})
