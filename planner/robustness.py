"""What a changed world costs: ``python -m planner.robustness push --servo learned --out robustness.json``.

Every variation changes one factor of the world that models were trained on, or of its pictures, and runs the
same episodes by way of :mod:`planner.evaluate`; models, searches and goals stay what they are. Each keeps its
own results and journal in ``<out>.variations/``, so that an interrupted run goes on where it stopped. A PNG
beside the results shows how every world looks. ``strangers`` asks which pictures a planner refuses.
"""

import tyro
from tqdm import tqdm

from planner.evaluation.robustness.dmc import DmcRobustness
from planner.evaluation.robustness.push import Robustness
from planner.evaluation.robustness.strangers import Strangers, measure_strangers
from planner.evaluation.robustness.study import Study, measure
from world_models.jobs.command import command


@command(resumes=True)
def main() -> None:
    """Command line entry point."""
    verbs: dict[str, Study | Strangers] = {
        "push": Robustness(),
        "dmc": DmcRobustness(),
        "strangers": Strangers(),
    }
    wanted: Study | Strangers = tyro.cli(
        tyro.extras.subcommand_type_from_defaults(verbs),
        prog="python -m planner.robustness",
        description=__doc__,
    )
    if isinstance(wanted, Strangers):
        table, written = measure_strangers(wanted)["table"], [wanted.out]
    else:
        table, written = measure(wanted)["table"], [wanted.out, *wanted.drawings()]
    tqdm.write(f"{table}\n\nwritten: {', '.join(map(str, written))}")


if __name__ == "__main__":
    main()
