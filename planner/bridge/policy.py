"""Our planners in worlds of stable-worldmodel: one of its policies, an episode of ours per environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from envs.owned.sources.pictures import fit_picture, to_rgb
from envs.owned.sources.spaces import action_size, decode_action
from planner.pursuit import Actor, Pilot, Pursuit, own_seeds
from planner.search.rollout import drive
from world_models.eye import Calibration
from world_models.frames import Picture, to_tensor
from world_models.interface import Context


@dataclass
class _Episode:
    """What one environment has shown and done so far."""

    pilot: Pilot
    look: Calibration
    """How its pictures are corrected."""
    frames: list[Picture] = field(default_factory=list)
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    held: int = 0
    """How often the last action was given."""
    done: bool = False


class PlannerPolicy:
    """Acts from pictures toward goal pictures; what stable-worldmodel's ``World`` calls a policy.

    Pictures are brought to the models' size as on import, and an action is held for ``skip`` steps of the
    environment, after which the next picture counts. When the goal is reached by the planner's own measure
    it holds still (the middle of every action).
    """

    type = "waymark"

    def __init__(
        self,
        actor: Actor,
        size: int,
        steps: int,
        *,
        fit: Literal["crop", "pad"] = "crop",
        skip: int = 1,
        seed: int = 0,
    ) -> None:
        """``steps`` is the length of an episode in the models' steps."""
        self._actor, self._size, self._steps = actor, size, steps
        self._fit: Literal["crop", "pad"] = fit
        self._skip, self._seed = skip, seed
        self._begun = 0
        self.env: Any = None
        self._episodes: list[_Episode | None] = []

    def set_env(self, env: Any) -> None:
        """``env`` has ``num_envs`` environments and their ``single_action_space``."""
        self.env = env
        self._space = env.single_action_space
        self._episodes = [None] * env.num_envs

    @torch.inference_mode()
    def get_action(self, info_dict: Mapping[str, Any], **_: Any) -> NDArray[Any]:
        """Actions of all environments ``[B, ...]`` for infos with ``pixels`` and ``goal``: pictures
        ``[B, H, W, C]``, or of ``[B, T, H, W, C]`` the last; where ``_needs_flush`` an episode begins.

        Raises:
            ValueError: pictures are missing.
        """
        for name in ("pixels", "goal"):
            if name not in info_dict:
                raise ValueError(f"infos lack {name!r}, a picture of every environment")
        flush = info_dict.get("_needs_flush", np.zeros(len(self._episodes), dtype=bool))
        return np.stack([self._act(row, info_dict, bool(flush[row])) for row in range(len(self._episodes))])

    def _act(self, row: int, infos: Mapping[str, Any], fresh: bool) -> NDArray[Any]:
        going = self._episodes[row]
        if going is None or fresh:
            pictures = (self._picture(infos[name][row]) for name in ("pixels", "goal"))
            going = self._episodes[row] = self._begin(*pictures)
        if not going.held or going.held == self._skip:
            self._decide(going, self._picture(infos["pixels"][row]))
        going.held += 1
        return np.asarray(decode_action(self._space, going.actions[-1]))

    def _begin(self, first: Picture, goal: Picture) -> _Episode:
        self._begun += 1
        eye = self._actor.eye
        look = eye.calibrate(first, goal)
        seeds = own_seeds(int(np.random.SeedSequence((self._seed, self._begun)).generate_state(1)[0]))
        pilot = Pilot(self._actor, eye.see(goal, look), self._steps, Pursuit(), seeds)
        return _Episode(pilot, look)

    def _decide(self, going: _Episode, picture: Picture) -> None:
        """See, and choose the next action."""
        size = action_size(self._space)
        going.frames.append(self._actor.eye.see(picture, going.look))
        going.held = 0
        context = Context(
            to_tensor(np.stack(going.frames), self._actor.device)[None], self._done(going.actions, size)
        )
        over = len(going.actions) >= self._steps
        going.done = going.done or over or going.pilot.finds_itself_done(context)
        if going.done:
            action = np.zeros(size, np.float32)
        else:
            action = drive(going.pilot.act(context))[0].cpu().numpy().astype(np.float32)
        going.actions.append(action)

    def _done(self, actions: list[NDArray[np.float32]], size: int) -> Float32[torch.Tensor, "1 T A"]:
        done = np.stack(actions) if actions else np.zeros((0, size), np.float32)
        return torch.from_numpy(done)[None].to(self._actor.device)

    def _picture(self, shown: Any) -> Picture:
        picture = np.asarray(shown)
        return fit_picture(to_rgb(picture if picture.ndim == 3 else picture[-1]), self._size, self._fit)
