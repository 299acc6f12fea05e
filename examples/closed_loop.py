"""Drive a robot through HTTP: the environment runs here, what to do is asked of the server.

    python examples/closed_loop.py [URL] [--seed 3] [--out demo/closed_loop.mp4]

A plan is asked for once, and after every step the next action toward the subgoal at hand. Nothing is sent but
pictures and the robot's own actions; where the puck is, the replies say. Writes a film of the episode.

URL is that of a running server (``make serve``), else ``WAYMARK_URL`` or http://127.0.0.1:8000; a key, if it
wants one, is taken from ``WAYMARK_KEY``.
"""

import os
from collections import deque
from pathlib import Path
from typing import Annotated

import gymnasium
import httpx2
import numpy as np
import tyro

import envs  # noqa: F401  # registers waymark/Push-v0
from planner.evaluation.films import Strip, video
from server.client import ActionReply, Client, ServerProblem

MEMORY = 4
"""Frames that ``struct-vrnn-push`` looks at, the last ones; ``control`` in ``GET /v1/models`` says so."""
NEAR, THERE = 4.0, 2.0
"""Pixels to a subgoal and to the goal that count as having reached it."""
PATIENCE = 10
"""Steps toward one subgoal."""


def drive(client: Client, seed: int, out: Path) -> None:
    """One episode."""
    env = gymnasium.make("waymark/Push-v0")
    frame, info = env.reset(seed=seed)
    goal = info["goal"]
    plan = client.plan(frame, goal, seed=seed)
    print(f"planned in {plan.response.timings.total_ms:.0f} ms: {len(plan.images)} subgoals")
    subgoals = [*plan.images[:-1], goal]

    frames = deque([frame], maxlen=MEMORY)
    actions = deque[np.ndarray](maxlen=MEMORY - 1)
    film, strips = [frame], list[Strip]()
    index, tried, warm_start, over = 0, 0, None, False
    while not over:
        reply = client.act(
            np.stack(frames),
            subgoals[index],
            past_actions=np.array(actions).reshape(-1, 2),
            warm_start=warm_start,
            seed=len(strips),
        )
        frame, _, _, over, info = env.step(reply.action.astype(np.float64))
        frames.append(frame)
        actions.append(reply.action)
        film.append(frame)
        strips.append(Strip(subgoals, index))
        tried, warm_start, left = tried + 1, reply.warm_start, distance(reply)
        print(f"step {len(strips):2}: subgoal {index}, {left:4.1f} pixels away")
        if index == len(subgoals) - 1:
            over = over or left < THERE
        elif left < NEAR or tried == PATIENCE:
            index, tried, warm_start = index + 1, 0, None
    env.close()
    video(film, [*strips, strips[-1]], out)
    verdict = "success" if info["success"] else "failure"
    print(f"the puck is {info['distance']:.2f} table units from the goal: {verdict}; film: {out}")


def distance(reply: ActionReply) -> float:
    """Pixels between the puck, where it is expected after the action, and its place in the subgoal."""
    puck, wanted = reply.response.expected[0].object_position, reply.response.subgoal_position
    if puck is None or wanted is None:
        return float("inf")
    return float(np.hypot(puck.x - wanted.x, puck.y - wanted.y))


def main(
    url: Annotated[str, tyro.conf.Positional] = os.environ.get("WAYMARK_URL", "http://127.0.0.1:8000"),
    seed: int = 3,
    out: Path = Path("demo/closed_loop.mp4"),
) -> None:
    """Drive a robot through HTTP, with the server at ``url``."""
    try:
        with Client(url) as client:
            drive(client, seed, out)
    except (ServerProblem, httpx2.HTTPError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    tyro.cli(main)
