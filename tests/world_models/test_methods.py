"""What methods say about themselves, and that a new one takes one line per verb."""

import json
import re
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from torch import nn

import world_models
from world_models import evaluate, train
from world_models.checkpoint import load_model
from world_models.shipped import shipped_kind, shipped_models
from world_models.training.method import Evaluation, Method
from world_models.training.run import TrainingRun, claim, export

SOURCES = sorted(Path(world_models.__file__).parent.rglob("*.py"))
ROOMS = ("config", "method", "model", "presets", "recipe", "run", "training", "card")
FOLDERS = (
    *("keyin", "tap", "struct_vrnn", "struct_vrnn/control", "svg", "kalman", "kalman/ed_lstm"),
    "action_recognition",
)


class ToyConfig(BaseModel):
    kind: str = "toy"
    size: int = 2


class Toy(nn.Linear):
    def __init__(self, config):
        super().__init__(config.size, 1)
        self.config = config

    @classmethod
    def load(cls, folder, device="cpu"):
        return load_model(folder, cls, ToyConfig, device)


class ToyRecipe(BaseModel):
    model: ToyConfig = ToyConfig()


class ToyRun(TrainingRun):
    out: Path = Path("runs/toy")
    recipe: ToyRecipe = ToyRecipe()


class ToyEvaluation(BaseModel):
    model: Path
    """Model folder."""


def train_toy(run, command):
    if run.recipe.model.size > 9:
        raise ValueError("a toy is small")
    session = claim(run, {})
    with session.initial_weights():
        model = Toy(run.recipe.model)
    return export(session, model, lambda toy: toy.in_features, lambda size: f"{size} by `{command}`\n")


TOY = Method(
    config=ToyConfig,
    load=Toy.load,
    runs={"toy-small": ("a toy", ToyRun())},
    train=train_toy,
    evaluations={
        "toy": Evaluation(ToyEvaluation, lambda job, command: f"{Toy.load(job.model).in_features} {command}")
    },
)


def call(monkeypatch, verb, *arguments):
    monkeypatch.setattr(sys, "argv", [verb.__name__, *map(str, arguments)])
    monkeypatch.setattr(verb, "METHODS", (*verb.METHODS, TOY))
    verb.main()


def test_a_new_method_takes_one_line_per_verb(tmp_path, monkeypatch, capsys):
    arguments = ["toy-small", "--out", tmp_path / "run", "--recipe.model.size", 3]
    call(monkeypatch, train, *arguments)
    command = " ".join(["python -m world_models.train", *map(str, arguments)])
    assert capsys.readouterr().out == f"3 by `{command}`\n\nmodel: {tmp_path / 'run' / 'model'}\n"
    call(monkeypatch, evaluate, "toy", "--model", tmp_path / "run" / "model")
    assert capsys.readouterr().out.startswith("3 python -m world_models.evaluate toy --model ")


def test_what_a_method_refuses_ends_the_command_with_its_words(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="a toy is small"):
        call(monkeypatch, train, "toy-small", "--out", tmp_path, "--recipe.model.size", 10)


def test_names_and_settings_tell_methods_apart():
    runs = [name for method in train.trainings() for name in method.runs]
    kinds = [{type(run) for _, run in method.runs.values()} for method in train.trainings()]
    assert len(runs) == len(set(runs)) == len(train.presets())
    assert all(len(kind) == 1 for kind in kinds) and len(set.union(*kinds)) == len(kinds)
    measured = [found.settings for method in train.METHODS for found in method.evaluations.values()]
    assert len(measured) == len(set(measured))
    assert {*measured} == {found.settings for found in evaluate.evaluations().values()}


def test_every_shipped_model_is_of_a_method_that_can_read_it():
    loaders = {method.kind: method for method in train.METHODS}
    assert len(loaders) == len(train.METHODS)
    for name in shipped_models():
        config = json.loads(
            (Path(world_models.__file__).parent / "pretrained" / name / "config.json").read_text()
        )
        method = loaders[shipped_kind(name)]
        assert method.config.model_validate(config).model_dump()["kind"] == method.kind
    tap = Path(world_models.__file__).parent / "pretrained" / "tap-push"
    assert loaders["tap"].load(tap, "cpu").config.kind == "tap"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_method_has_the_same_rooms(folder):
    home = Path(world_models.__file__).parent / folder
    assert {path.stem for path in home.glob("*.py")} >= set(ROOMS)
    assert len(list(home.glob("*.py"))) <= 15


def test_fields_are_described_under_them_and_cards_in_one_place():
    sections = re.compile(r"^## (Data|Training)$", re.MULTILINE)  # as in a card's template
    for path in SOURCES:
        text = path.read_text()
        assert "    Attributes:\n" not in text, path
        assert not sections.search(text), path
