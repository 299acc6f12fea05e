"""Jobs on a Ray cluster: the same results, the same errors, and a sentence where there is no Ray."""

import math
import os
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import tyro

from world_models.jobs.cluster import AT_HAND, RayAddress, connect
from world_models.jobs.command import Failure
from world_models.jobs.workers import run_jobs

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: waymark[ray]")

JOBS = """
import math, os, sys, torch
from world_models.jobs.command import Failure
from world_models.jobs.workers import run_jobs

def results(work, jobs, **more):
    found = {}
    run_jobs(work, jobs, lambda job, result: found.update({job: result}), workers=2, ray="local", **more)
    return found

if __name__ == "__main__":
    os.chdir(sys.argv[1])
    print(sorted(results(math.gcd, [(12, 18), (7, 21), (5, 8)]).items()))
    for threads in (3, 2):
        print(results(torch.get_num_threads, [()], start=torch.set_num_threads, arguments=(threads,)))
    print(results(os.getcwd, [()]))
    for work, job in ((math.sqrt, (-1.0,)), (os._exit, (1,))):
        try:
            results(work, [job])
        except (ValueError, Failure) as error:
            print(type(error).__name__, str(error).splitlines()[0])
"""


@pytest.mark.parametrize(
    ("words", "address"), [([], None), (["--ray"], AT_HAND), (["--ray", "head:6379"], "head:6379")]
)
def test_the_option_may_name_a_cluster(words, address):
    def main(*, ray: RayAddress = None, out: str = "") -> tuple[str | None, str]:
        return ray, out

    assert tyro.cli(main, args=[*words, "--out", "here"]) == (address, "here")


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Failure, match=r"waymark\[ray\]"):
        run_jobs(math.gcd, [(1, 2)], lambda *_: None, workers=1, ray=AT_HAND)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:head", "127.0.0.1:70000"])
def test_an_address_that_nobody_answers_on_is_said_at_once(address, monkeypatch):
    # Ray itself asks again for minutes.
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(Failure, match=f"there is no Ray cluster to be used at '{address}': "):
        connect(address)


@needs_ray
def test_a_cluster_gives_the_same_results_and_errors(tmp_path):
    (tmp_path / "jobs.py").write_text(JOBS)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "jobs.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    lines = [line for line in run.stdout.splitlines() if "(raylet)" not in line]
    assert lines[:4] == [
        "[((5, 8), 1), ((7, 21), 7), ((12, 18), 6)]",
        "{(): 3}",
        "{(): 2}",
        str({(): str(tmp_path)}),
    ], run.stderr
    assert lines[4].startswith("ValueError ")
    assert lines[5].startswith("Failure Ray has lost a job for good")
