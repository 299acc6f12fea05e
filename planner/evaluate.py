"""Closed-loop evaluation: ``python -m planner.evaluate push --planners keyin,flat --out results.json``.

Everybody gets the same frozen episodes. ``push`` compares planners with one low level for all, ``dmc`` the
ways to control DM Control tasks, ``world`` low levels in any world, ``gym`` planners in any gymnasium
environment, toward goals from its data. Outcomes are appended to
``<out>.episodes.jsonl`` as they come, so that an interrupted run goes on where it stopped.
"""

from typing import Annotated, Any

import tyro

from planner.evaluation.anywhere import Anywhere
from planner.evaluation.dmc import Dmc
from planner.evaluation.evaluation import Evaluation
from planner.evaluation.gym.run import Gym
from planner.evaluation.push import Push, evaluate_push
from planner.evaluation.run import evaluate
from world_models.jobs.command import command


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    with_defaults = tyro.extras.subcommand_type_from_defaults(
        {"push": Push(), "dmc": Dmc(), "world": Anywhere()}
    )
    kinds: Any = with_defaults | Annotated[Gym, tyro.conf.subcommand("gym")]
    run: Evaluation = tyro.cli(
        kinds,
        prog="python -m planner.evaluate",
        description=__doc__,
    )
    written = [run.out]
    if isinstance(run, Push):
        result = evaluate_push(run)
        written.append(run.figure_path())
    else:
        result, _ = evaluate(run)
    print(result["table"])
    print(f"\nwritten: {', '.join(map(str, written))}")


if __name__ == "__main__":
    main()
