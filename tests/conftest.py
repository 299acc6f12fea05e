"""A toy world that drives planner and server tests without weights, and processes that start at once."""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import Float, Int
from torch import Tensor

from planner.search.costs import ObjectDistance
from planner.search.hierarchy import HierarchyConfig, Planner
from world_models.interface import Context, Future
from world_models.segmenter import ColorSegmenter

# How long an example takes is no finding: the machine may be busy with other things.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

MAGENTA = (0.80, 0.12, 0.75)
BROWN = (0.45, 0.30, 0.18)


@dataclass(frozen=True)
class PointState:
    """Where the puck is, in pixels (x right, y down)."""

    position: Float[Tensor, "B 2"]


class PointMass:
    """A puck on an empty table: a decision moves it by ``speed`` pixels times itself.

    Features are positions in pixels. Everything is elementwise, so rows never influence each other.
    """

    decision_dim = 2

    def __init__(self, segmenter: ColorSegmenter, speed: float = 8.0, size: int = 64, radius: float = 3.2):
        self.segmenter = segmenter
        self.speed = speed
        self.size = size
        self.radius = radius

    def encode(self, context: Context) -> PointState:
        return PointState(self.embed(context.frames[:, -1]))

    def imagine(self, state: PointState, decisions: Float[Tensor, "B L D"]) -> Future:
        path = state.position[:, None] + self.speed * decisions.cumsum(dim=1)
        times = torch.arange(1.0, decisions.shape[1] + 1).expand(decisions.shape[:2])
        return Future(path, times)

    def embed(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2"]:
        return self.segmenter.blob(frames).centre

    def decode(self, features: Float[Tensor, "B 2"]) -> Float[Tensor, "B C H W"]:
        """A magenta disc with a soft edge on brown; partly or fully outside where the puck is."""
        pixel = torch.arange(float(self.size))
        x, y = features[:, 0, None, None], features[:, 1, None, None]
        distance = ((pixel - x).square() + (pixel[:, None] - y).square()).sqrt()
        cover = (self.radius + 0.5 - distance).clamp(0, 1)[:, None]
        puck, table = (torch.tensor(color)[:, None, None] for color in (MAGENTA, BROWN))
        return table + cover * (puck - table)


class CountingMass(PointMass):
    """... that needs a keyframe for every ten pixels of the way, and one more to be surer than 95 %."""

    def needed(self, state: PointState, target: Float[Tensor, "B 2"], confidence: float) -> Int[Tensor, " B"]:
        distance = (target - state.position).norm(dim=-1)
        return (distance / 10).ceil().long().clamp(1, 6) + int(confidence > 0.95)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may hand over what annotations forbid, to see what our own code says of it."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def toy_segmenter() -> ColorSegmenter:
    """Finds the toy puck (about 32 pixels), and enough of a real one that the arm half hides."""
    return ColorSegmenter(color=MAGENTA, tolerance=0.25, min_mass=12, max_mass=52, max_radius=3.2)


@pytest.fixture
def point_mass(toy_segmenter: ColorSegmenter) -> PointMass:
    """The toy world."""
    return PointMass(toy_segmenter)


@pytest.fixture
def toy_picture(point_mass: PointMass) -> Callable[..., Float[Tensor, "B C H W"]]:
    """``toy_picture((x, y), ...)``: one picture per puck position, 64x64."""

    def picture(*positions: tuple[float, float]) -> Float[Tensor, "B C H W"]:
        return point_mass.decode(torch.tensor(positions, dtype=torch.float32))

    return picture


@pytest.fixture
def toy_context(toy_picture: Callable[..., Tensor]) -> Callable[..., Context]:
    """``toy_context((x, y), ...)``: one still picture per row, no actions."""

    def context(*positions: tuple[float, float]) -> Context:
        return Context(toy_picture(*positions)[:, None], torch.zeros(len(positions), 0, 2))

    return context


@pytest.fixture
def make_toy_planner(point_mass: PointMass) -> Callable[..., Planner]:
    """``make_toy_planner(**settings)``: a planner on the toy world with those HierarchyConfig settings."""

    def make(**settings: object) -> Planner:
        segmenter = point_mass.segmenter
        cost = ObjectDistance(segmenter, lambda features: segmenter.blob(point_mass.decode(features)).centre)
        return Planner(point_mass, cost, HierarchyConfig(**settings), segmenter.whole)

    return make


@pytest.fixture
def counting_planner(point_mass: PointMass) -> Planner:
    """A planner of up to six keyframes on the toy world."""
    segmenter = point_mass.segmenter
    model = CountingMass(segmenter)
    cost = ObjectDistance(segmenter, lambda features: segmenter.blob(model.decode(features)).centre)
    return Planner(model, cost, HierarchyConfig(), segmenter.whole, fewest=1)


@pytest.fixture
def toy_planner(make_toy_planner: Callable[..., Planner]) -> Planner:
    """A ready planner with the default settings on the toy world."""
    return make_toy_planner()


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Child processes that have imported what a server needs; there can be one such context only."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "prometheus_client.parser", "server.__main__"])
    return context


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done one after the other in this process, which knows what a test has put in place."""

    def run(work, jobs, receive, *, workers, start=None, arguments=(), ray=None, device="cpu"):
        if start is not None:
            start(*arguments)
        for job in jobs:
            receive(job, work(*job))

    for module in ("envs.collect", "planner.collect", "planner.evaluation.journal", "world_models.train"):
        monkeypatch.setattr(f"{module}.run_jobs", run)
