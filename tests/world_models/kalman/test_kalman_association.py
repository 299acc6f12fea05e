"""Who is where, settled for whole sequences: judged by brute force, and by drawn discs."""

from itertools import permutations, product

import pytest
import torch

from world_models.kalman.inference.association import associate
from world_models.kalman.inference.rereading import Atlas, settle
from world_models.kalman.lgssm.dynamics import NewtonianDynamics
from world_models.kalman.lgssm.filter import log_likelihood

SIZE = 16


@pytest.fixture(scope="module")
def law():
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        motion = NewtonianDynamics(components=2, scale=1.0)
    with torch.no_grad():
        motion.log_period.zero_()
        motion.observation.copy_(torch.tensor([0.05, 0.05]).log().diag())
    return motion.requires_grad_(False)()


def crossing(steps=4):
    """Two objects that fly through each other, ``[1, 2, T, 2]``."""
    way = torch.linspace(-0.5, 0.5, steps)
    return torch.stack([torch.stack([way, 0.1 * way], -1), torch.stack([-way, 0.2 + 0 * way], -1)])[None]


def test_the_likeliest_of_all_assignments_is_found(law):
    """Every order at every step is tried."""
    places = crossing() + 0.03 * torch.randn(3, 2, 4, 2, generator=torch.Generator().manual_seed(1))
    found = associate(law, places)
    likeliest = torch.full((3,), -torch.inf)
    for orders in product(permutations(range(2)), repeat=4):
        tried = torch.stack([places[:, order, step] for step, order in enumerate(orders)], dim=2)
        likeliest = likeliest.maximum(log_likelihood(law, tried).sum(dim=1))
    torch.testing.assert_close(found.log_likelihood, likeliest, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(log_likelihood(law, found.places).sum(dim=1), likeliest, rtol=1e-4, atol=1e-3)


def test_exchanged_tracks_are_put_right(law):
    true = crossing(steps=8)
    exchanged = true.clone()
    exchanged[:, :, 4:] = true[:, [1, 0], 4:]
    assert torch.equal(associate(law, exchanged).places, true)


def test_a_gap_is_bridged_and_its_places_count_for_nothing(law):
    true = crossing(steps=8)
    observed = (True, True, True, False, False, True, True, True)
    hidden = true.clone()
    hidden[:, :, 3:5] = torch.nan
    hidden[:, :, 5:] = true[:, [1, 0], 5:]
    found = associate(law, hidden, observed)
    kept = torch.tensor(observed)
    torch.testing.assert_close(found.places[:, :, kept], true[:, :, kept])


@pytest.fixture(scope="module")
def atlas():
    """Discs at every whole pixel; latent places are 1 at the picture's edges."""
    pixels = torch.cartesian_prod(torch.arange(float(SIZE)), torch.arange(float(SIZE))).flip(-1)
    apart = (pixels[:, None] - pixels[None]).square().sum(dim=-1)
    return Atlas(pixels / (SIZE - 1) * 2.0 - 1.0, (apart <= 4.0).float())


def pictures(atlas, places):
    cells = torch.cdist(places.flatten(0, -2), atlas.places).argmin(dim=-1).unflatten(0, places.shape[:-1])
    return atlas.covered[cells].amax(dim=1).unflatten(-1, (1, SIZE, SIZE))


def test_an_object_that_was_lost_is_found_again(law, atlas):
    """Both tracks follow one object from the middle on: the other explains nothing, and is looked for."""
    true = crossing(steps=8)
    lost = true.clone()
    lost[:, 1, 4:] = true[:, 0, 4:]
    found = settle(law, atlas, pictures(atlas, true), lost)
    assert (found - true).norm(dim=-1).max() < 0.1 < (lost - true).norm(dim=-1).max()


def test_rows_are_settled_alone_and_one_object_is_left_alone(law, atlas):
    true = crossing(steps=6)
    noisy = true + 0.05 * torch.randn(25, 2, 6, 2, generator=torch.Generator().manual_seed(2))
    frames = pictures(atlas, noisy)
    both = settle(law, atlas, frames, noisy)
    torch.testing.assert_close(both[3:4], settle(law, atlas, frames[3:4], noisy[3:4]))
    assert torch.equal(settle(law, atlas, frames, noisy[:, :1]), noisy[:, :1])
