"""Training a Struct-VRNN: stages, joint training, resuming, building on another run, drawing of data."""

import json

import numpy as np
import pytest
import torch

from world_models.checkpoint import read_model
from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.frames import to_tensor
from world_models.struct_vrnn import training
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.recipe import StructVRNNRun
from world_models.struct_vrnn.run import train_struct_vrnn
from world_models.struct_vrnn.sequences import open_tasks, read_known
from world_models.training import fit
from world_models.training.run import Session

TASKS = ("one", "two")
BODIES = {"one": ("puck",), "two": ("puck", "post")}


def write_task(folder, actuators, bodies, seed):
    """Five sequences of a moving square; the state is one number, then the bodies' pixel positions."""
    rng = np.random.default_rng(seed)
    frames = np.full((5, 7, 16, 16, 3), 90, np.uint8)
    for row in range(5):
        x, y = rng.integers(0, 8, 2)
        for t in range(7):
            frames[row, t, y : y + 4, x + t // 2 : x + t // 2 + 4] = (204, 31, 191)
    actions = rng.uniform(-1, 1, (5, 6, actuators)).astype(np.float32)
    states = rng.uniform(0, 15, (5, 7, 1 + 2 * len(bodies))).astype(np.float32)
    attributes = {"seed": seed, "observation": 1, "bodies": ",".join(bodies)}
    write_shard(shard_path(folder, 0), Sequences(frames, actions, np.zeros((5, 7), bool), states), attributes)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for k, task in enumerate(TASKS):
        write_task(folder / task, k + 1, BODIES[task], k)
    return folder


def change(recipe, **parts):
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=fields) for name, fields in parts.items()}
    )


TWO_TASKS = change(DEBUG, model={"tasks": TASKS})
JOINT = TWO_TASKS.model_copy(update={"joint": True})


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train_struct_vrnn(StructVRNNRun(data=data, out=out, recipe=TWO_TASKS), "command")
    return out


def stages(out):
    return [json.loads(line)["stage"] for line in (out / "log.jsonl").read_text().splitlines()]


def weights(out):
    return read_model(out / "model").weights


def train_and_die(run, monkeypatch, kills):
    """Train with a kill after the first step of each stage."""
    save = fit.save_training

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_training", save_and_die)
        for _ in range(kills):
            with pytest.raises(KeyboardInterrupt):
                train_struct_vrnn(run, "command")
    train_struct_vrnn(run, "command")


def test_detector_and_dynamics_are_trained_in_turn(data, finished):
    assert stages(finished) == ["vision", "dynamics"]
    stored = read_model(finished / "model")
    assert (
        "`command` (seed 0)" in stored.card and "one: 3 sequences of 7 frames, 2 more held out" in stored.card
    )
    with Session(finished, 0, torch.device("cpu")).initial_weights():
        start = StructVRNN(TWO_TASKS.model).state_dict()
    moved = [name for name in start if not torch.equal(start[name].half(), stored.weights[name])]
    assert {name.split(".")[0] for name in moved} == {"vision", "dynamics"}


def test_the_features_of_all_frames_are_kept(data, finished):
    model = StructVRNN(TWO_TASKS.model).eval().requires_grad_(False)
    fit.load_training(
        finished / "vision.safetensors",
        model.vision,
        torch.optim.Adam(model.vision.parameters()),
        torch.Generator(),
    )
    for task in TASKS:
        kept = np.load(finished / "features" / f"{task}.npy")
        frames = SequenceDataset(data / task)[0:5].frames
        found = model.embed(to_tensor(frames, torch.device("cpu")).flatten(0, 1)).unflatten(0, (5, 7))
        torch.testing.assert_close(
            torch.from_numpy(kept), found, rtol=0, atol=0.02
        )  # bfloat16 where it is fast


def test_an_interrupted_run_ends_with_the_same_bytes(data, finished, tmp_path, monkeypatch):
    run = StructVRNNRun(data=data, out=tmp_path / "run", recipe=TWO_TASKS)
    train_and_die(run, monkeypatch, kills=2)
    for name in ("model/model.safetensors", "model/card.md", "features/one.npy", "features/two.npy"):
        assert (run.out / name).read_bytes() == (finished / name).read_bytes(), name
    train_struct_vrnn(run, "command")
    assert stages(run.out) == ["vision", "dynamics"]  # finished stages are skipped


def test_an_interrupted_joint_run_ends_with_the_same_bytes(data, tmp_path, monkeypatch):
    runs = [StructVRNNRun(data=data, out=tmp_path / name, recipe=JOINT) for name in ("whole", "killed")]
    train_struct_vrnn(runs[0], "command")
    train_and_die(runs[1], monkeypatch, kills=1)
    whole, killed = ((run.out / "model" / "model.safetensors").read_bytes() for run in runs)
    assert whole == killed
    assert stages(runs[0].out) == ["joint"] and not (runs[0].out / "features").exists()


def test_another_seed_gives_another_model(data, finished, tmp_path):
    run = StructVRNNRun(data=data, out=tmp_path / "run", seed=1, recipe=TWO_TASKS)
    train_struct_vrnn(run, "command")
    assert read_model(run.out / "model").digest != read_model(finished / "model").digest


