"""How well the Kalman model finds, generates and interpolates cannonballs (sections 3.3 to 3.5 of the paper).

``python -m world_models.evaluate kalman --out kalman.json`` compares it with the ED-LSTM and with predictions
that need no model, for every number of balls, and draws the paper's figures 3, 6 and 9 beside the results.
"""

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from world_models.checkpoint import read_model
from world_models.data import read_attributes, shard_path
from world_models.files import write_results
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.evaluation.answers import ask
from world_models.kalman.evaluation.figures import Pictured, draw_figures
from world_models.kalman.evaluation.held_out_videos import mean_pictures, read_test_videos
from world_models.kalman.evaluation.measures import LOST, MARGIN, RUN, measure
from world_models.kalman.evaluation.table import markdown_tables
from world_models.kalman.model import Kalman
from world_models.training.fit import PositiveInt

COUNTS = (1, 2, 3)
"""Numbers of balls."""
AVERAGED = 2000
"""Training videos that the mean pictures are made from, at most."""


class KalmanEvaluation(BaseModel):
    """The Kalman model next to its baselines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Path = Path(__file__).parents[2] / "pretrained" / "kalman-cannonballs"
    """Model folder."""
    baseline: Path = Path("runs/ed-lstm-cannonballs/model")
    """Model folder of an ED-LSTM (``python -m world_models.train ed-lstm-cannonballs``); without one its rows
    are left out."""
    data: Path = Path("data/cannonballs-test")
    """Folder of test videos, with one folder per number of balls."""
    learned: Path = Path("data/cannonballs")
    """Folder of training videos, of which mean pictures are made; without one these rows are left out."""
    out: Path = Path("kalman.json")
    """JSON file to write; the figures lie beside it."""
    sequences: PositiveInt = 1000
    """How many videos of every number of balls: the first ones."""
    seen: PositiveInt = 5
    """Frames given before what is generated; as many are given after what is interpolated."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: PositiveInt = 1
    """CPU threads; one per process is fastest when cores are shared."""


def evaluate_kalman(job: KalmanEvaluation, command: str) -> dict[str, Any]:
    """Measure, write ``job.out`` and the figures, and answer what was written.

    Raises:
        CheckpointError: a model is missing or damaged.
        DataError: the test data is missing.
        ValueError: the data does not fit, or there are fewer sequences than asked for.
    """
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    model = Kalman.load(job.model, device)
    baseline = EDLSTM.load(job.baseline, device) if job.baseline.exists() else None
    results, pictured = dict[str, Any](), list[Pictured]()
    for balls in COUNTS:
        videos = read_test_videos(job.data, balls, job.sequences)
        if (frames := videos.frames.shape[1]) < 2 * job.seen + 2:
            raise ValueError(f"videos of {frames} frames are too short for seen = {job.seen}")
        known = (job.learned / str(balls)).is_dir()
        mean = mean_pictures(job.learned, balls, AVERAGED) if known else None
        answers = ask(model, baseline, mean, videos, job.seen)
        results[str(balls)], fitted = measure(model, answers, videos, job.seen)
        pictured.append(Pictured(videos, fitted))
    content = {"protocol": _protocol(job, command, baseline is not None), "results": results}
    written = write_results(job.out, "world_models.evaluate kalman", content, markdown_tables(content))
    draw_figures(model, baseline, pictured, job.seen, job.out)
    return written


def _protocol(job: KalmanEvaluation, command: str, compared: bool) -> dict[str, Any]:
    """How the figures came about."""
    shards = {str(balls): shard_path(job.data / str(balls), 0) for balls in COUNTS}
    return {
        "command": command,
        "model": read_model(job.model).weights_digest,
        "baseline": read_model(job.baseline).weights_digest if compared else None,
        "sequences": job.sequences,
        "seen": job.seen,
        "data": {balls: read_attributes(path) for balls, path in shards.items()},
        "loss": "Bernoulli negative log-likelihood of the frames after those seen, given these alone; nats "
        "per pixel, mean over pixels and frames; predicted shares within 1e-7 of 0 and 1 count as that. "
        "kalman-mean renders the likeliest component's mean positions (the paper), kalman-averaged is how "
        "likely each pixel is white under the same forecast (world_models/kalman/evaluation/averaging.py), "
        "ed-lstm is fed its own pictures, mean-picture is the share of training videos white at pixel and "
        "frame, held-picture the last frame seen, blurred",
        "position": "distance in pixels to the true position (not the noisy one that is drawn), after one "
        "affine map per number of balls, fitted by least squares to the filtered tracks of all frames; a "
        f"track belongs to a ball by the best permutation over the first {job.seen} frames. without_fit: "
        "where the renderer says that positions are. Filtered: every frame from what is seen in it and those "
        "before, which object is which by all frames given; "
        f"generated: from the first {job.seen}; interpolated: from the first and last {job.seen}",
        "interpolated_over_generated": "ratio of the mean errors on the frames that both answer",
        "swaps": "share of sequences in which an inferred track is nearer to another ball than to its own by "
        f"more than {MARGIN:g} px on {RUN} frames in a row",
        "lost_frames": f"share of inferred positions farther than {LOST:g} px from their ball",
        "known_law": "the same figures if the drawn positions of every ball and the true law of motion are "
        "known (world_models/kalman/evaluation/known_law.py): about the best that is possible",
        "intervals": "95 %, over sequences: ± 1.96 standard errors (Wilson's score for shares)",
    }
