"""How fast this machine plans and servos: ``python -m planner.benchmark --out bench.json``.

Everything is measured in one run, beside the machine's own limits (matrix product, raw physics), so that
ratios mean something where absolute times do not.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from envs.push import arm
from envs.push.env import PushEnv
from envs.push.episodes import load_manifest
from envs.push.scene import JOINTS
from envs.push.simulator import PushSimulator, SimulatorState
from planner.evaluation.rollout_benchmark import markdown as rollout_table
from planner.evaluation.rollout_benchmark import rollouts
from planner.goals import action_cost
from planner.loading import available_world_models, load_planner, load_world_model
from planner.low_levels.learned import REWARD_MEMORY, control_by_place, control_by_reward
from planner.low_levels.low_level import LearnedServo, Request
from planner.peers import comparison
from planner.peers.figure import draw as draw_peers
from planner.peers.problem import problems
from planner.search.servo import Servo, ServoConfig
from world_models.files import write_results
from world_models.frames import to_tensor
from world_models.interface import Context, Dynamics, Future
from world_models.jobs.command import command
from world_models.jobs.outputs import check_outputs
from world_models.segmenter import PUCK_GOAL

Figures = dict[str, Any]
PARTS = ("matmul", "plan", "servo", "learned servo", "dmc", "render")
"""Measurements that are rows of the first table, where they were made."""
USUAL_WORLD = "struct-vrnn-push"
DMC_MODEL, DMC_TASK = "struct-vrnn-walker", "walker-walk"
"""The task has the most actuators of those that ship."""


@dataclass(frozen=True)
class Benchmark:
    """What to measure."""

    model: str = "keyin-push"
    world: str | None = None
    """Model folder of the learned servo; None takes struct-vrnn-push, if that is shipped."""
    threads: int = 1
    """Threads of torch and of the physics pool."""
    repeats: int = 30
    peers: bool = False
    """Also compare the search with those of other libraries, as far as they are installed (extra ``peers``);
    a picture is drawn beside the results."""
    peers_model: str = "keyin-push-irregular"
    """Model of that comparison; it plans any number of keyframes, and has a reader."""
    out: Path = Path("bench.json")


def median_ms(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 95th percentile of the wall time of ``work`` in milliseconds, after two unmeasured calls."""
    times = []
    for repeat in range(repeats + 2):
        begun = time.perf_counter()
        work()
        if repeat >= 2:
            times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times)), float(np.percentile(times, 95))


def matmul(settings: Benchmark) -> Figures:
    """Peak of the machine's matrix product, 1024 cubed."""
    figures: Figures = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
        ms, _ = median_ms(lambda a=a, b=b: a @ b, settings.repeats)  # type: ignore[misc]
        figures[f"{name}_gflops"] = 2 * 1024**3 / (1e6 * ms)
    return figures


def planning(settings: Benchmark, env: PushEnv) -> Figures:
    """A plan in this process, 200 candidates x 6 keyframes x 3 iterations."""
    ready = load_planner(settings.model)
    picture, info = env.reset(options={"scene": load_manifest("push-400").starts[0]})
    context = Context(to_tensor(picture)[None, None], torch.zeros(1, 0, 2))
    goal = to_tensor(info["goal"])[None]
    generator = torch.Generator().manual_seed(0)
    p50, p95 = median_ms(lambda: ready.planner.plan(context, goal, [generator]), settings.repeats)
    cem = ready.planner.config.cem
    return {
        "plan_ms_p50": p50,
        "plan_ms_p95": p95,
        "candidates_per_second": 1e3 * cem.candidates * cem.iterations / p50,
    }


class _Recorder:
    """Passes roll-outs on to the true dynamics and keeps the actions that were tried."""

    decision_dim = PushSimulator.decision_dim

    def __init__(self, dynamics: Dynamics[SimulatorState]) -> None:
        self._dynamics = dynamics
        self.tried: list[Tensor] = []

    def imagine(self, state: SimulatorState, decisions: Tensor) -> Future:
        self.tried.append(decisions.clone())
        return self._dynamics.imagine(state, decisions)


