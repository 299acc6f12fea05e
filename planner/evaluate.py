"""Closed-loop evaluation: ``python -m planner.evaluate push --planners keyin,flat --out results.json``.

Every planner gets the same frozen episodes and the same low level. Outcomes are appended to
``<out>.episodes.jsonl`` as they come, so that an interrupted run goes on where it stopped.
"""

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from tqdm import tqdm

from envs import PUSH_ID
from envs.episodes import Episodes, draw_episodes, load_manifest
from envs.push import PushEnv
from envs.push_scene import Scene
from planner import figures
from planner.baselines import (
    PLANNERS,
    RandomController,
    SimulatorController,
    keyin_subgoals,
    no_subgoals,
    oracle_subgoals,
)
from planner.build import PUCK_SEGMENTER, load_planner, simulator_servo
from planner.episode import Controller, EpisodeConfig, Outcome, Subgoals, run_episode
from planner.results import markdown_table, summarise
from world_models.checkpoint import write_bytes

MANIFEST = "push-400"


@dataclass(frozen=True)
class Push:
    """Push the puck round the wall."""

    planners: str = "keyin,flat,random,oracle"
    """Comma-separated: keyin, flat, random, oracle."""
    servo: Literal["simulator"] = "simulator"
    """Low level: a search in the true dynamics."""
    episodes: int = 400
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    workers: int = os.cpu_count() or 1
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    model: str = "keyin-push"
    """Shipped model or model folder of the keyin planner."""
    device: str = "cpu"
    replan: Literal["never", "missed"] = "never"
    """Plan afresh when a subgoal was missed."""
    out: Path = Path("results.json")
    video: Path | None = None
    """Folder for one MP4 and one plan strip per episode."""

    def names(self) -> list[str]:
        """The planners asked for; an error names the valid ones."""
        names = [name.strip() for name in self.planners.split(",") if name.strip()]
        unknown = [name for name in names if name not in PLANNERS]
        if unknown or not names:
            raise ValueError(
                f"unknown planner {', '.join(unknown) or '(none)'}; choose from {', '.join(PLANNERS)}"
            )
        return list(dict.fromkeys(names))

    def select(self) -> Episodes:
        """The episodes asked for."""
        if self.episodes < 1 or self.workers < 1:
            raise ValueError("--episodes and --workers must be at least 1")
        if self.fresh is not None:
            return draw_episodes(self.fresh, self.episodes)
        frozen = load_manifest(MANIFEST)
        if self.episodes > len(frozen.scenes):
            raise ValueError(f"{MANIFEST} has {len(frozen.scenes)} episodes; use --fresh SEED for more")
        return frozen


class _Worker:
    """What one process needs to run any episode: environment, planners, low level."""

    def __init__(self, run: Push) -> None:
        torch.set_num_threads(1)
        self.run = run
        self.episodes = run.select()
        self.env = PushEnv()
        self.simulator = SimulatorController(simulator_servo(self.env))
        self.keyin = (
            keyin_subgoals(load_planner(run.model, run.device).planner) if "keyin" in run.names() else None
        )

    def episode(self, planner: str, index: int) -> dict[str, Any]:
        """Run one episode and return its JSON record."""
        scene = self.episodes.scenes[index]
        subgoals: Subgoals = no_subgoals
        controller: Controller = self.simulator
        if planner == "keyin":
            assert self.keyin is not None
            subgoals = self.keyin
        elif planner == "oracle":
            subgoals = oracle_subgoals(self.env, scene)
        elif planner == "random":
            controller = RandomController()
        outcome = run_episode(
            self.env,
            scene,
            subgoals,
            controller,
            PUCK_SEGMENTER,
            EpisodeConfig(replan=self.run.replan),
            torch.Generator().manual_seed(self.run.seed * 1_000_003 + index),
            record=self.run.video is not None,
        )
        if self.run.video is not None:
            self._film(outcome, _film_stem(self.run.video, planner, index))
        return {
            "planner": planner,
            "episode": index,
            "scene": scene.digest,
            "initial_distance": outcome.initial_distance,
            "distance": outcome.distance,
            "steps": outcome.steps,
            "final_puck": outcome.final_puck,
            "goal": scene.goal,
            "plan_seconds": outcome.plan_seconds,
            "step_seconds": outcome.step_seconds,
        }

    def _film(self, outcome: Outcome, stem: Path) -> None:
        _, info = self.env.reset(options={"scene": self.env.scene})
        figures.video(outcome.frames, info["goal"], stem.with_suffix(".mp4"))
        figures.strip([outcome.frames[0], *outcome.subgoals, info["goal"]], stem.with_suffix(".png"))


