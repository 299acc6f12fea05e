"""A run of training: what it depends on, its folder, what it takes over from another, the model it ends with.

A method's ``run.py`` opens the data, claims the folder, builds the model, goes through its stages in order
and exports.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from world_models.checkpoint import write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.eye import Reference
from world_models.files import write_bytes
from world_models.goals import StoredGoal
from world_models.jobs.identity import differences, file_digest
from world_models.jobs.outputs import check_device, check_folder

SETTINGS = "run.json"
"""What a run depends on, in its folder."""


class TrainingRun(BaseModel):
    """What every training run is told; methods add the data and ``recipe``: how it learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: Path
    """Folder of this run; give the same one to resume."""
    seed: int = 0
    """Seed of all that is random: weights, batches, noise."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: int = 1
    """CPU threads; one per process is fastest when cores are shared."""


@dataclass(frozen=True)
class Session:
    """Where a training run lives and what it runs on."""

    folder: Path
    seed: int
    device: torch.device

    @contextmanager
    def initial_weights(self) -> Iterator[None]:
        """Weights made inside are drawn from the seed; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(torch.Generator().manual_seed(self.seed).get_state())
            yield

    def log(self, **entry: float | str) -> None:
        """Append one line to ``log.jsonl``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run's folder."""
        write_bytes(self.folder / name, (json.dumps(content, indent=2) + "\n").encode())


def origin_of(data: SequenceDataset) -> dict[str, Any]:
    """What tells a data set from others: how many sequences it has, and the attributes of every shard."""
    return {"sequences": len(data), "shards": [read_attributes(path) for path in data.paths]}


def claim(
    run: TrainingRun,
    data: Mapping[str, Any],
    base: Iterable[Path] = (),
    made_with: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Session:
    """Begin a run in a new folder, or go on with it in its own: no run goes on with what another has made.

    ``run.json`` keeps all that a run depends on: the recipe with its defaults, the seed, where the data is
    from, and the digests of the files that it builds on.

    Args:
        run: what is to be trained.
        data: what tells its data from others; see :func:`origin_of`.
        base: files of a finished run that this one builds on.
        made_with: answers the files and folders of a run that depend on any of these settings, given as
            dotted names. Settings can be changed while none of these exists. None: all depends on all.

    Raises:
        ValueError: the folder holds another run.
    """
    check_device(run.device)
    check_folder("--out", run.out)
    digests = {path.name: file_digest(path) for path in base}
    settings = {"seed": run.seed, **_learned_with(run, data), "base": digests}
    session = Session(run.out, run.seed, torch.device(run.device))
    if (run.out / SETTINGS).exists():
        before = _read_settings(run.out, "--out")
        changed = differences(settings, before)
        stale = [name for name in made_with(changed) if (run.out / name).exists()] if made_with else []
        if stale or (changed and made_with is None):
            again = f", or delete {', '.join(stale)} there to do these stages again" if stale else ""
            raise ValueError(
                f"{run.out} holds a run with other {', '.join(changed)}; choose another --out{again}"
            )
    session.write_json(SETTINGS, settings)
    torch.set_num_threads(run.threads)
    return session


def differences_to_base(
    base: Path, run: TrainingRun, data: Mapping[str, Any], needed: Iterable[str]
) -> list[str]:
    """Dotted names of what a finished run learned with and ``run`` does not; seeds may differ.

    Raises:
        ValueError: the base lacks one of the ``needed`` files and folders, or is of an older version.
    """
    if missing := [name for name in (*needed, SETTINGS) if not (base / name).exists()]:
        raise ValueError(f"{base} is no finished run to build on: it lacks {', '.join(missing)}")
    theirs = _read_settings(base, "--base")
    mine = _learned_with(run, data)
    return differences(mine, {name: theirs[name] for name in mine})


def refuse_base(base: Path, different: Sequence[str]) -> None:
    """Refuse a base that differs in what matters.

    Raises:
        ValueError: it does.
    """
    if different:
        raise ValueError(f"{base} was trained with other {', '.join(different)}; choose another --base")


def take_over(files: Iterable[Path], session: Session) -> None:
    """Copy files of a base into the run's folder, unless they are there."""
    for path in files:
        if not (session.folder / path.name).exists():
            write_bytes(session.folder / path.name, path.read_bytes())


def read_recipe(folder: Path) -> Any:
    """The recipe that a run was trained with, as JSON; the run's method knows its type."""
    return json.loads((folder / SETTINGS).read_text())["recipe"]


@runtime_checkable
class Trained(Protocol):
    """A model that can be stored and read back."""

    config: Any

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> Any:
        """The model of a folder, ready for use."""
        ...


ModelT = TypeVar("ModelT", bound=Trained)
FiguresT = TypeVar("FiguresT")


def export(
    session: Session,
    model: ModelT,
    measure: Callable[[ModelT], FiguresT],
    card: Callable[[FiguresT], str],
    name: str = "model",
    eye: Reference | None = None,
    reader: nn.Module | None = None,
    goal: StoredGoal | None = None,
) -> Path:
    """Write the model folder ``name`` and answer it; ``eye`` is what its eye knows, ``reader`` its reader,
    ``goal`` what it can be asked for.

    Figures are those of the model as it is read back, whose weights are rounded; the card tells them.
    """
    folder = session.folder / name
    known = None if eye is None else eye.to_tensors()
    weights = None if reader is None else reader.state_dict()
    write_model(folder, model.config, cast(nn.Module, model), "", known, weights, goal)
    write_card(folder, card(measure(type(model).load(folder, session.device))))
    return folder


def _learned_with(run: TrainingRun, data: Mapping[str, Any]) -> dict[str, Any]:
    """Recipe and data as they are when read from JSON."""
    recipe = run.model_dump(mode="json", include={"recipe"})
    learned: dict[str, Any] = json.loads(json.dumps(recipe | {"data": dict(data)}))
    return learned


def _read_settings(folder: Path, option: str) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text())
    if settings.keys() != {"seed", "recipe", "data", "base"}:
        raise ValueError(f"{folder} holds a run of an older version of this code; choose another {option}")
    return settings
