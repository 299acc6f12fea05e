"""What a run depends on: nothing of it can change unnoticed between two starts in one folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import nn

from world_models.checkpoint import load_model, read_model
from world_models.data import SequenceDataset, Sequences, shard_path, write_shard
from world_models.training.run import (
    Session,
    TrainingRun,
    claim,
    differences_to_base,
    export,
    origin_of,
    refuse_base,
    take_over,
)


class Recipe(BaseModel):
    steps: int = 3
    sizes: tuple[int, ...] = (1, 2)
    extra: dict[str, int] = {}


class Run(TrainingRun):
    recipe: Recipe = Recipe()


def write_data(folder, *seeds, count=2):
    """One shard per seed."""
    for index, seed in enumerate(seeds):
        empty = np.zeros((count, 3, 0), np.float32)
        frames = np.zeros((count, 3, 1, 1, 1), np.uint8)
        sequences = Sequences(frames, empty[:, 1:], np.zeros((count, 3), bool), empty)
        write_shard(shard_path(folder, index), sequences, {"seed": seed})
    return origin_of(SequenceDataset(folder))


@pytest.fixture
def run(tmp_path):
    return Run(out=tmp_path / "run")


def test_a_run_goes_on_in_its_own_folder_wherever_it_runs(run):
    claim(run, {"sequences": 4})
    before = (run.out / "run.json").read_bytes()
    session = claim(run.model_copy(update={"device": "meta", "threads": 1}), {"sequences": 4})
    assert session == Session(run.out, 0, torch.device("meta"))
    assert (run.out / "run.json").read_bytes() == before


def test_a_stage_with_a_folder_of_its_own_can_log_before_anything_else_is_in_it(tmp_path):
    session = Session(tmp_path / "run" / "stage-0", 0, torch.device("cpu"))
    session.log(step=1, image=0.5)
    session.log(step=2, image=0.25)
    lines = (session.folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        (Recipe(steps=4), "recipe.steps"),
        (Recipe(sizes=(1, 2, 3)), "recipe.sizes"),
        (Recipe(extra={"a": 1}), "recipe.extra.b"),
        (Recipe(extra={"a": 1, "b": 2, "c": 3}), "recipe.extra.c"),
    ],
)
def test_another_recipe_is_refused_whichever_side_says_more(tmp_path, recipe, named):
    run = Run(out=tmp_path / "run", recipe=Recipe(extra={"a": 1, "b": 2} if recipe.extra else {}))
    claim(run, {})
    with pytest.raises(ValueError, match=rf"holds a run with other {named}; choose another --out$"):
        claim(run.model_copy(update={"recipe": recipe}), {})


@pytest.mark.parametrize(
    ("seeds", "count", "named"),
    [((0, 2), 2, "data.shards"), ((0,), 4, "data.shards"), ((0, 1), 3, "data.sequences")],
)
def test_other_data_is_refused(run, tmp_path, seeds, count, named):
    """The attributes of every shard count, their number and that of the sequences."""
    claim(run, write_data(tmp_path / "a", 0, 1))
    claim(run, write_data(tmp_path / "moved", 0, 1))  # where it lies does not matter
    with pytest.raises(ValueError, match=f"other {named}; choose another --out"):
        claim(run, write_data(tmp_path / "b", *seeds, count=count))


def test_another_base_is_refused(run, tmp_path):
    base = tmp_path / "eyes.safetensors"
    base.write_bytes(b"one")
    claim(run, {}, [base])
    for files, content in (([base], b"two"), ([], b"one")):
        base.write_bytes(content)
        with pytest.raises(ValueError, match=r"other base\.eyes\.safetensors; choose another --out"):
            claim(run, {}, files)


def test_what_nothing_was_made_with_yet_can_change(run):
    def made_with(changed):
        assert changed == ["recipe.steps"]
        return ["last.safetensors"]

    longer = run.model_copy(update={"recipe": Recipe(steps=4)})
    claim(run, {})
    (run.out / "first.safetensors").touch()
    (run.out / "last.safetensors").touch()
    with pytest.raises(ValueError, match=r"or delete last\.safetensors there to do these stages again"):
        claim(longer, {}, made_with=made_with)
    (run.out / "last.safetensors").unlink()
    claim(longer, {}, made_with=made_with)
    assert json.loads((run.out / "run.json").read_text())["recipe"]["steps"] == 4


def test_runs_of_older_versions_are_refused(run):
    run.out.mkdir()
    (run.out / "run.json").write_text('{"seed": 0, "recipe": {"steps": 3}, "sequences": {}}')
    with pytest.raises(
        ValueError, match="holds a run of an older version of this code; choose another --out"
    ):
        claim(run, {})
    other = run.model_copy(update={"out": run.out.with_name("other")})
    with pytest.raises(ValueError, match="of an older version of this code; choose another --base"):
        differences_to_base(run.out, other, {}, ())


def test_a_base_is_compared_by_what_it_learned_with_and_its_files_are_copied_once(run, tmp_path):
    mine = Run(out=tmp_path / "mine", seed=1, recipe=Recipe(steps=4))
    with pytest.raises(ValueError, match=r"no finished run to build on: it lacks eyes\.npy, run\.json"):
        differences_to_base(run.out, mine, {}, ["eyes.npy"])
    claim(run, {"sequences": 4})
    (run.out / "eyes.npy").write_bytes(b"theirs")
    assert differences_to_base(run.out, mine, {"sequences": 4}, ["eyes.npy"]) == ["recipe.steps"]
    assert differences_to_base(run.out, mine, {"sequences": 5}, []) == ["data.sequences", "recipe.steps"]
    refuse_base(run.out, [])
    with pytest.raises(ValueError, match=r"run was trained with other a, b; choose another --base"):
        refuse_base(run.out, ["a", "b"])
    session = claim(mine, {"sequences": 4}, [run.out / "eyes.npy"])
    for _ in range(2):
        take_over([run.out / "eyes.npy"], session)
        (run.out / "eyes.npy").write_bytes(b"later")
    assert (mine.out / "eyes.npy").read_bytes() == b"theirs"


class Sizes(BaseModel):
    kind: str = "line"


class Line(nn.Module):
    """A model of one number."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.slope = nn.Parameter(torch.tensor(0.1))

    @classmethod
    def load(cls, folder: Path, device="cpu"):
        return load_model(folder, cls, Sizes, device)


def test_what_is_exported_is_measured_as_it_is_read_back(run):
    session = claim(run, {})
    folder = export(
        session, Line(Sizes()), lambda line: float(line.slope), lambda slope: f"slope {slope:.9f}"
    )
    half = float(torch.tensor(0.1).half())
    assert half != pytest.approx(0.1, abs=1e-9)
    assert folder == run.out / "model" and read_model(folder).card == f"slope {half:.9f}"
    assert export(session, Line(Sizes()), lambda _: None, lambda _: "", "head") == run.out / "head"
