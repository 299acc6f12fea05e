from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from planner.search.costs import KeypointDistance, ObjectDistance, Return
from world_models.interface import Future
from world_models.segmenter import ColorSegmenter

RED = ColorSegmenter(color=(1.0, 0.0, 0.0), tolerance=0.3, min_mass=3, max_mass=40, max_radius=4.0)


def painted(mask: np.ndarray) -> Tensor:
    """Red where the mask is set, grey elsewhere; [B 3 H W]."""
    red, grey = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5, 0.5, 0.5])
    chosen = torch.where(torch.tensor(mask)[..., None], red, grey)
    return chosen.movedim(-1, 1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000), share=st.floats(0, 1), height=st.integers(1, 20), width=st.integers(1, 20)
)
def test_blob_equals_brute_force(seed: int, share: float, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((2, height, width)) < share
    blob = RED.blob(painted(mask))
    for row in range(2):
        ys, xs = np.nonzero(mask[row])
        assert blob.mass[row] == len(xs)
        if len(xs) >= RED.min_mass:
            np.testing.assert_allclose(blob.centre[row], [xs.mean(), ys.mean()], atol=1e-5)
            np.testing.assert_allclose(blob.radius[row], np.sqrt(xs.var() + ys.var()), atol=1e-4)
        else:
            assert blob.centre[row].isnan().all()


def test_x_is_right_and_y_is_down() -> None:
    mask = np.zeros((1, 10, 20), dtype=bool)
    mask[0, 2:5, 11:14] = True
    assert RED.blob(painted(mask)).centre.tolist() == [[12.0, 3.0]]


def test_tolerance_is_the_distance_in_rgb() -> None:
    frame = torch.zeros(1, 3, 1, 6)
    frame[0, 0] = torch.tensor([1.0, 0.71, 0.69, 1.0, 1.0, 0.8])
    frame[0, 1] = torch.tensor([0.0, 0.0, 0.0, 0.29, 0.31, 0.2])
    frame[0, 2] = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.2])
    blob = RED.blob(frame)  # the last one is 0.35 away although each channel is within 0.3
    assert (blob.mass.item(), blob.centre[0, 0].item()) == (3, pytest.approx((0 + 1 + 3) / 3))


@pytest.mark.parametrize(
    ("boxes", "whole"),
    [
        ([(2, 2, 5)], True),
        ([(2, 2, 1)], False),  # too few pixels
        ([(2, 2, 7)], False),  # too many
        ([(1, 1, 3), (20, 20, 3)], False),  # two objects
        ([], False),
    ],
)
def test_whole_is_exactly_one_object(boxes: list[tuple[int, int, int]], whole: bool) -> None:
    mask = np.zeros((1, 32, 32), dtype=bool)
    for x, y, size in boxes:
        mask[0, y : y + size, x : x + size] = True
    assert RED.whole(painted(mask)).tolist() == [whole]


def test_a_frame_gets_the_same_bits_in_any_batch() -> None:
    frames = torch.rand(9, 3, 70, 50, generator=torch.Generator().manual_seed(0))
    segmenter = RED.model_copy(update={"tolerance": 0.8})
    together = segmenter.blob(frames)
    for row in range(9):
        alone = segmenter.blob(frames[row : row + 1])
        assert torch.equal(alone.centre[0], together.centre[row])
        assert torch.equal(alone.radius[0], together.radius[row])


def test_segmenting_leaves_the_frames_alone() -> None:
    frames = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = frames.clone()
    RED.blob(frames)
    assert torch.equal(frames, before)


@pytest.mark.parametrize(
    "change",
    [
        {"color": (0, 0, 255)},
        {"tolerance": 0},
        {"min_mass": 0},
        {"max_mass": 2},
        {"max_radius": 0},
        {"kind": 1},
    ],
)
def test_segmenter_rejects(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ColorSegmenter.model_validate({**RED.model_dump(), **change})


@pytest.mark.usefixtures("unchecked")
def test_frames_must_be_rgb() -> None:
    with pytest.raises(ValueError, match=r"RGB .* got \[1, 1, 8, 8\]"):
        RED.blob(torch.zeros(1, 1, 8, 8))


def test_cost_is_the_pixel_distance_of_the_last_step() -> None:
    cost = ObjectDistance(RED, lambda features: features)
    features = torch.tensor([[[9.0, 9.0], [3.0, 4.0]], [[0.0, 0.0], [torch.nan, 1.0]]])
    future = Future(features, torch.ones(2, 2))
    assert cost(future, torch.zeros(2, 2, 1), torch.zeros(2, 2)).tolist() == [5.0, torch.inf]


def test_target_is_the_object_in_the_goal(
    toy_picture: Callable[..., Tensor], toy_segmenter: ColorSegmenter
) -> None:
    cost = ObjectDistance(toy_segmenter, lambda features: features)
    target = cost.target(toy_picture((20.0, 31.0), (40.5, 9.0)))
    torch.testing.assert_close(target, torch.tensor([[20.0, 31.0], [40.5, 9.0]]), atol=0.2, rtol=0)


def test_a_goal_without_the_object_is_refused(
    toy_picture: Callable[..., Tensor], toy_segmenter: ColorSegmenter
) -> None:
    cost = ObjectDistance(toy_segmenter, lambda features: features)
    with pytest.raises(ValueError, match=r"no object of colour .* 0 matching pixels, at least 12 needed"):
        cost.target(toy_picture((20.0, 31.0), (-50.0, -50.0)))


def test_return_is_the_sum_of_the_first_feature() -> None:
    cost, features = Return(), torch.tensor([[[1.0, 9.0], [2.0, 9.0]], [[-4.0, 9.0], [0.5, 9.0]]])
    target = cost.target(torch.zeros(2, 3, 8, 8))
    assert cost(Future(features, torch.ones(2, 2)), torch.zeros(2, 2, 1), target).tolist() == [-3.0, 3.5]


def test_keypoints_count_by_scale_and_weight() -> None:
    goal = torch.tensor([[0.0, 0.0, 1.0, 0.5, 0.5, 0.5, -1.0, 1.0, 0.0]])
    last = torch.tensor([[0.3, 0.4, 0.2, 0.5, 0.7, 1.0, 1.0, -1.0, 1.0]])
    future = Future(torch.stack([goal, last], 1), torch.tensor([[1.0, 2.0]]))

    def cost(**settings: Tensor) -> float:
        distance = KeypointDistance(lambda frames: goal, **settings)
        return float(distance(future, torch.zeros(1, 2, 1), distance.target(torch.zeros(1, 3, 8, 8))))

    assert cost() == pytest.approx((0.25 + 0.5 * 0.04) / 1.5)
    assert cost(weights=torch.tensor([0.0, 1.0, 1.0])) == pytest.approx(0.04)
    with pytest.raises(ValueError, match="not be negative"):
        cost(weights=torch.tensor([1.0, -1.0, 0.0]))