def test_a_folder_of_another_run_is_not_overwritten(data, finished):
    recipe = change(TWO_TASKS, dynamics={"samples": 1})
    for update, named in (({"seed": 1}, "seed"), ({"recipe": recipe}, "recipe.dynamics.samples")):
        run = StructVRNNRun(data=data, out=finished, recipe=TWO_TASKS).model_copy(update=update)
        with pytest.raises(ValueError, match=f"other {named}; choose another --out"):
            train_struct_vrnn(run, "command")


@pytest.mark.parametrize("update", [{"model": {"stochastic": False}}, {"dynamics": {"samples": 1}}])
def test_arms_are_built_on_the_detector_of_another_run(data, finished, tmp_path, update):
    """Struct-RNN and no-BoM: other dynamics, nothing of the detector trained again."""
    recipe = change(TWO_TASKS, **update)
    run = StructVRNNRun(data=data, out=tmp_path / "run", base=finished, seed=3, recipe=recipe)
    train_struct_vrnn(run, "command")
    assert stages(run.out) == ["dynamics"] and not (run.out / "features").exists()
    mine, theirs = weights(run.out), weights(finished)
    vision = [name for name in mine if name.startswith("vision.")]
    assert vision and all(torch.equal(mine[name], theirs[name]) for name in vision)
    rest = [name for name in mine if name.startswith("dynamics.") and "bias" not in name]
    assert not any(
        mine[name].shape == theirs[name].shape and torch.equal(mine[name], theirs[name]) for name in rest
    )


@pytest.mark.parametrize(
    ("update", "named"),
    [
        ({"model": {"representation": "vector"}}, "other recipe.model.representation"),
        (
            {"model": {"keypoints": 5, "blob_width": 1.0}},
            "other recipe.model.blob_width, recipe.model.keypoints",
        ),
        ({"vision": {"sparsity": 0.0}}, "other recipe.vision.sparsity"),
    ],
)
def test_a_base_with_another_detector_is_refused(data, finished, tmp_path, update, named):
    recipe = change(TWO_TASKS, **update)
    run = StructVRNNRun(data=data, out=tmp_path / "run", base=finished, recipe=recipe)
    with pytest.raises(ValueError, match=f"{named}; choose another --base"):
        train_struct_vrnn(run, "command")
    assert not run.out.exists()


def test_a_base_that_learned_from_other_data_is_refused(data, finished, tmp_path):
    """As many sequences of the same shape: the features that the base keeps would be taken for theirs."""
    for k, task in enumerate(TASKS):
        write_task(tmp_path / "other" / task, k + 1, BODIES[task], k + 5)
    run = StructVRNNRun(data=tmp_path / "other", out=tmp_path / "run", base=finished, recipe=TWO_TASKS)
    named = r"trained with other data\.one\.shards, data\.two\.shards; choose another --base"
    with pytest.raises(ValueError, match=named):
        train_struct_vrnn(run, "command")
    with pytest.raises(ValueError, match=r"holds a run with other data\.one\.shards"):
        train_struct_vrnn(run.model_copy(update={"out": finished, "base": None}), "command")


def test_a_base_must_be_finished_and_is_nothing_for_joint_runs(data, finished, tmp_path):
    run = StructVRNNRun(data=data, out=tmp_path / "run", base=tmp_path, recipe=TWO_TASKS)
    with pytest.raises(ValueError, match="no finished run to build on"):
        train_struct_vrnn(run, "command")
    with pytest.raises(ValueError, match="leave out --base"):
        train_struct_vrnn(run.model_copy(update={"base": finished, "recipe": JOINT}), "command")


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (change(TWO_TASKS, model={"image_size": 32}), "32 x 32 x 3"),
        (change(TWO_TASKS, model={"actions": 1}), "2 actuators, the model takes at most 1"),
        (TWO_TASKS.model_copy(update={"held_out": 5}), "5 are to be held out"),
        (change(TWO_TASKS, model={"tasks": ("one", "three")}), "three"),
    ],
)
def test_unfit_data_is_refused(data, tmp_path, recipe, problem):
    with pytest.raises(DataError, match=problem):
        train_struct_vrnn(StructVRNNRun(data=data, out=tmp_path / "run", recipe=recipe), "command")
    assert not (tmp_path / "run").exists()


def test_the_dynamics_do_not_teach_the_detector(data, tmp_path, monkeypatch):
    """Joint training: with the losses of the dynamics, the detector's gradients are what they are without."""
    tasks = open_tasks(data, JOINT.model, JOINT.held_out)
    session = Session(tmp_path, 0, torch.device("cpu"))
    losses = []
    monkeypatch.setattr(training, "fit", lambda name, module, loss, config, session: losses.append(loss))
    with session.initial_weights():
        model = StructVRNN(JOINT.model)
    training.train_jointly(model, tasks, JOINT, session)

    def gradients(total):
        model.zero_grad()
        total.backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    both = gradients(losses[0](1, torch.Generator().manual_seed(0)).total)
    rng = torch.Generator().manual_seed(0)
    alone = gradients(
        training.vision_loss(model.vision, read_known(tasks, 100), JOINT.vision, session.device, rng).total
    )
    for name, gradient in alone.items():
        if name.startswith("vision."):
            assert torch.equal(both[name], gradient), name
        else:
            assert gradient is None and both[name].isfinite().all(), name
    assert any((both[name] != 0).any() for name in both if name.startswith("dynamics."))
