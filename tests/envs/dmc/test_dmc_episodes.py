from dataclasses import replace

import pytest

from envs.dmc.env import DmcEnv
from envs.dmc.episodes import DmcEpisodes, draw_starts, load_starts
from envs.dmc.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_frozen_starts_are_reproducible(task):
    frozen, env = load_starts(), DmcEnv(task)
    assert len(frozen.starts[task]) == 20
    assert draw_starts(env, frozen.seed, 3) == frozen.starts[task][:3]
    with pytest.raises(ValueError, match="does not start where"):
        replace(frozen.starts[task][0], seed=1).begin(env)
    env.close()


def test_altered_starts_are_refused(tmp_path):
    frozen = load_starts()
    path = tmp_path / "dmc-20.json"
    path.write_text(DmcEpisodes("dmc-20", frozen.seed, frozen.starts).to_json())
    assert load_starts(path) == frozen
    path.write_text(path.read_text().replace(str(frozen.starts["cheetah-run"][0].seed), "17"))
    with pytest.raises(ValueError, match="fingerprint"):
        load_starts(path)
