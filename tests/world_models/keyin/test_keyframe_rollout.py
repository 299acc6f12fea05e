"""The roll-out for many candidates says what the predictor says, in other operations."""

import pytest
import torch

from world_models.keyin import rollout
from world_models.keyin.config import KeyInConfig
from world_models.keyin.model import KeyIn, KeyInState

SMALL = KeyInConfig(
    frames=6,
    keyframes=3,
    max_offset=3,
    longest_segment=4,
    image_size=16,
    widths=(4, 8),
    keypoints=4,
    blobs=4,
    embedding=8,
    latent=2,
    hidden=8,
    dense=16,
)


@pytest.fixture(params=[{}, {"countdown": True}, {"prior": "standard"}])
def model(request, monkeypatch):
    monkeypatch.setattr(rollout, "is_reduced", lambda device: False)
    generator = torch.Generator().manual_seed(0)
    made = KeyIn(SMALL.model_copy(update=request.param)).eval()
    for weights in made.predictor.parameters():
        torch.nn.init.normal_(weights, std=0.5, generator=generator)
    return made.requires_grad_(False)


def drawn(count=5):
    generator = torch.Generator().manual_seed(1)
    state = KeyInState(*(torch.randn(count, *shape, generator=generator) for shape in ((8,), (2, 8), (2, 8))))
    return state, torch.randn(count, 3, 2, generator=generator)


def imagined(model, state, decisions):
    with torch.no_grad():
        return model.imagine(state, decisions)


def predicted(model, state, decisions):
    lstm = (state.hidden.transpose(0, 1).contiguous(), state.cell.transpose(0, 1).contiguous())
    embeddings, logits = model.predictor.sample(lstm, state.embedding, decisions)
    return embeddings, (logits.argmax(-1) + 1).cumsum(-1).float()


@pytest.mark.parametrize("length", [1, 3])
def test_it_is_the_predictors_answer(model, length):
    state, decisions = drawn()
    found = imagined(model, state, decisions[:, :length])
    embeddings, times = predicted(model, state, decisions[:, :length])
    torch.testing.assert_close(found.features, embeddings)
    assert torch.equal(found.times, times)
    assert float((embeddings[1:] - embeddings[:-1]).abs().mean()) > 0.1  # rows are told apart


def test_other_weights_are_noticed(model):
    state, decisions = drawn()
    before = imagined(model, state, decisions).features
    with torch.no_grad():
        model.predictor.change[0].weight.mul_(-1.0)
    after = imagined(model, state, decisions).features
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, predicted(model, state, decisions)[0])


def test_gradients_pass_when_they_are_wanted(model):
    state, decisions = drawn()
    decisions.requires_grad_()
    model.imagine(state, decisions).features.sum().backward()
    assert decisions.grad is not None
