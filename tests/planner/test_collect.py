import dataclasses

import pytest
from counting import CountingWorld

from planner import collect
from planner.collect import Dmc
from world_models.data import DataError, SequenceDataset, read_attributes
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.sequences import open_tasks


@pytest.fixture
def in_process(jobs_here, monkeypatch):
    monkeypatch.setattr(collect, "DmcWorld", CountingWorld)


def run(folder, **settings):
    chosen = {"model": "random", "frames": 4, "episodes": 10, "workers": 1} | settings
    return Dmc(folder / "walker-walk", "walker-walk", **chosen)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*/*.h5")}


def test_interrupted_runs_and_any_number_of_workers_give_the_same_bytes(in_process, tmp_path):
    collect.collect(run(tmp_path / "one"))
    mean = collect.collect(run(tmp_path / "two", episodes=5))
    (tmp_path / "two/walker-walk/shard-00000.h5").rename(tmp_path / "kept")
    collect.collect(run(tmp_path / "two", workers=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert mean == pytest.approx(read_attributes(tmp_path / "kept")["mean_return"])


def test_rounds_lie_behind_each_other_and_training_reads_them(in_process, tmp_path):
    collect.collect(run(tmp_path))
    before = contents(tmp_path)
    collect.collect(run(tmp_path, seed=1))
    collect.collect(run(tmp_path))
    after = contents(tmp_path)
    assert sorted(after) == [f"shard-0000{k}.h5" for k in range(4)] and before.items() <= after.items()
    config = DEBUG.model.model_copy(update={"tasks": ("walker-walk",), "image_size": 16})
    (task,) = open_tasks(tmp_path, config, held_out=2)
    assert (len(task.sequences), task.bodies, task.observation) == (60, ("dot",), 1)
    attributes = read_attributes(task.sequences.paths[2])
    assert attributes["environment_steps"] == 5000 and attributes["seed"] == 1


def test_what_does_not_belong_together_is_refused(in_process, tmp_path):
    collect.collect(run(tmp_path, episodes=5))
    with pytest.raises(DataError, match="has sequences of 4 frames, not 5"):
        collect.collect(run(tmp_path, frames=5))
    with pytest.raises(DataError, match="shows waymark/WalkerWalk-v0, not waymark/WalkerStand-v0"):
        collect.collect(dataclasses.replace(run(tmp_path), task="walker-stand"))
    collect.collect(run(tmp_path, seed=1, episodes=5))
    with pytest.raises(DataError, match=r"shard-00001.h5 is of another run; choose another --seed"):
        collect.collect(run(tmp_path, episodes=10))
    late = run(tmp_path, seed=2, episodes=5)
    with pytest.raises(DataError, match=r"another run wrote .*shard-00001.h5 meanwhile"):
        collect.write(late, late.origin(), 1, 0)
    with pytest.raises(ValueError, match="--frames must be 2 to 500"):
        collect.collect(run(tmp_path, frames=501))


@pytest.mark.parametrize("first", [{"steps": 6}, {}])
def test_episodes_of_another_length_are_recorded_too(in_process, tmp_path, first):
    """The default counts like what was asked for, in both directions."""
    collect.collect(run(tmp_path, episodes=5, **first))
    collect.collect(run(tmp_path, episodes=5, **({} if first else {"steps": 6})))
    attributes = [read_attributes(path) for path in sorted(tmp_path.glob("*/*.h5"))]
    lengths = [(one["episode_steps"], one["episode_length"]) for one in attributes]
    assert lengths == ([(6, 7), (500, 11)] if first else [(500, 11), (6, 7)])


def test_no_episode_is_learned_from_and_tested_on(in_process, tmp_path):
    """Steps 0 to 5 as windows of 4 frames: the second overlaps the first."""
    collect.collect(run(tmp_path, episodes=5, steps=6))
    data = SequenceDataset(tmp_path / "walker-walk")
    assert data[:2].frames[:, :, 0, 0, 0].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6]]
    assert [data.known(count) for count in (1, 2, 3)] == [8, 8, 6]


def test_a_shard_tells_what_acted(tmp_path):
    origin = Dmc(tmp_path, "reacher-easy").origin()
    assert len(str(origin["weights"])) == len(str(origin["head"])) == 64
    assert origin["noise"] == 0.3 and '"horizon":12' in str(origin["search"])
    with pytest.raises(ValueError, match="no model 'nobody'"):
        Dmc(tmp_path, "reacher-easy", model="nobody").origin()