_worker: _Worker | None = None


def _start_worker(run: Push) -> None:
    global _worker
    _worker = _Worker(run)


def _run_episode(planner: str, index: int) -> dict[str, Any]:
    assert _worker is not None, "the pool runs _start_worker first"
    return _worker.episode(planner, index)


def evaluate(run: Push) -> dict[str, Any]:
    """Run all episodes of all planners and write JSON, table and plot; returns the JSON content."""
    names, episodes = run.names(), run.select()
    journal = run.out.with_name(run.out.name + ".episodes.jsonl")
    settings = {name: _settings(run, name) for name in names}
    wanted = {(name, index): scene.digest for name in names for index, scene in _numbered(run, episodes)}
    records = _resume(journal, settings, wanted)
    missing = [key for key in wanted if key not in records or not _is_filmed(run, *key)]
    context = multiprocessing.get_context("spawn")
    with (
        tqdm(total=len(wanted), initial=len(wanted) - len(missing), unit="episode") as bar,
        ProcessPoolExecutor(run.workers, context, _start_worker, (run,)) as pool,
        journal.open("a") as file,
    ):
        jobs = [pool.submit(_run_episode, *key) for key in missing]
        try:
            for job in as_completed(jobs):
                record = job.result()
                record["settings"] = settings[record["planner"]]
                records[record["planner"], record["episode"]] = record
                file.write(json.dumps(record) + "\n")
                file.flush()
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    by_planner = {name: [records[name, index] for index in range(run.episodes)] for name in names}
    rows = [summarise(name, run.servo if name != "random" else "none", by_planner[name]) for name in names]
    manifest = {"name": episodes.name, "fingerprint": episodes.fingerprint, "seed": episodes.seed}
    result = {"env": PUSH_ID, "manifest": manifest, "settings": settings, "rows": rows}
    write_bytes(run.out, (json.dumps(result, indent=2) + "\n").encode())
    figures.final_positions(by_planner, run.out.with_suffix(".png"))
    return result


def _numbered(run: Push, episodes: Episodes) -> list[tuple[int, Scene]]:
    return list(enumerate(episodes.scenes[: run.episodes]))


def _film_stem(folder: Path, planner: str, index: int) -> Path:
    return folder / f"{planner}-{index:03d}"


def _is_filmed(run: Push, planner: str, index: int) -> bool:
    """Whether the episode's video is there, if videos are wanted."""
    return run.video is None or _film_stem(run.video, planner, index).with_suffix(".mp4").exists()


def _settings(run: Push, planner: str) -> dict[str, Any]:
    """What an outcome of this planner depends on, beside its task (and the type of device)."""
    settings: dict[str, Any] = {"seed": run.seed, "servo": run.servo, "replan": run.replan}
    if planner == "keyin":
        settings["weights_sha256"] = load_planner(run.model, run.device).weights_sha256
    return settings


def _resume(
    journal: Path, settings: dict[str, dict[str, Any]], wanted: dict[tuple[str, int], str]
) -> dict[tuple[str, int], dict[str, Any]]:
    """Outcomes of earlier runs that are still valid; other whole lines of the journal are left in it."""
    records, lines = {}, []
    for line in journal.read_text().splitlines() if journal.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be torn
        lines.append(line)
        key = (record["planner"], record["episode"])
        if record["settings"] == settings.get(key[0]) and record["scene"] == wanted.get(key):
            records[key] = record
    write_bytes(journal, "".join(line + "\n" for line in lines).encode())
    return records


def main() -> None:
    """Command line entry point."""
    run = tyro.cli(
        tyro.extras.subcommand_type_from_defaults({"push": Push()}),
        prog="python -m planner.evaluate",
        description=__doc__,
    )
    try:
        result = evaluate(run)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(markdown_table(result["rows"]))
    print(f"\nwritten: {run.out}, {run.out.with_suffix('.png')}")


if __name__ == "__main__":
    main()
