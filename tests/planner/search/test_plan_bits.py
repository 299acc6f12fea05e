"""Shipped planners answer the same plan for the same seed, and their pictures are those of its features."""

import pytest
import torch

from planner.loading import load_planner
from planner.search.hierarchy import HierarchyConfig
from world_models.interface import Context


@pytest.mark.parametrize("name", ["keyin-push", "jumpy-push", "surprise-push"])
def test_equal_seeds_give_equal_plans(name):
    ready = load_planner(name, hierarchy=HierarchyConfig(shortlist=5))
    color = torch.tensor(ready.segmenter.color)[:, None, None]
    start, goal = torch.full((2, 1, 3, 64, 64), 0.4)
    start[0, :, 20:25, 20:25] = goal[0, :, 40:45, 40:45] = color
    plans = [
        ready.planner.plan(
            Context(start[:, None], torch.zeros(1, 0, 2)),
            goal,
            [torch.Generator().manual_seed(seed)],
            candidates=20,
        )
        for seed in (4, 4, 5)
    ]
    for field in ("subgoals", "times", "cost", "history", "decisions", "whole", "features"):
        assert torch.equal(getattr(plans[0], field), getattr(plans[1], field))
    assert not torch.equal(plans[0].decisions, plans[2].decisions)
    assert torch.equal(ready.planner.model.decode(plans[0].features[0]), plans[0].subgoals[0])
