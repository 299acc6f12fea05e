"""``waymark plan START.png GOAL.png --out plan.png``: a plan between two pictures, without a server.

The picture that is written shows the start, the subgoals and the goal side by side. The same pictures with
the same seed give the same plan, bit for bit, as ``POST /v1/plans`` of a server on this machine.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from planner.evaluation.films import strip
from planner.loaded import ReadyPlanner
from planner.loading import available_models, load_ready
from planner.search.rollout import drive
from server.http.bodies import decode_picture
from server.http.pictures import Picture
from server.plans.schemas import MAX_KEYFRAMES
from server.plans.task import PlanOutcome, PlanTask, Point, plan_task
from server.schemas import MAX_SEED
from world_models.jobs.command import command
from world_models.jobs.outputs import check_device, check_outputs
from world_models.shipped import find_folder


@dataclass(frozen=True)
class PlanPictures:
    """What to plan, and where to draw it."""

    start: tyro.conf.Positional[Path]
    """The world as it is: PNG or JPEG, square, of the model's size or up to 1024 pixels."""
    goal: tyro.conf.Positional[Path]
    """The world as it should be."""
    out: Path = Path("plan.png")
    """Start, subgoals and goal side by side, as PNG."""
    model: str = "keyin-push"
    """Which planner: keyin-push, jumpy-push, surprise-push, or a model folder."""
    seed: int = 0
    """Seed of the search."""
    samples: int | None = None
    """Candidates per iteration; the model's own number if left out."""
    iterations: int | None = None
    """Rounds of the search, likewise."""
    device: str = "cpu"


def plan(wanted: PlanPictures) -> PlanOutcome:
    """Plan between the two pictures and draw the plan.

    Raises:
        ValueError: a picture, the model, the name of the output or a setting is wrong.
    """
    if wanted.out.suffix.lower() != ".png":
        raise ValueError(f"--out is to be a PNG file such as plan.png, not {wanted.out}")
    if not 0 <= wanted.seed <= MAX_SEED:
        raise ValueError(f"--seed must be 0 to {MAX_SEED}, not {wanted.seed}")
    for name, count, least in (("--samples", wanted.samples, 2), ("--iterations", wanted.iterations, 1)):
        if count is not None and not least <= count <= MAX_KEYFRAMES:
            raise ValueError(f"{name} must be {least} to {MAX_KEYFRAMES}, not {count}")
    check_outputs("--out", wanted.out)
    torch.set_num_threads(1)  # as a server; with another number single bits may differ
    model = load_model(wanted.model, wanted.device)
    task = plan_task(
        model,
        read_picture(wanted.start, model.image_size),
        read_picture(wanted.goal, model.image_size),
        seed=wanted.seed,
        samples=wanted.samples,
        iterations=wanted.iterations,
    )
    outcome = search(task, wanted.device)
    try:
        strip([task.start, *outcome.pictures, task.goal], wanted.out)
    except OSError as error:
        raise ValueError(f"{wanted.out} cannot be written: {error.strerror}") from error
    return outcome


@torch.inference_mode()
def search(task: PlanTask, device: str) -> PlanOutcome:
    """Do all of the work at once. Raises NoObject."""
    return drive(task.work(device))


def load_model(name: str, device: str) -> ReadyPlanner:
    """A planner by its name.

    Raises:
        ValueError: there is no such model or device, or it does not plan, or its files are damaged.
    """
    choices = f"planners that ship: {', '.join(available_models())}; or give the path of a model folder"
    try:
        find_folder(name)
    except ValueError as error:
        raise ValueError(f"there is no model {name!r}; {choices}") from error
    check_device(device)
    model = load_ready(name, device)
    if not isinstance(model, ReadyPlanner):
        raise ValueError(f"{name} does not plan; {choices}")
    return model


def read_picture(path: Path, size: int) -> Picture:
    """The pixels of a picture file of ``size`` x ``size`` pixels.

    Raises:
        ValueError: it is not such a picture, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read: {error.strerror}; name a PNG or JPEG picture of {size} x {size} pixels"
        ) from error
    return decode_picture(str(path), content, size)


def describe(wanted: PlanPictures, outcome: PlanOutcome) -> str:
    """The plan in words: when the object, if one is looked for, should be where, and what the plan costs."""
    if outcome.path is not None:
        return _without_places(wanted, outcome)
    lines = [
        f"plan by {wanted.model}, seed {wanted.seed}: last subgoal {_pixels(outcome.cost)} from the goal"
    ]
    lines.append(f"  start: {_place(outcome.known.start_position)}")
    for index, (step, position) in enumerate(zip(outcome.steps, outcome.positions, strict=True)):
        lines.append(f"  subgoal {index}: frame {step:4.0f}, {_place(position)}")
    return "\n".join([*lines, f"  goal: {_place(outcome.known.goal_position)}", f"written: {wanted.out}"])


def _without_places(wanted: PlanPictures, outcome: PlanOutcome) -> str:
    """The same of a planner that looks for no object."""
    cost = "none" if outcome.cost is None else f"{outcome.cost:.2f}"
    lines = [f"plan by {wanted.model}, seed {wanted.seed}: cost {cost}"]
    for index, (step, whole) in enumerate(zip(outcome.steps, outcome.whole, strict=True)):
        known = "" if whole else ", hardly a picture that the model knows"
        end = ": the goal is reached" if index == outcome.end else ""
        lines.append(f"  subgoal {index}: frame {step:4.0f}{known}{end}")
    return "\n".join([*lines, f"written: {wanted.out}"])


def _pixels(cost: float | None) -> str:
    return "nowhere" if cost is None else f"{cost:.2f} px"


def _place(position: Point | None) -> str:
    return "not visible" if position is None else "object at ({:.1f}, {:.1f}) px".format(*position)


@command()
def main() -> None:
    """Command line entry point."""
    wanted = tyro.cli(PlanPictures, prog="waymark plan", description=__doc__)
    print(describe(wanted, plan(wanted)))


if __name__ == "__main__":
    main()
