from itertools import combinations, pairwise

import pytest
import torch

from world_models.keyin.discovery.chords import chord_distances, fill_gaps
from world_models.keyin.discovery.segmentation import follow, onward_offsets
from world_models.keyin.discovery.teaching import first_of_most, keyframes_needed

NAN = torch.nan
CORNER = torch.tensor([[0.0, 0], [3, 0], [6, 0], [6, 0], [6, 4], [6, 8]])[None]
"""Along x, a rest, along y."""


def test_distances_from_the_chord_by_hand():
    squares, largest = chord_distances(CORNER, 5)
    assert squares[0, 0, 1] == largest[0, 0, 1] == 0  # straight along x
    assert squares[0, 2, 2] == 0  # a rest and straight along y
    distance = 6 * 8 / 10  # of the corner from the chord (0, 0) to (6, 8)
    between = [3 * 8 / 10, distance, distance, 4 * 6 / 10]
    moved = [3, 6, 3, 4, 8, 4]  # before and after each frame, of 28 in all
    costs = [6 * move / 28 * d * d for move, d in zip(moved[1:5], between, strict=True)]
    assert squares[0, 0, 4].item() == pytest.approx(sum(costs), rel=1e-5)
    assert largest[0, 0, 4].item() == pytest.approx(distance, rel=1e-5)
    assert squares[0, 3, 2].isinf() and largest[0, 4, 1].isinf()


def test_the_tempo_does_not_matter():
    way = torch.tensor([[0.0, 0], [2, 0], [4, 1], [6, 4], [6, 7]])
    slow = way.repeat_interleave(torch.tensor([1, 1, 6, 1, 2]), dim=0)
    squares, rested = chord_distances(way[None], 4)[0], chord_distances(slow[None], 10)[0]
    share = len(slow) / len(way)  # costs are in frames of the mean motion
    assert rested[0, 0, 9].item() == pytest.approx(share * squares[0, 0, 3].item(), rel=1e-4)
    times = [
        follow(onward_offsets(costs, 2), torch.tensor([0]), torch.tensor([2]))[0, 0].item()
        for costs in (squares, rested)
    ]
    assert torch.equal(way[times[0]], slow[times[1]])


def test_several_objects_move_along_one_line():
    one, other = torch.linspace(0, 8, 5)[:, None], torch.tensor([[0.0], [0], [0], [4], [8]])
    apart = sum(chord_distances(torch.cat([x, 0 * x], 1)[None], 4)[0][0, 0, 3] for x in (one, other))
    together = chord_distances(torch.cat([one, 0 * one, other, 0 * other], 1)[None], 4)[0][0, 0, 3]
    assert apart == 0 and together > 10


def test_time_along_the_chord_does_not_count_but_overshooting_does():
    late = torch.tensor([[0.0, 0], [0, 0], [0, 0], [9, 0]])[None]
    assert chord_distances(late, 3)[0][0, 0, 2] == 0
    beyond = torch.tensor([[0.0, 0], [5, 0], [3, 0]])[None]
    assert chord_distances(beyond, 2)[0][0, 0, 1] == pytest.approx(4 * 7 / (14 / 3))


def test_places_that_were_not_seen_are_between_their_neighbours():
    places = torch.tensor([[NAN, NAN], [1.0, 2], [NAN, NAN], [NAN, NAN], [7, 2], [NAN, NAN]])[None]
    filled = fill_gaps(torch.cat([places, torch.full_like(places, NAN)]))
    assert filled[0, :, 0].tolist() == [1, 1, 3, 5, 7, 7]
    assert (filled[0, :, 1] == 2).all()
    assert not filled[1].any()


@pytest.mark.parametrize(("frames", "keyframes", "size"), [(6, 3, 6), (7, 4, 3), (3, 4, 3)])
def test_ways_on_equal_the_enumeration_from_every_frame(frames, keyframes, size):
    rng = torch.Generator().manual_seed(frames)
    costs = torch.rand(4, frames, size, generator=rng)
    onward = onward_offsets(costs, keyframes)
    for row in range(4):
        for start in range(frames):
            for count in range(1, keyframes + 1):
                ways = []
                for cut in combinations(range(start + 1, frames), count - 1):
                    times = [start, *cut, frames]
                    steps = [b - a for a, b in pairwise(times)]
                    if max(steps) <= size:
                        cost = sum(costs[row, a, d - 1].item() for a, d in zip(times, steps, strict=False))
                        ways.append((cost, steps))
                found = follow(onward[row : row + 1], torch.tensor([start]), torch.tensor([count]))[0]
                expected = min(ways)[1] if ways else []
                assert [step for step in found.tolist() if step][: len(expected)] == expected
                assert bool(onward[row, count - 1, start]) == bool(ways)


def test_the_corner_needs_two_keyframes_and_a_straight_rest_one():
    squares, _ = chord_distances(CORNER, 5)
    onward = onward_offsets(squares, 3)
    both = follow(onward, torch.tensor([0]), torch.tensor([2]))[0].tolist()
    assert both[0] in (2, 3) and sum(both) == 5 and both[2] == 0
    needed = keyframes_needed(CORNER, onward, straight=0.5)[0]
    assert needed.tolist() == [2, 2, 1, 1, 1]
    assert keyframes_needed(CORNER, onward, straight=5.0)[0].tolist() == [1] * 5


def test_constant_times_may_need_more_keyframes_than_the_best():
    every_third = torch.zeros(1, 3, 5, dtype=torch.long)
    every_third[0, 0] = torch.tensor([5, 4, 3, 2, 1])
    every_third[0, 1] = torch.tensor([1, 1, 1, 1, 0])
    needed = keyframes_needed(CORNER, every_third, straight=0.5)[0]
    assert needed[0] == 3  # M, as two are not enough at these times


def test_the_largest_marks_are_the_times():
    marks = torch.tensor([[9.0, 1, 5, 3, 4]])
    onward = first_of_most(marks, 3)
    times = follow(onward, torch.tensor([0]), torch.tensor([3]))[0].cumsum(-1).tolist()
    assert times == [2, 4, 5]
    assert follow(onward, torch.tensor([3]), torch.tensor([2]))[0].tolist() == [1, 1, 0]
    assert onward[0, 2, 4] == 0  # three segments do not fit into one frame