def servo(settings: Benchmark, env: PushEnv) -> Figures:
    """One servo step, and the same physics with the same set-points in MuJoCo's own open-loop roll-out."""
    _, info = env.reset(options={"scene": load_manifest("push-400").starts[0]})
    config = ServoConfig()
    simulator = PushSimulator(env, config.cem.candidates, settings.threads)
    subgoal = to_tensor(info["goal"])[None]
    state, cost = simulator.observe(), action_cost(PUCK_GOAL)

    def act(dynamics: Dynamics[SimulatorState]) -> None:
        Servo(dynamics, cost, config).act(state, subgoal, None, [torch.Generator().manual_seed(0)])

    step_ms, _ = median_ms(lambda: act(simulator), settings.repeats)
    recorder = _Recorder(simulator)
    act(recorder)
    raw_ms = _raw_rollout_ms(settings, env, [actions.double().numpy() for actions in recorder.tried])
    physics_steps = arm.SUBSTEPS * sum(actions.shape[0] * actions.shape[1] for actions in recorder.tried)
    return {
        "step_ms_p50": step_ms,
        "physics_steps_per_second": 1e3 * physics_steps / step_ms,
        "raw_physics_steps_per_second": 1e3 * physics_steps / raw_ms,
        "share_of_raw": raw_ms / step_ms,
    }


def _raw_rollout_ms(settings: Benchmark, env: PushEnv, tried: list[NDArray[np.float64]]) -> float:
    """Time of MuJoCo alone for the set-points that the actions ``[N, L, 2]`` of each search round led to."""
    # Imported late: the first import of MuJoCo fixes how it renders, and that is for envs to say.
    from mujoco.batch import Batch

    batch = Batch(env.model, len(tried[0]), settings.threads)
    start = env.get_state()
    joints, control = batch.bind("qpos")[:, JOINTS], batch.bind("ctrl")
    rounds = []
    for actions in tried:
        batch.state[:] = start
        targets = []
        for step in range(actions.shape[1]):
            targets.append(arm.servo_targets(joints, control, actions[:, step]))
            batch.rollout(arm.SUBSTEPS, targets[-1], record=())
        rounds.append(np.concatenate(targets, axis=1))

    def roll_out() -> None:
        for targets in rounds:
            batch.state[:] = start
            batch.rollout(targets.shape[1], targets, record=())

    return median_ms(roll_out, settings.repeats)[0]


def learned_step(settings: Benchmark, env: PushEnv, world: str) -> Figures:
    """One step of the servo that works from pictures: seeing the last frames, and the search."""
    controller = control_by_place(load_world_model(world))
    picture, info = env.reset(options={"scene": load_manifest("push-400").starts[0]})
    pictures, still = [picture], np.zeros(controller.model.decision_dim)
    while len(pictures) < controller.memory:
        pictures.append(env.step(still)[0])
    frames = to_tensor(np.stack(pictures))[None]
    return _decision(settings, controller, frames, to_tensor(info["goal"])[None])


