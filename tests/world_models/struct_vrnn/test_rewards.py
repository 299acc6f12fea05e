"""Reward heads on tiny models that were never trained, and the table of their errors."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from world_models import evaluate, train
from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.files import save_array
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.rewards import training
from world_models.struct_vrnn.rewards.data import Labels, cached_features, recurrent_states
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig, load_heads
from world_models.struct_vrnn.rewards.recipe import RewardRecipe, RewardRun
from world_models.struct_vrnn.rewards.run import train_rewards
from world_models.struct_vrnn.rewards.table import (
    RewardEvaluation,
    evaluate_rewards,
    find_runs,
)
from world_models.struct_vrnn.rewards.training import train_head
from world_models.struct_vrnn.sequences import open_tasks
from world_models.training.run import Session

TASKS = ("cart", "walker")
RECIPE = DEBUG.model_copy(
    update={"held_out": 40, "model": DEBUG.model.model_copy(update={"tasks": TASKS, "stochastic": False})}
)
HEAD = RewardRecipe(steps=3, batch=8, observed=3, tested=15, width=6)
CONFIG = RewardHeadConfig(task="cart", actions=1, hidden_size=5, width=16)
CPU = torch.device("cpu")


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_head(config=CONFIG):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        head = RewardHead(config)
    head.set_scales(3.0 + 2.0 * draw(20, 4, config.hidden_size), 0.5 + draw(20, 4, seed=2))
    return head.eval().requires_grad_(False)


def write_data(folder, rewarded=True):
    """Fifty sequences per task; the first feature of a sequence, its third and its reward are one number."""
    for index, task in enumerate(TASKS):
        value = draw(50, 6, seed=index).cumsum(1).numpy()
        states = np.stack([value, *np.random.default_rng(0).normal(size=(4, 50, 6))], -1).astype(np.float32)
        sequences = Sequences(
            np.zeros((50, 6, 16, 16, 3), np.uint8),
            draw(50, 5, index + 1, seed=3).numpy(),
            np.zeros((50, 6), bool),
            states,
            0.1 * value if rewarded else None,
        )
        write_shard(shard_path(folder / task, 0), sequences, {"observation": 3, "bodies": "tip"})
    return folder


def write_run(folder, data, seed=0, recipe=RECIPE):
    session = Session(folder, seed, CPU)
    with session.initial_weights():
        write_model(folder / "model", recipe.model, StructVRNN(recipe.model), "")
    (folder / "run.json").write_text(json.dumps({"seed": seed, "recipe": recipe.model_dump(mode="json")}))
    for index, task in enumerate(TASKS):
        features = draw(50, 6, 12, seed=10)
        features[..., 0] = draw(50, 6, seed=index).cumsum(1)
        save_array(folder / "features" / f"{task}.npy", features.numpy())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def run(data, tmp_path):
    return write_run(tmp_path / "runs" / "struct-vrnn-dmc-0", data)


def test_a_head_learns_rewards(tmp_path):
    states = draw(300, 4, 5)
    rewards = 7.0 + 0.02 * torch.tanh(states[..., 0].cumsum(1))
    labels = Labels(states[:, :3], rewards, states, 250)
    recipe = RewardRecipe(steps=80, batch=32, learning_rate=2e-2)
    head = train_head(states, labels, CONFIG, recipe, Session(tmp_path, 0, CPU))
    result = training.measure(head, states, labels)
    assert result["n"] == 50
    assert result["head"]["mse"] < 0.2 * result["null"]["mse"]
    null = (rewards[250:] - rewards[:250].mean()).square()
    assert result["null"]["mse"] == pytest.approx(float(null.mean()))
    assert result["null"]["per_step"] == pytest.approx(null.mean(0).tolist())
    assert result["null"]["se"] == pytest.approx(float((null / null.mean(0)).mean(1).std() / 50**0.5))
    curve = np.array(result["head"]["per_step"]) / result["null"]["per_step"]
    assert result["head"]["over_null"] == pytest.approx(curve.mean())


def test_of_all_states_the_best_on_unlearned_sequences_is_kept(tmp_path, monkeypatch):
    def unlearn(name, head, loss, recipe, session):
        loss(0, torch.Generator())
        head.last.bias.data += 10.0
        (session.folder / f"{name}.safetensors").touch()

    monkeypatch.setattr(training, "fit", unlearn)
    states, session = draw(40, 4, 5), Session(tmp_path, 0, CPU)
    head = train_head(states, Labels(states[:, 1:], states[..., 0], states, 30), CONFIG, HEAD, session)
    with session.initial_weights():
        assert torch.equal(head.last.bias, RewardHead(CONFIG).last.bias)


def test_candidates_go_on_from_a_common_context():
    head, context, futures = make_head(), draw(2, 3, 5), draw(8, 4, 5, seed=2)
    seen, memory = head(context)
    ahead, _ = head(futures, memory.repeat_interleave(4, 0))
    whole, _ = head(torch.cat([context.repeat_interleave(4, 0), futures], 1))
    torch.testing.assert_close(torch.cat([seen.repeat_interleave(4, 0), ahead], 1), whole)
    assert not torch.allclose(head(futures)[0], ahead)


def test_rows_are_independent_and_time_runs_forward():
    head, states = make_head(), draw(3, 4, 5)
    rewards, memory = head(states)
    alone, own = head(states[1:2])
    torch.testing.assert_close(alone[0], rewards[1])
    torch.testing.assert_close(own[0], memory[1])
    later = states.clone()
    later[:, 2] += 1.0
    changed = (head(later)[0] != rewards).any(0)
    assert changed.tolist() == [False, False, True, True]


def test_a_stored_head_is_the_same(tmp_path):
    head = make_head()
    write_model(tmp_path / "cart", CONFIG, head, "")
    stored = RewardHead.load(tmp_path / "cart")
    for name, values in head.named_buffers():
        assert torch.equal(values, dict(stored.named_buffers())[name])
    torch.testing.assert_close(stored(draw(2, 4, 5))[0], head(draw(2, 4, 5))[0], rtol=0.0, atol=2e-3)


def test_heads_belong_to_one_world_model(tmp_path):
    with pytest.raises(CheckpointError, match="no reward heads"):
        load_heads(tmp_path, "abc")
    config = CONFIG.model_copy(update={"world_model": "abc"})
    write_model(tmp_path / "cart", config, make_head(config), "")
    (tmp_path / "walker.tmp").mkdir()
    (tmp_path / "walker.tmp" / "config.json").write_text("{")
    assert [*load_heads(tmp_path, "abc")] == ["cart"]
    with pytest.raises(CheckpointError, match=r"weights 'abc', not 'xyz'.*train rewards"):
        load_heads(tmp_path, "xyz")


@pytest.mark.parametrize("stochastic", [True, False])
def test_imagined_states_know_actions_but_not_the_future(stochastic):
    model = StructVRNN(RECIPE.model.model_copy(update={"stochastic": stochastic})).eval()
    features, actions = draw(3, 6, 12), draw(3, 5, 2)
    states = recurrent_states(model, features, actions, 3)
    assert states.shape == (3, 6, 8 + 12) and not states.requires_grad
    hidden = features.clone()
    hidden[:, 3:] += 1.0
    assert torch.equal(recurrent_states(model, hidden, actions, 3), states)
    last = features.clone()
    last[:, 2] += 1.0
    changed = (recurrent_states(model, last, actions, 3) != states).any(2).any(0)
    assert changed.tolist() == [False, False, True, True, True, True]
    for step in (1, 3):  # an action that leads to a seen frame, and one to an imagined frame
        other = actions.clone()
        other[:, step] += 1.0
        changed = (recurrent_states(model, features, other, 3) != states).any(2).any(0)
        assert changed.tolist() == [t > step for t in range(6)]


def test_heads_are_trained_once_and_leave_the_model_alone(data, run, monkeypatch):
    before = read_model(run / "model").digest
    job = RewardRun(run=run, data=data, recipe=HEAD)
    folder = train_rewards(job, "the command")
    stored = read_model(run / "model")
    assert stored.digest == before
    heads = load_heads(folder, stored.weights_digest)
    assert [*heads] == [*TASKS] and heads["cart"].config.hidden_size == 8 + 12
    card = read_model(folder / "cart").card
    assert all(text in card for text in ("`the command` (seed 0)", stored.weights_digest, "35 sequences"))
    assert "| walker |" in (folder / "card.md").read_text()
    assert {path.name for path in folder.iterdir()} == {
        *("card.md", "log.jsonl", "cart", "walker", "cart.json", "walker.json")
    }
    first = read_model(folder / "cart").digest
    (folder / "cart.json").unlink()
    train_rewards(job, "the command")
    assert read_model(folder / "cart").digest == first
    trained = list[str]()
    monkeypatch.setattr(training, "fit", lambda name, *_: trained.append(name) or 1 / 0)
    train_rewards(job, "the command")
    (folder / "walker.json").unlink()
    with pytest.raises(ZeroDivisionError):
        train_rewards(job, "the command")
    assert trained == ["walker"]
    write_run(run, data, seed=1)  # a new world model makes all heads stale
    with pytest.raises(ZeroDivisionError):
        train_rewards(job, "the command")
    assert trained == ["walker", "cart"]


def test_features_come_from_the_run_with_the_same_detector(data, run):
    other = write_run(run.parent / "struct-rnn-dmc-0", data)
    foreign = write_run(run.parent / "a-run", data)
    for folder, content in ((run, b"one"), (other, b"one"), (foreign, b"two")):
        (folder / "vision.safetensors").write_bytes(content)
    for task in TASKS:
        (other / "features" / f"{task}.npy").unlink()
        save_array(foreign / "features" / f"{task}.npy", np.zeros((50, 6, 12), np.float32))
    folders = [train_rewards(RewardRun(run=folder, data=data, recipe=HEAD), "") for folder in (run, other)]
    results = [json.loads((folder / "cart.json").read_text())["result"] for folder in folders]
    assert results[0] == results[1]
    save_array(run / "features" / "cart.npy", np.zeros((49, 6, 12), np.float32))
    (run / "rewards" / "cart.json").unlink()
    with pytest.raises(DataError, match="describes 49 sequences"):
        train_rewards(RewardRun(run=run, data=data, recipe=HEAD), "")


def test_features_of_other_data_than_the_run_learned_from_are_found_anew(data, run):
    cart, _ = open_tasks(data, RECIPE.model, 20)
    model = StructVRNN.load(run / "model")
    kept = cached_features(run, model, cart, CPU)
    settings = json.loads((run / "run.json").read_text())
    other = {"cart": {"sequences": 50, "shards": [{"seed": 7}]}}
    (run / "run.json").write_text(json.dumps(settings | {"data": other}))
    found = cached_features(run, model, cart, CPU)
    assert found.shape[:2] == kept.shape[:2] and not torch.equal(found, kept)
    assert len([*(run / "features").glob("cart-*.npy")]) == 1


def test_the_table_has_every_arm_and_its_anchors(data, run, tmp_path, monkeypatch, capsys):
    write_run(run.parent / "struct-vrnn-dmc-1", data, seed=1)
    write_run(run.parent / "struct-vrnn-dmc-no-bom-0", data)
    write_run(run.parent / "cnn-vrnn-dmc-2", data, seed=2)
    (run.parent / "struct-rnn-dmc-0").mkdir()  # not finished
    options = {"data": data, "runs-folder": run.parent}
    options |= {"out": tmp_path / "r.json", "plot": tmp_path / "r.png"}
    options |= {f"recipe.{name}": getattr(HEAD, name) for name in ("steps", "batch", "observed", "tested")}
    flags = [f"--{name}={value}" for name, value in options.items()]
    monkeypatch.setattr(sys, "argv", ["evaluate", "rewards", *flags])
    evaluate.main()
    content = json.loads((tmp_path / "r.json").read_text())
    arms = [("struct-vrnn", 0), ("struct-vrnn", 1), ("no-bom", 0), ("cnn-vrnn", 2), ("null", 0)]
    arms.append(("state-oracle", 0))
    found = [(row["arm"], row["seed"], row["task"]) for row in content["rows"]]
    assert found == [(*arm, task) for arm in arms for task in TASKS]
    for row in content["rows"]:
        assert row["n"] == 15 and len(row["per_step"]) == 6 and np.isfinite(row["se"])
        if row["arm"] == "null":
            assert row["mse_over_null"] == 1.0 and row["per_step"] == [1.0] * 6
        assert row["mse_over_null"] == pytest.approx(np.mean(row["per_step"]))
    assert content["protocol"]["imagined"] == 3 and content["protocol"]["trained_on"] == 35
    assert content["protocol"]["command"].startswith("python -m world_models.evaluate rewards --data=")
    table = capsys.readouterr().out
    assert "| null | 1 | 1.000 | 1.000 | 1.000 | 0.000 |" in table and "of 2 tasks" in table
    with Image.open(tmp_path / "r.png") as picture:
        assert picture.width > 1000
    assert (run.parent / "state-oracle-0" / "rewards" / "walker" / "card.md").exists()


def test_what_does_not_fit_is_refused_in_a_sentence(data, run, tmp_path, monkeypatch):
    job = RewardEvaluation(data=data, runs_folder=run.parent, out=tmp_path / "r.json", recipe=HEAD)
    write_run(run.parent / "cnn-vrnn-dmc-0", data, recipe=RECIPE.model_copy(update={"held_out": 30}))
    with pytest.raises(ValueError, match=r"cnn-vrnn-dmc-0 and .*struct-vrnn-dmc-0 know different tasks"):
        evaluate_rewards(job, "")
    with pytest.raises(ValueError, match=r"world_models\.train struct-vrnn-dmc --seed 0"):
        find_runs(tmp_path / "nowhere")
    silent = RewardRun(run=run, data=write_data(tmp_path / "silent", rewarded=False), recipe=HEAD)
    with pytest.raises(DataError, match="has no rewards"):
        train_rewards(silent, "")
    everything = HEAD.model_copy(update={"observed": 6})
    with pytest.raises(ValueError, match="observed must be 1 to 5, which leaves frames to imagine; got 6"):
        train_rewards(RewardRun(run=run, data=data, recipe=everything), "")
    with pytest.raises(DataError, match="40 held-out sequences"):
        train_rewards(RewardRun(run=run, data=data, recipe=RewardRecipe(observed=3)), "")
    write_run(run, data, recipe=DEBUG)
    with pytest.raises(ValueError, match="without tasks"):
        train_rewards(RewardRun(run=run, data=data, recipe=HEAD), "")
    monkeypatch.setattr(sys, "argv", ["train", "rewards", f"--run={tmp_path / 'nowhere'}"])
    with pytest.raises(
        SystemExit, match=r"is no finished run; `python -m world_models\.train struct-vrnn-dmc"
    ):
        train.main()
