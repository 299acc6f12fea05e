"""Training the reward heads of a finished run: one per task (section S2.3)."""

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from world_models.checkpoint import write_card, write_model
from world_models.data import read_attributes
from world_models.files import write_bytes
from world_models.losses import Loss
from world_models.struct_vrnn.recipe import StructVRNNRecipe
from world_models.struct_vrnn.rewards.data import CHUNK, Labels, Reader, null_errors, read_labels, read_run
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.training.fit import FitConfig, PositiveInt, fit
from world_models.training.run import Session

REWARDS = "rewards"
"""Folder of the heads in a run."""
CHECKED = 50
"""Steps from one look at the sequences that choose a head's final state to the next."""
Result = dict[str, Any]
"""What a head achieves: ``n`` test sequences, and for ``head`` and ``null`` the ``mse``, ``per_step``, the
mean squared error at every frame, ``over_null``, the mean over frames of the error divided by that of the
null model at the frame, and its standard error ``se`` over sequences."""


class RewardRecipe(FitConfig):
    """How every head learns, whatever it reads."""

    steps: PositiveInt = 1000
    batch: PositiveInt = 32
    learning_rate: float = 3e-3
    observed: PositiveInt = 8
    """Frames that the world model sees; it imagines the rest."""
    tested: PositiveInt = 1000
    """Sequences, at the end, that test the heads; all others train them."""
    choosing: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the latter that is not learned from: of the states that a head goes through as it learns, the
    one with the least error on these sequences is kept."""
    width: PositiveInt = 128
    """Units of each layer."""


class RewardRun(BaseModel):
    """The reward heads of one finished run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Path = Path("runs/struct-vrnn-dmc-0")
    """Folder of the run; the heads go to ``rewards`` in it. Finished ones are kept."""
    data: Path = Path("data/dmc")
    """Folder with one folder of sequences per task."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: int = 1
    """CPU threads; one per process is fastest when cores are shared."""
    recipe: RewardRecipe = RewardRecipe()
    """How a head learns."""


def train_rewards(job: RewardRun, command: str) -> Path:
    """Train what is missing of a run's six heads; answers the folder they are in.

    Raises:
        DataError: the data is missing, does not fit the model or has no rewards.
        ValueError: there is no finished run, or too few sequences are held out.
    """
    recipe = read_recipe(job.run)
    tasks = open_tasks(job.data, recipe.model, recipe.held_out)
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    reader = read_run(job.run, job.recipe.observed, device)
    results = train_heads(reader, tasks, cached_labels(job.recipe), job.recipe, command, device)
    folder = job.run / REWARDS
    lines = [f"| {task} | {_figures(result)} |" for task, result in results.items()]
    table = "\n".join(["| task | MSE | MSE / null | test sequences |", "|---|---|---|---|", *lines])
    write_bytes(folder / "card.md", f"# Reward heads of {job.run.name}\n\n{table}\n".encode())
    return folder


def read_recipe(run: Path) -> StructVRNNRecipe:
    """How a finished run was trained.

    Raises:
        ValueError: it is none, or its model knows no tasks.
    """
    if not (run / "run.json").exists() or not (run / "model" / "config.json").exists():
        raise ValueError(
            f"{run} is no finished run; `python -m world_models.train struct-vrnn-dmc --out {run}` makes one"
        )
    recipe = StructVRNNRecipe.model_validate(json.loads((run / "run.json").read_text())["recipe"])
    if not recipe.model.tasks:
        raise ValueError(f"{run} holds a model without tasks; rewards belong to a task")
    return recipe


def cached_labels(recipe: RewardRecipe) -> Callable[[TaskData], Labels]:
    """:func:`read_labels`, which has to unpack pictures on the way, at most once per task."""
    return cache(lambda task: read_labels(task, recipe.tested))


def train_heads(
    reader: Reader,
    tasks: Sequence[TaskData],
    labels: Callable[[TaskData], Labels],
    recipe: RewardRecipe,
    command: str,
    device: torch.device,
) -> dict[str, Result]:
    """One head per task; those that are there and were made in the same way are kept.

    Answers their results by task, which also lie in ``<task>.json`` beside the model folder ``<task>``.
    """
    session, results = Session(reader.folder / REWARDS, reader.seed, device), dict[str, Result]()
    session.folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        path = session.folder / f"{task.name}.json"
        settings = _settings(reader, task, recipe)
        stored = json.loads(path.read_text()) if path.exists() else {}
        if stored.get("settings") != settings or not (session.folder / task.name).exists():
            result = _train(reader, task, labels(task), recipe, command, session)
            stored = {"settings": settings, "result": result}
            write_bytes(path, (json.dumps(stored, indent=2) + "\n").encode())
        results[task.name] = stored["result"]
    return results


def _settings(reader: Reader, task: TaskData, recipe: RewardRecipe) -> dict[str, Any]:
    """All that a head depends on."""
    return {
        "world_model": reader.world_model,
        "seed": reader.seed,
        "recipe": recipe.model_dump(mode="json"),
        "held_out": [task.known, len(task.sequences)],
        "data": read_attributes(task.sequences.paths[0]),
    }


def _train(
    reader: Reader, task: TaskData, labels: Labels, recipe: RewardRecipe, command: str, session: Session
) -> Result:
    """Train, store and test one head."""
    states = reader.states(task, labels)
    config = RewardHeadConfig(
        task=task.name,
        actions=task.actions,
        hidden_size=states.shape[-1],
        width=recipe.width,
        world_model=reader.world_model,
    )
    head = train_head(states, labels, config, recipe, session)
    folder = session.folder / task.name
    write_model(folder, config, head, "")
    result = measure(RewardHead.load(folder, session.device), states, labels)
    write_card(folder, _card(reader, task, labels, recipe, command, result))
    return result


def train_head(
    states: Float[Tensor, "n T H"],
    labels: Labels,
    config: RewardHeadConfig,
    recipe: RewardRecipe,
    session: Session,
) -> RewardHead:
    """Learn the rewards of the training sequences: mean squared error over all frames.

    A few thousand sequences are soon learned by heart, so some of them choose when that begins.
    """
    with session.initial_weights():
        head = RewardHead(config)
    inputs, targets = states[: labels.learned], labels.rewards[: labels.learned]
    head.set_scales(inputs, targets)
    head, inputs, targets = head.to(session.device), inputs.to(session.device), targets.to(session.device)
    known = len(inputs) - max(1, round(recipe.choosing * len(inputs)))
    best = _Best(head, inputs[known:], targets[known:])

    def loss(step: int, generator: torch.Generator) -> Loss:
        if step % CHECKED == 0:
            best.look()
        rows = torch.randint(known, (recipe.batch,), generator=generator).to(session.device)
        rewards, _ = head(inputs[rows])
        error = ((rewards - targets[rows]) / head.reward_scale).square().mean()
        return Loss(error, {"error": error})

    unfinished = session.folder / f"{config.task}.safetensors"
    unfinished.unlink(missing_ok=True)  # it may be of another model: heads take seconds, so they start anew
    fit(config.task, head, loss, recipe, session)
    unfinished.unlink()
    best.look()
    head.load_state_dict(best.weights)
    return head


class _Best:
    """The best state that a head has been seen in, on sequences that it does not learn from."""

    def __init__(
        self, head: RewardHead, inputs: Float[Tensor, "n T H"], targets: Float[Tensor, "n T"]
    ) -> None:
        self.head, self.inputs, self.targets = head, inputs, targets
        self.error = math.inf
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def look(self) -> None:
        """Keep the present state if it is better than all before."""
        error = float((self.head(self.inputs)[0] - self.targets).square().mean())
        if error < self.error:
            self.error = error
            self.weights = {name: tensor.clone() for name, tensor in self.head.state_dict().items()}


@torch.no_grad()
def measure(head: RewardHead, states: Float[Tensor, "n T H"], labels: Labels) -> Result:
    """Squared errors of a head and of the null model on the test sequences."""
    device = head.input_mean.device
    found = [head(part.to(device))[0].cpu() for part in states[labels.learned :].split(CHUNK)]
    errors = (torch.cat(found) - labels.rewards[labels.learned :]).square()
    null = null_errors(labels).double()
    return {"n": len(errors), "head": _summary(errors.double(), null), "null": _summary(null, null)}


def _summary(errors: Float[Tensor, "n T"], null: Float[Tensor, "n T"]) -> dict[str, Any]:
    spread = (errors / null.mean(0)).mean(1).std()
    return {
        "mse": float(errors.mean()),
        "per_step": errors.mean(0).tolist(),
        "over_null": float((errors.mean(0) / null.mean(0)).mean()),
        "se": float(spread / len(errors) ** 0.5),
    }


def _figures(result: Result) -> str:
    head = result["head"]
    return f"{head['mse']:.3g} | {head['over_null']:.3f} | {result['n']}"


def _card(
    reader: Reader, task: TaskData, labels: Labels, recipe: RewardRecipe, command: str, result: Result
) -> str:
    """What it is, what it learned from, how, and how well."""
    model = f"weights `{reader.world_model}`" if reader.world_model else "none: it reads the true states"
    null = result["null"]["per_step"]
    curve = ", ".join(f"{e / n:.3f}" for e, n in zip(result["head"]["per_step"], null, strict=True))
    return f"""# Rewards of {task.name}

Predicts the reward on arriving at every frame from the states of a world model, which never sees rewards.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*, S2.3.
World model: {model}.

## Data
{labels.learned} sequences train the head, {result["n"]} more, new to the world model too, test it;
first shard `{json.dumps(read_attributes(task.sequences.paths[0]), sort_keys=True)}`

## Training
`{command}` (seed {reader.seed})

- {recipe.model_dump_json()}

## Figures on the test sequences
| MSE | MSE / null | n |
|---|---|---|
| {_figures(result)} |

The null model predicts the mean reward of the training sequences. MSE / null is taken at every frame, of
which the first {recipe.observed} are seen, and then averaged: {curve}.

## Deviations from the paper
Inputs and rewards are scaled to mean 0 and variance 1. {labels.learned} training sequences where the paper
has 8,000; few steps, therefore at a higher rate: cosine decay from {recipe.learning_rate:g} to zero instead
of 1e-3 to 1e-4. A share of {recipe.choosing:g} of the training sequences chooses the state that is kept.
Weights are rounded to half precision.
"""
