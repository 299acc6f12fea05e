"""How well a model knows where bodies are, on sequences that it has not learned from."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.sequences import TaskData

AHEAD = (1, 4, 8)
"""Steps after the last seen frame at which imagined places are compared with the true ones."""
MOST = 1000
"""Sequences of a task that are looked at, the last ones."""


@torch.no_grad()
def measure_bodies(
    model: StructVRNN,
    tasks: Sequence[TaskData],
    features: Sequence[Float[Tensor, "_n T F"]],
    observed: int,
    ahead: Sequence[int] = AHEAD,
) -> str:
    """A Markdown table of median / mean errors in pixels, per task and body: where pictures are seen, and
    ``ahead`` of the ``observed`` first ones; empty without bodies or data.
    """
    lines: list[str] = []
    for task, described in zip(tasks, features, strict=True):
        first = max(task.known, len(described) - MOST)
        if not model.config.bodies or first == len(described):
            return ""
        truth, actions = _recorded(task, model.config.bodies, first)
        seen = described[first:]
        errors = {"seen": _distances(model.places(seen), truth).flatten(0, 1)}
        if ahead:
            state = model.take_in(seen[:, :observed], actions[:, : observed - 1])
            done = actions[:, observed - 1 :][:, : max(ahead)]
            imagined = model.places(model.imagine(state, done).features)
            missed = _distances(imagined, truth[:, observed : observed + done.shape[1]])
            errors |= {f"{step} ahead": missed[:, step - 1] for step in ahead if step <= done.shape[1]}
        if not lines:
            lines = [f"| task | body | {' | '.join(errors)} |", "|---" * (2 + len(errors)) + "|"]
        for number, body in enumerate(model.config.bodies):
            cells = (
                f"{part[:, number].median():.2f} / {part[:, number].mean():.2f}" for part in errors.values()
            )
            lines.append(f"| {task.name or '-'} | {body} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _recorded(
    task: TaskData, names: Sequence[str], first: int
) -> tuple[Float[Tensor, "m T J 2"], Float[Tensor, "m T-1 A"]]:
    """True pixels of the bodies, and actions, of the sequences from ``first``."""
    order = [task.bodies.index(name) for name in names]
    parts = list(task.sequences.batches(250, first))
    places = [torch.from_numpy(task.positions(part.states)[..., order, :].copy()) for part in parts]
    return torch.cat(places), torch.cat([torch.from_numpy(part.actions) for part in parts])


def _distances(found: Float[Tensor, "*B J 2"], truth: Float[Tensor, "*B J 2"]) -> Float[Tensor, "*B J"]:
    return (found - truth).square().sum(-1).sqrt()
