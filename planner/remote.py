"""Plans and actions asked of a server: pictures, past actions and seeds go out, decisions come back.

For the same seeds they are the decisions of the models in process, bit for bit: pictures travel as 8 bits and
numbers as JSON, both without loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.build import PUSH_MEMORY
from planner.cem import CemConfig
from planner.episode import Subgoals
from planner.hierarchy import HierarchyConfig
from planner.servo import ServoConfig, ServoStep
from planner.settings import Settings
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context

Picture = UInt8[np.ndarray, "H W 3"]


class PlanReply(Protocol):
    """A plan; ``response.stop_reason`` says whether the search went through."""

    @property
    def response(self) -> Any: ...
    @property
    def images(self) -> UInt8[np.ndarray, "L H W 3"]: ...


class ActionReply(Protocol):
    """The next action, the warm start of the step after it, and all actions chosen."""

    @property
    def response(self) -> Any: ...
    @property
    def action(self) -> Float[np.ndarray, "A"]: ...
    @property
    def warm_start(self) -> Float[np.ndarray, "L A"]: ...
    @property
    def actions(self) -> Float[np.ndarray, "L A"]: ...


class Service(Protocol):
    """A client of the server, such as :class:`server.client.Client`."""

    def ready(self) -> bool:
        """Whether requests may be sent."""
        ...

    def models(self) -> Sequence[Any]:
        """The models of the server, each with ``name``, ``kind`` and ``weights_sha256``."""
        ...

    def plan(
        self, start: Picture, goal: Picture, *, model: str, seed: int, samples: int, iterations: int
    ) -> PlanReply:
        """A plan from one picture to another."""
        ...

    def act(
        self,
        frames: UInt8[np.ndarray, "T H W 3"],
        subgoal: Picture,
        *,
        past_actions: Float[np.ndarray, "T-1 A"],
        warm_start: Float[np.ndarray, "L A"] | None,
        seed: int,
        candidates: int,
        iterations: int,
        horizon: int,
        model: str,
    ) -> ActionReply:
        """The next action toward a subgoal."""
        ...


@dataclass(frozen=True)
class RemoteController:
    """The low level of a server.

    Attributes:
        service: whom to ask.
        model: a world model of the server that pushes.
        config: how to search; see :func:`check_settings`.
    """

    service: Service
    model: str
    config: ServoConfig

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action after the server's search, with the seed of the generator."""
        first = max(0, seen.frames.shape[1] - PUSH_MEMORY)
        reply = self.service.act(
            to_bytes(seen.frames[0, first:]),
            to_bytes(subgoal[0]),
            past_actions=seen.actions[0, first:].numpy(),
            warm_start=None if warm_start is None else warm_start[0].numpy(),
            seed=generator.initial_seed(),
            candidates=self.config.cem.candidates,
            iterations=self.config.cem.iterations,
            horizon=self.config.horizon,
            model=self.model,
        )
        action, warm_start, decisions = (
            torch.from_numpy(part)[None] for part in (reply.action, reply.warm_start, reply.actions)
        )
        cost = torch.inf if reply.response.cost is None else reply.response.cost
        return ServoStep(action, warm_start, torch.tensor([cost]), decisions)


def remote_subgoals(service: Service, model: str, search: CemConfig) -> Subgoals:
    """The keyframes of a plan of the server, the last one left out: the goal picture stands in its place."""

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        reply = service.plan(
            to_bytes(now[0]),
            to_bytes(goal[0]),
            model=model,
            seed=generator.initial_seed(),
            samples=search.candidates,
            iterations=search.iterations,
        )
        if reply.response.stop_reason != "iterations":
            raise RuntimeError(f"the server ended its search early: {reply.response.stop_reason}")
        return to_tensor(reply.images[:-1])

    return subgoals


def find_model(service: Service, name: str, kind: str) -> Any:
    """What the server says of its model of that name.

    Raises:
        ValueError: it has none of that kind; the message names those it has.
    """
    able = [model for model in service.models() if model.kind == kind]
    for model in able:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in able) or "none"
    raise ValueError(f"the server has no {kind} {name!r}; it has {known}")


def check_settings(settings: Settings) -> None:
    """Raises ValueError if a server would decide otherwise: it cannot be told all there is to set."""
    plain = _untold(ServoConfig())
    if any(_untold(search) != plain for search in (settings.servo, settings.deep)):
        raise ValueError("of its servo a server can be told horizon, cem.candidates and cem.iterations only")
    if _untold(settings.hierarchy) != _untold(HierarchyConfig()):
        raise ValueError("of its planner a server can be told cem.candidates and cem.iterations only")
    if settings.episode.replan == "surprised":
        raise ValueError("a server does not say what surprises it; replan never, missed or always")


def _untold(config: ServoConfig | HierarchyConfig) -> dict[str, Any]:
    """What a request cannot say; the number of keyframes is the model's."""
    told = dict.fromkeys(("candidates", "iterations"), True)
    return config.model_dump(exclude={"horizon": True, "keyframes": True, "cem": told})
