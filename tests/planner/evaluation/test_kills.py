"""Writers that are killed at any moment leave whole files, and the next writer sweeps what they left."""

import json
import time
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from planner.evaluation.journal import append, resume
from world_models.checkpoint import load_training, read_model, save_training, write_card, write_model
from world_models.files import write_bytes
from world_models.training.fit import FitConfig


class Momentum(torch.optim.Optimizer):
    """Stands for an optimiser: starting a real one in every process takes longer than the test."""

    def __init__(self, value: float) -> None:
        self.state = {0: {"momentum": torch.full((64,), value)}}

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "param_groups": []}

    def load_state_dict(self, found: dict[str, Any]) -> None:
        self.state = found["state"]


def training_parts(value: float) -> tuple[nn.Module, Any, torch.Generator]:
    """A tiny model and its optimiser's state, in which every number is ``value``."""
    model = nn.Linear(32, 8)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.bias, value)
    return model, Momentum(value), torch.Generator().manual_seed(0)


def write_forever(folder: Path, round_: int) -> None:
    """What trainings and evaluations write, again and again with other content."""
    journal = folder / "journal.jsonl"
    resume(journal, ("round", "number"), {})
    with journal.open("a") as file:
        for number in count():
            parts = training_parts(float(number % 100))
            write_model(folder / "model", FitConfig(steps=1 + number % 100, batch=1), parts[0], "")
            save_training(folder / "training.safetensors", number % 100, *parts)
            write_bytes(folder / "results.json", json.dumps([number] * 1000).encode())
            append(file, {"round": round_, "number": number, "filling": "x" * 500})
            write_card(folder / "model", f"{number}")


def damages(folder: Path) -> list[str]:
    """What cannot be read as it was written, in a word each."""
    found = []
    stored = read_model(folder / "model")
    if not all((weights == stored.config["steps"] - 1).all() for weights in stored.weights.values()):
        found.append("weights and settings of different models")
    parts = training_parts(-1.0)
    step = load_training(folder / "training.safetensors", *parts)
    if not all(
        (numbers == step).all() for numbers in (*parts[0].parameters(), parts[1].state[0]["momentum"])
    ):
        found.append("weights, optimiser and step of different checkpoints")
    if len(set(json.loads((folder / "results.json").read_bytes()))) != 1:
        found.append("mixed results")
    return found + torn_lines((folder / "journal.jsonl").read_text())


def torn_lines(journal: str) -> list[str]:
    """Lines that are torn, other than the last, or outcomes that are missing between others."""
    *lines, _ = journal.split("\n")
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    numbers: dict[int, list[int]] = {}
    for record in records:
        numbers.setdefault(record["round"], []).append(record["number"])
    return [f"round {key}" for key, found in numbers.items() if found != list(range(len(found)))]


def wait_for_round(journal: Path, round_: int) -> None:
    """Until everything has been written once in that round."""
    deadline = time.monotonic() + 60
    while not (journal.exists() and f'{{"round": {round_}, ' in journal.read_text()):
        assert time.monotonic() < deadline, f"round {round_}: nothing is written"
        time.sleep(0.001)


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_writers_leave_whole_files(processes: ForkServerContext, tmp_path: Path, kills: int) -> None:
    rng = np.random.default_rng(kills)
    for round_ in range(kills):
        writer = processes.Process(target=write_forever, args=(tmp_path, round_))
        writer.start()
        wait_for_round(tmp_path / "journal.jsonl", round_)
        time.sleep(rng.uniform(0, 0.06))
        writer.kill()
        writer.join()
        assert damages(tmp_path) == [], f"kill {round_}"


def test_the_next_writer_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    for leftover in ("model.tmp", "model.old"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "half").touch()
    write_model(tmp_path / "model", FitConfig(steps=1, batch=1), nn.Linear(1, 1), "")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
