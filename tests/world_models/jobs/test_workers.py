"""Worker processes: their number, their results, and that none outlives who has started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from world_models.jobs.workers import cores, run_jobs

PARENT = """
import os, signal, sys, time
from pathlib import Path
from world_models.jobs.command import command
from world_models.jobs.workers import run_jobs

def work(folder, number):
    Path(folder, f"{os.getpid()}.worker").touch()
    time.sleep(600)

@command(resumes=True)
def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs tests in the background ignores it
    run_jobs(work, [(sys.argv[1], n) for n in range(2)], print, workers=2)

if __name__ == "__main__":
    main()
"""

SLOW = """
import envs, pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


def double(number: int) -> int:
    return 2 * number


def fail(number: int) -> None:
    if number:
        raise ValueError("no such job")
    time.sleep(600)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A process that has ended, but whom nobody has asked how, is no more.
    return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def parent(tmp_path):
    """A command with two workers at work, and the numbers of these processes."""
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: len([*tmp_path.glob("*.worker")]) == 2)
    yield process, [int(path.stem) for path in tmp_path.glob("*.worker")]
    process.kill()
    process.communicate()


def test_results_come_with_their_jobs_from_other_processes():
    found = {}
    run_jobs(double, [(1,), (2,), (3,)], lambda job, result: found.update({job: result}), workers=2)
    assert found == {(1,): 2, (2,): 4, (3,): 6}


def test_a_failure_does_not_wait_for_other_jobs():
    begun = time.monotonic()
    with pytest.raises(ValueError, match="no such job"):
        run_jobs(fail, [(0,), (1,)], lambda *_: None, workers=2)
    assert time.monotonic() - begun < 300


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent_however_it_ends(parent, number):
    process, workers = parent
    assert all(map(alive, workers))
    process.send_signal(number)
    process.wait(60)
    until(lambda: not any(map(alive, workers)))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupt_says_how_to_go_on(parent, number, status):
    process, _ = parent
    os.killpg(process.pid, number)  # as a terminal does: workers get it too
    _, words = process.communicate(timeout=60)
    assert (process.returncode, words) == (status, "stopped; run the same command to go on\n")


def test_workers_end_though_their_parent_ended_while_they_were_imported(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import envs, pathlib, sys, time\npathlib.Path(sys.argv[1]).touch()\ntime.sleep(600)\n"
    )
    code = """
import os, subprocess, sys
from world_models.jobs.workers import worker_environment
child = subprocess.Popen([sys.executable, *sys.argv[1:]], env=worker_environment())
print(child.pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path / "slow.py"), str(tmp_path / "begun")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    until((tmp_path / "begun").exists)
    process.kill()
    process.communicate()
    until(lambda: not alive(child))


def test_processes_of_others_are_left_alone():
    environment = {**os.environ, "WAYMARK_WORKER_OF": "1"}
    code = "import threading, planner, envs; print([t.name for t in threading.enumerate()])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "['MainThread']\n"


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({}, 4),
        ({"pod/box": "max 100000"}, 4),
        ({"pod/box": "150000 100000"}, 2),
        ({"pod": "100000 100000", "pod/box": "300000 100000"}, 1),
        ({"pod/box": "10000 100000"}, 1),
        ({"pod/box": "900000 100000"}, 4),
    ],
)
def test_cores_are_those_that_are_granted(tmp_path, monkeypatch, quotas, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    for folder, text in quotas.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "cpu.max").write_text(text + "\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/pod/box\n")
    assert cores(tmp_path, own) == expected


def test_cores_are_those_that_the_process_is_bound_to():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from planner.evaluation.push import Push; print(Push().workers)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
