"""A search asks nothing of its device while it goes on: the meta device, which computes nothing, will do."""

import pytest
import torch
from torch import Tensor

from planner.goals import place_cost
from planner.search.cem import CemConfig, Search
from planner.search.rollout import Pricing, chunk_size, drive
from world_models.interface import Context, Future
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.keyin.reader.network import PlaceReader
from world_models.segmenter import PUCK_GOAL

CONFIGS = {
    "plain": CemConfig(candidates=6, iterations=3),
    "smooth": CemConfig(candidates=6, iterations=3, noise_exponent=2.0, kept_fraction=0.5, bound=1.0),
    "mean": CemConfig(candidates=6, iterations=3, mean_candidate=True, best_ever=False),
    "path integral": CemConfig(candidates=6, iterations=3, temperature=0.1),
}


def search_on_meta(config: CemConfig, cost) -> Tensor:
    """A search over the keyframes of a KeyIn that has no weights; answers what it ends with."""
    model = KeyIn(KEYIN_DEBUG.model).to("meta")
    size, sides = model.config.image_size, model.decision_dim
    frames = torch.empty(1, model.config.context, 3, size, size, device="meta")
    state = model.encode(Context(frames, torch.empty(1, model.config.context - 1, 0, device="meta")))
    pricing = Pricing(model, state, cost, torch.empty(1, 2, device="meta"), config.candidates)
    mean = torch.zeros(1, model.config.keyframes, sides, device="meta")
    search = Search(mean, torch.ones_like(mean), config, [torch.Generator().manual_seed(0)])
    for _ in range(config.iterations):
        step = search.tell(drive(pricing.ask(search.ask())))
    return step.best


def reading():
    """The cost of plans of models that have a reader."""
    reader = PlaceReader(KEYIN_DEBUG.model.embedding, 8, 1, KEYIN_DEBUG.model.image_size).to("meta")
    return place_cost(PUCK_GOAL, reader.locate)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_iteration_waits_for_the_device(name):
    best = search_on_meta(CONFIGS[name], reading())
    assert best.device.type == "meta" and best.shape[0] == 1


def test_a_cost_that_waits_is_found_out():
    class Waits:
        def target(self, goal):
            return goal

        def __call__(self, future: Future, decisions, target) -> Tensor:
            distance = (future.features[:, -1] ** 2).sum(-1)
            return distance / distance.max().item()

    with pytest.raises((RuntimeError, NotImplementedError), match=r"[Mm]eta"):
        search_on_meta(CONFIGS["plain"], Waits())


@pytest.mark.parametrize(
    ("candidates", "device", "chunk"),
    [(200, "cpu", 200), (300, "cpu", 150), (513, "cpu", 171), (300, "meta", 300), (20_000, "meta", 6667)],
)
def test_how_many_are_imagined_at_once_is_up_to_the_device(candidates, device, chunk):
    assert chunk_size(candidates, torch.device(device)) == chunk
