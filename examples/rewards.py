"""Compare the rewards that a world model foresees with those that were paid.

    python examples/rewards.py [URL] [--tasks cartpole-balance walker-walk] [--out demo/rewards.png]

The server records a clip of random actions. The model is shown its beginning and told the other actions, and
predicts what they will earn. Writes a plot.

URL is that of a running server (``make serve``), else ``WAYMARK_URL`` or http://127.0.0.1:8000; a key, if it
wants one, is taken from ``WAYMARK_KEY``.
"""

import os
from pathlib import Path
from typing import Annotated

import httpx2
import numpy as np
import tyro
from matplotlib.figure import Figure

from server.client import Client, ServerProblem

SHOWN, FORESEEN = 8, 20
"""Frames that the model sees, and steps that it predicts."""


def compare(client: Client, task: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rewards paid and foreseen for each of the predicted steps."""
    clip = client.clip(task, SHOWN - 1 + FORESEEN, seed=seed)
    foreseen = client.rewards(
        task, clip.frames[:SHOWN], clip.actions[None, SHOWN - 1 :], past_actions=clip.actions[: SHOWN - 1]
    )
    return clip.rewards[SHOWN - 1 :], foreseen.rewards[0]


def main(
    url: Annotated[str, tyro.conf.Positional] = os.environ.get("WAYMARK_URL", "http://127.0.0.1:8000"),
    tasks: tuple[str, ...] = ("cartpole-balance", "walker-walk"),
    seed: int = 3,
    out: Path = Path("demo/rewards.png"),
) -> None:
    """Compare rewards foreseen with those paid, with the server at ``url``."""
    figure = Figure(figsize=(4 * len(tasks), 3))
    axes = figure.subplots(1, len(tasks), squeeze=False)
    try:
        with Client(url) as client:
            for axis, task in zip(axes[0], tasks, strict=True):
                paid, foreseen = compare(client, task, seed)
                error = np.abs(paid - foreseen).mean()
                print(f"{task}: mean absolute error {error:.3f}, mean reward {paid.mean():.3f}")
                axis.plot(paid, label="paid")
                axis.plot(foreseen, label="foreseen")
                axis.set(title=task, xlabel="step", ylabel="reward")
                axis.set_ylim(bottom=0)
    except (ServerProblem, httpx2.HTTPError) as problem:
        raise SystemExit(str(problem)) from problem
    axes[0][0].legend()
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