def dmc_decision(settings: Benchmark) -> Figures:
    """One decision of control by predicted reward; its time does not depend on the pictures."""
    controller = control_by_reward(load_world_model(DMC_MODEL), DMC_TASK)
    frames = torch.rand(1, REWARD_MEMORY, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return _decision(settings, controller, frames, frames[:, -1])


def _decision(settings: Benchmark, controller: LearnedServo, frames: Tensor, subgoal: Tensor) -> Figures:
    """Times of a decision after ``frames [1 T C H W]`` between which nothing was done, warmly started."""
    seen = Context(frames, torch.zeros(1, frames.shape[1] - 1, controller.model.decision_dim))

    def act(warm_start: Tensor | None) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return controller.act(Request(seen, subgoal, warm_start, generator)).warm_start

    warm_start = act(None)
    p50, p95 = median_ms(lambda: act(warm_start), settings.repeats)
    imagined = controller.servo.config.imagined_steps
    return {"step_ms_p50": p50, "step_ms_p95": p95, "imagined_steps_per_second": 1e3 * imagined / p50}


def beside_peers(settings: Benchmark, env: PushEnv) -> Figures:
    """The search and those of other libraries, in the first of the frozen scenes."""
    firsts, goals = [], []
    for scene in load_manifest("push-400").starts[: comparison.DEFAULT.scenes]:
        picture, info = env.reset(options={"scene": scene})
        firsts.append(to_tensor(picture))
        goals.append(to_tensor(info["goal"]))
    context = Context(torch.stack(firsts)[:, None], torch.zeros(len(firsts), 0, 2))
    model = load_planner(settings.peers_model)
    result = comparison.compare(problems(model, context, torch.stack(goals)))
    draw_peers(result, settings.out.with_suffix(".png"))
    return result


def rendering(settings: Benchmark, env: PushEnv) -> Figures:
    """Pictures per second on one core."""
    env.reset(seed=0)
    ms, _ = median_ms(lambda: [env.render() for _ in range(50)], settings.repeats)
    return {"frames_per_second": 50e3 / ms}


def benchmark(settings: Benchmark) -> Figures:
    """Run all measurements and write them to ``settings.out``."""
    torch.set_num_threads(settings.threads)
    env = PushEnv()
    world = settings.world or next((name for name in available_world_models() if name == USUAL_WORLD), None)
    parts: dict[str, Callable[[], Figures]] = {
        "matmul": lambda: matmul(settings),
        "plan": lambda: planning(settings, env),
        "servo": lambda: servo(settings, env),
        **({"learned servo": lambda: learned_step(settings, env, world)} if world else {}),
        "dmc": lambda: dmc_decision(settings),
        "render": lambda: rendering(settings, env),
        "rollouts": rollouts,
        **({"peers": lambda: beside_peers(settings, env)} if settings.peers else {}),
    }
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
    result: Figures = {"machine": machine, "threads": settings.threads, "repeats": settings.repeats}
    for name, part in (bar := tqdm(parts.items(), unit="part")):
        bar.set_description(name)
        result[name] = part()
    env.close()
    return write_results(settings.out, "planner.benchmark", result, markdown(result))


def markdown(result: Figures) -> str:
    """The figures as Markdown: one table, and a second one of the roll-outs where they were measured."""
    tables = [figures_table(result, PARTS)]
    if "rollouts" in result:
        tables.append(rollout_table(result["rollouts"]))
    if "peers" in result:
        tables.append(comparison.markdown(result["peers"]))
    return "\n\n".join(tables)


def figures_table(result: Figures, parts: Sequence[str]) -> str:
    """The figures of some parts as a Markdown table, headed by the machine they were measured on."""
    machine = result["machine"]
    lines = [
        f"| measured ({machine['processor']}, {machine['cores']} cores, {result['threads']} thread(s), "
        f"torch {machine['torch']}, n = {result['repeats']}) | value |",
        "|---|---|",
    ]
    for part in parts:
        figures = result.get(part, {}).items()
        lines += [f"| {part}: {name.replace('_', ' ')} | {value:,.4g} |" for name, value in figures]
    return "\n".join(lines)


@command()
def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Benchmark, prog="python -m planner.benchmark", description=__doc__)
    if settings.repeats < 1 or settings.threads < 1:
        raise ValueError("--repeats and --threads must be at least 1")
    check_outputs("--out", settings.out, *([settings.out.with_suffix(".png")] if settings.peers else []))
    result = benchmark(settings)
    print(result["table"])
    print(f"\nwritten: {settings.out}")


if __name__ == "__main__":
    main()
