"""A small client: pictures in and out as arrays, errors as exceptions."""

import os
from types import TracebackType

import httpx2
import numpy as np
from jaxtyping import Float

from server.actions.schemas import ACTIONS_PATH, ActionResponse, Objective
from server.catalogue.schemas import MODELS_PATH, ModelInfo, ModelList
from server.client.pictures import FramesLike, PictureLike, encode, encode_frames
from server.client.plans import PlanCalls
from server.client.predictions import WorldCalls, numbers
from server.client.replies import ActionReply
from server.client.scenes import SceneCalls
from server.health.schemas import READY_PATH
from server.hosts import is_loopback
from server.http.pictures import from_base64
from server.schemas import Calibration


class Client(PlanCalls, WorldCalls, SceneCalls):
    """Talks to one server. Use it in a ``with`` block, or call :meth:`close`."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", timeout: float = 70.0, key: str | None = None
    ) -> None:
        """``timeout`` in seconds, for connecting and for each reply; ``key`` for a server that asks for one,
        if left out that of the environment variable ``WAYMARK_KEY``.
        """
        key = key or os.environ.get("WAYMARK_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A proxy of the environment is for other machines: it would look for the server on its own.
        direct = is_loopback(httpx2.URL(url).host)
        super().__init__(httpx2.Client(base_url=url, timeout=timeout, headers=headers, trust_env=not direct))

    def act(
        self,
        frames: FramesLike,
        subgoal: PictureLike | None = None,
        *,
        past_actions: Float[np.ndarray, "past A"] | None = None,
        plan: str | None = None,
        index: int | None = None,
        step: int | None = None,
        path: FramesLike | None = None,
        calibration: Calibration | None = None,
        start: PictureLike | None = None,
        goal: PictureLike | None = None,
        objective: Objective = "push",
        task: str | None = None,
        warm_start: Float[np.ndarray, "L A"] | None = None,
        seed: int | None = None,
        candidates: int | None = None,
        iterations: int | None = None,
        horizon: int | None = None,
        render: bool = False,
        model: str | None = None,
        deadline_ms: int | None = None,
    ) -> ActionReply:
        """Choose the next action, toward ``subgoal`` or toward the picture ``index`` of the plan of that
        id; or follow that plan frame by frame ``step`` steps after it was made, or the frames of ``path``.

        Frames of a scene that looks otherwise than what the model learned from are corrected by the plan's
        calibration, by one that is given, or by one that is found in the pictures ``start`` and ``goal``.
        Raises as :meth:`plan` does.
        """
        response = self._post(
            ACTIONS_PATH,
            ActionResponse,
            model=model,
            objective=objective,
            task=task,
            frames=encode_frames(frames),
            past_actions=numbers(past_actions),
            subgoal=None if subgoal is None else encode(subgoal),
            plan=plan,
            index=index,
            step=step,
            path=None if path is None else encode_frames(path),
            calibration=None if calibration is None else calibration.model_dump(mode="json"),
            start=None if start is None else encode(start),
            goal=None if goal is None else encode(goal),
            warm_start=numbers(warm_start),
            seed=seed,
            candidates=candidates,
            iterations=iterations,
            horizon=horizon,
            render=render,
            deadline_ms=deadline_ms,
        )
        return _action(response)

    def models(self) -> list[ModelInfo]:
        """The models of the server, the default one first. Raises as :meth:`plan` does."""
        return self._get(MODELS_PATH, ModelList).models

    def ready(self) -> bool:
        """Whether requests may be sent; False also while nobody listens."""
        try:
            return self._http.get(READY_PATH).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _action(response: ActionResponse) -> ActionReply:
    images = [from_base64(step.image) for step in response.expected if step.image is not None]
    return ActionReply(
        response,
        np.array(response.action, np.float32),
        np.array(response.warm_start, np.float32),
        np.array([step.action for step in response.expected], np.float32),
        np.stack(images) if images else None,
    )
