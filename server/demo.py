"""The whole service once round: ``python -m server.demo``.

Starts a server, sends it a picture of now and a picture of the goal, prints the plan, drives the robot
through it in the simulator, and writes the subgoal strip (PNG) and the episode (MP4).
"""

from dataclasses import dataclass
from pathlib import Path

import httpx2
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from envs.push.env import STRICT_SUCCESS, SUCCESS
from envs.push.world import PushWorld
from planner.episode import run_episode
from planner.evaluation.films import Strip, film, strip
from planner.goals import make_goal
from planner.low_levels.low_level import true_servo
from planner.pursuit import Actor, own_seeds
from server.client import Client, PlanReply, ServerProblem
from server.local import running_server
from world_models.frames import to_tensor
from world_models.jobs.command import command
from world_models.jobs.outputs import check_folder


@dataclass(frozen=True)
class Demo:
    """What to show."""

    model: str = "keyin-push"
    """Model of the server that is started; a running one plans with its first model."""
    seed: int = 3
    """Which task, and the seed of the searches."""
    out: Path = Path("demo")
    server: str | None = None
    """URL of a running server; without it one is started for the occasion."""


def run(demo: Demo, url: str) -> None:
    """Plan over HTTP, execute, write pictures, print what happened."""
    world = PushWorld()
    start, info = world.env.reset(seed=demo.seed)
    scene = world.env.scene
    with Client(url) as client:
        reply = client.plan(start, info["goal"], seed=demo.seed)
    _print_plan(reply)

    def subgoals(
        now: Float[Tensor, "1 C H W"], goal: Float[Tensor, "1 C H W"], generator: torch.Generator
    ) -> Float[Tensor, "K C H W"]:
        return to_tensor(reply.images[:-1])

    print("driving the robot through the plan ...")
    actor = Actor(true_servo(world), subgoals, make_goal(world.goal))
    outcome = run_episode(world, scene, actor, own_seeds(demo.seed))
    world.close()
    strip([start, *reply.images, info["goal"]], demo.out / "plan.png")
    film(outcome, Strip([info["goal"]]), demo.out / "episode.mp4")
    initial, distance = (outcome.measures[k]["distance"] for k in (0, -1))
    grade = "strict success" if distance < STRICT_SUCCESS else "success"
    verdict = grade if distance < SUCCESS else "failure"
    print(
        f"{world.goal.objects[0].body} to goal: {initial:.2f} at the start, {distance:.3f} after "
        f"{outcome.steps} steps (table units): {verdict}\n"
        f"written: {demo.out / 'plan.png'} (start, subgoals, goal), {demo.out / 'episode.mp4'}"
    )


def _print_plan(reply: PlanReply) -> None:
    response = reply.response
    print(
        f"plan by {response.model.name} in {response.timings.total_ms:.0f} ms, seed {response.seed}: "
        f"last subgoal {_pixels(response.cost)} from the goal; cost by iteration: "
        + ", ".join(map(_pixels, response.cost_history))
    )
    for subgoal in response.subgoals:
        at = subgoal.object_position
        place = f"({at.x:5.1f}, {at.y:5.1f}) px" if at else "not visible"
        print(f"  subgoal {subgoal.index}: frame {subgoal.step:4.0f}, at {place}")


def _pixels(cost: float | None) -> str:
    return "nowhere" if cost is None else f"{cost:.2f} px"


@command(expected=(ServerProblem, httpx2.HTTPError))
def main() -> None:
    """Command line entry point."""
    demo = tyro.cli(Demo, prog="python -m server.demo", description=__doc__)
    check_folder("--out", demo.out)
    if demo.server is not None:
        run(demo, demo.server)
        return
    print("starting a server ...")
    with running_server(demo.model, threads=1) as url:
        run(demo, url)


if __name__ == "__main__":
    main()
