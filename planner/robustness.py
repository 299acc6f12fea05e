"""What a changed world costs: ``python -m planner.robustness push --servo learned --out robustness.json``.

Every variation changes one factor of the world that models were trained on, or of its pictures, and runs the
same episodes by way of :mod:`planner.evaluate`; models, searches and goals stay what they are. Each keeps its
own results and journal in ``<out>.variations/``, so that an interrupted run goes on where it stopped. A PNG
beside the results shows how every world looks.
"""

import tyro
from tqdm import tqdm

from planner.evaluation.robustness.dmc import DmcRobustness
from planner.evaluation.robustness.push import Robustness
from planner.evaluation.robustness.study import Study, measure
from world_models.jobs.command import command


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    study: Study = tyro.cli(
        tyro.extras.subcommand_type_from_defaults({"push": Robustness(), "dmc": DmcRobustness()}),
        prog="python -m planner.robustness",
        description=__doc__,
    )
    result = measure(study)
    tqdm.write(f"{result['table']}\n\nwritten: {study.out}, {study.sheet_path()}")


if __name__ == "__main__":
    main()
