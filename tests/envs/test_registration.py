"""Environments are found by their names in processes that have not imported ours."""

import subprocess
import sys

import pytest

from envs.dmc.tasks import TASKS
from envs.push.ids import PUSH_IDS


def test_gymnasium_finds_the_environments_by_module_and_name(tmp_path):
    code = "import gymnasium; print(gymnasium.make('envs:waymark/Push-v0').observation_space.shape)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "(64, 64, 3)\n", done.stderr


def test_every_task_is_registered():
    names = [*PUSH_IDS.values(), *(task.id for task in TASKS.values())]
    code = f"import gymnasium, envs; [gymnasium.spec(name) for name in {names}]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_triton_is_loaded_before_a_renderer_can_be(tmp_path):
    (tmp_path / "triton.py").write_text("import sys; assert 'mujoco' not in sys.modules; print('loaded')")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import envs.dmc.world"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "loaded\n", done.stderr


@pytest.mark.parametrize("ids", [["Push-v0"], ["Push-v0", "ReacherEasy-v0", "Push-v0"]])
def test_environments_left_open_end_quietly(ids):
    """Of MuJoCo alone, and with dm_control between."""
    code = (
        "import gymnasium, sys, envs; made = [gymnasium.make(f'waymark/{id}') for id in sys.argv[1:]]; "
        "[env.reset(seed=0) for env in made]"
    )
    done = subprocess.run([sys.executable, "-c", code, *ids], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
