"""Readers: they learn where things are from pictures that a model would decode."""

import pytest
import torch

from world_models.checkpoint import READER, CheckpointError, read_model, write_model, write_reader
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import KEYIN_BROWNIAN, KEYIN_DEBUG
from world_models.keyin.reader.network import PlaceReader, load_reader
from world_models.keyin.reader.training import ReaderStage, draw_lessons, measure_reader, train_reader
from world_models.keyin.recipe import KeyInRecipe
from world_models.training.run import Session

STAGE = ReaderStage(steps=500, batch=64, learning_rate=5e-3, width=32, keyframes=1000)
MAGENTA = torch.tensor([0.93, 0.14, 0.87])[:, None, None]


class Painter(KeyIn):
    """Two numbers of an embedding say where a square of 4 x 4 pixels is, a third one whether it is there."""

    def __init__(self):
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(torch.Generator().manual_seed(1).get_state())
            super().__init__(KEYIN_DEBUG.model)

    def decode(self, features):
        pictures = torch.zeros(len(features), 3, 16, 16)
        for picture, (x, y, there, *_) in zip(pictures, features.tolist(), strict=True):
            left, top = (min(12, max(0, round(6 + 4 * value))) for value in (x, y))
            if there < 1:
                picture[:, top : top + 4, left : left + 4] = MAGENTA
        return pictures


def embeddings(seed):
    drawn = torch.randn(40, KEYIN_DEBUG.model.frames + 1, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.layer_norm(drawn, (8,))


@pytest.fixture(scope="module")
def model():
    return Painter().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def reader(model, tmp_path_factory):
    session = Session(tmp_path_factory.mktemp("run"), 0, torch.device("cpu"))
    return train_reader(model, embeddings(0), STAGE, session)


def test_it_learns_where_pictures_would_show_things_and_whether_they_do(model, reader):
    figures = measure_reader(reader, model, embeddings(1), STAGE, 0)
    assert figures["median"] < 0.8 and figures["p90"] < 2.0
    assert figures["there"] > 0.9
    lessons = draw_lessons(model, embeddings(1), 200, 1.0, torch.Generator().manual_seed(5))
    shown = lessons.places.isfinite().all(-1)[:, 0]
    assert 0 < shown.float().mean() < 1
    assert (reader.locate(lessons.embeddings).isfinite().all(-1) == shown).float().mean() > 0.9


def test_lessons_are_keyframes_that_the_model_imagines_and_depend_on_the_seed_alone(model):
    first, again, other = (
        draw_lessons(model, embeddings(0), 30, 1.5, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.embeddings, again.embeddings) and len(first.embeddings) == 30
    assert not torch.equal(first.embeddings, other.embeddings)
    assert torch.allclose(
        first.embeddings.mean(-1), torch.zeros(30), atol=1e-5
    )  # normalised, as embeddings are


def test_a_reader_lies_beside_the_weights(model, reader, tmp_path):
    folder = tmp_path / "model"
    write_model(folder, model.config, model, "# Card\n")
    before = read_model(folder)
    assert load_reader(before, 16, "cpu") is None
    write_reader(folder, reader.state_dict())
    stored = read_model(folder)
    assert (stored.weights_digest, stored.card) == (before.weights_digest, before.card)
    again = load_reader(stored, 16, "cpu")
    seen = embeddings(2)[0]
    assert torch.allclose(again(seen)[0], reader(seen)[0], atol=0.05)  # rounded to half precision
    write_reader(folder, {"other": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=f"{READER} is none: no weights of a reader"):
        load_reader(read_model(folder), 16, "cpu")


def test_several_objects_are_read_in_turn():
    reader = PlaceReader(8, 16, 2, 64)
    places = reader.locate(embeddings(0)[0])
    assert places.shape == (KEYIN_DEBUG.model.frames + 1, 4)
    found, there = reader(embeddings(0)[0])
    assert torch.equal(places[:, 2:].isnan().all(-1), there[:, 1] < 0)
    assert found.shape[1:] == (2, 2)


def test_there_is_nothing_to_read_without_a_goal(tmp_path):
    stage = ReaderStage(steps=1, batch=1)
    with pytest.raises(ValueError, match="reader is None for a model without a goal"):
        KeyInRecipe.model_validate(KEYIN_BROWNIAN.model_dump() | {"reader": stage})
    aimless = KeyIn(KEYIN_DEBUG.model.model_copy(update={"goal": None}))
    with pytest.raises(ValueError, match="has no goal"):
        train_reader(aimless, embeddings(0), stage, Session(tmp_path, 0, torch.device("cpu")))
