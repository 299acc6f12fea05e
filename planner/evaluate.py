"""Closed-loop evaluation: ``python -m planner.evaluate push --planners keyin,flat --out results.json``.

Every planner gets the same frozen episodes and the same low level. ``python -m planner.evaluate dmc``
compares controllers of the DM Control tasks (:mod:`planner.suite_evaluate`). Outcomes are appended to
``<out>.episodes.jsonl`` as they come, so that an interrupted run goes on where it stopped.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from envs.push.episodes import Episodes, draw_episodes, load_manifest
from envs.push.ids import PUSH_IDS
from envs.push.scene import Variation
from envs.push.tasks import find_task
from planner.evaluation import films
from planner.evaluation.journal import journal_path, resume, run_missing
from planner.evaluation.results import markdown_table, summarise
from planner.evaluation.worker import LEARNED, NO_SERVO, SIMULATOR, Worker, film_stem
from planner.settings import Settings
from planner.subgoals import PLANNERS
from planner.suite_evaluate import Dmc, evaluate_suite
from planner.suite_results import markdown_table as suite_table
from server.client import Client
from server.remote import check_settings, find_model
from world_models.files import write_bytes
from world_models.shipped import weights_digest

MANIFESTS = {
    "push": "push-400",
    "push-long": "push-long-200",
    "push-two-walls": "push-two-walls-200",
    "push-tight": "push-tight-200",
}
"""The frozen episodes of each task."""

SHIPPED = Settings()
STANDARD = Variation()


@dataclass(frozen=True)
class Push:
    """Push the puck round the wall."""

    planners: str = "keyin,flat,random,oracle"
    """Comma-separated: keyin, jumpy, surprise, tap, flat, flat-deep, random, oracle."""
    task: str = "push"
    """push, or harder: push-long, push-two-walls, push-tight."""
    servo: Literal["simulator", "learned"] = "simulator"
    """Low level: a search in the true dynamics, or in a learned model from pictures alone."""
    compare: bool = True
    """With the learned servo: also flat with it, and the planners with the true dynamics."""
    variation: Variation = STANDARD
    """How the world differs from what the models were trained on."""
    episodes: int = 400
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    workers: int = os.cpu_count() or 1
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    model: str = "keyin-push"
    """Shipped model or model folder of the keyin planner; tap works on its pictures."""
    jumpy: str = "jumpy-push"
    """The same for the jumpy planner, ..."""
    surprise: str = "surprise-push"
    tap: str = "tap-push"
    learned: str = "struct-vrnn-push"
    """The same for the learned servo."""
    device: str = "cpu"
    server: str | None = None
    """URL of a server whose models plan and act in place of those here; model names are then its names."""
    settings: Settings = SHIPPED
    """How both levels search, and when subgoals are switched."""
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

    def trials(self) -> list[tuple[str, str]]:
        """Planners and their low levels, in the order of the table."""
        names = self.names()
        found = [(name, NO_SERVO if name == "random" else self.servo) for name in names]
        if self.servo == LEARNED and self.compare:
            found.append(("flat", LEARNED))
            found += [(name, SIMULATOR) for name in names if name != "random"]
        if self.settings.episode.replan == "surprised" and any(servo != LEARNED for _, servo in found):
            raise ValueError("only the learned servo is surprised; add --servo learned --no-compare")
        return list(dict.fromkeys(found))

    def select(self) -> Episodes:
        """The episodes asked for."""
        if self.episodes < 1 or self.workers < 1:
            raise ValueError("--episodes and --workers must be at least 1")
        find_task(self.task)
        if self.fresh is not None:
            return draw_episodes(self.fresh, self.episodes, self.task)
        frozen = load_manifest(MANIFESTS[self.task])
        if self.episodes > len(frozen.scenes):
            raise ValueError(
                f"{frozen.name} has {len(frozen.scenes)} episodes; ask for fewer, or use --fresh SEED"
            )
        return frozen

    def weights(self) -> dict[str, str]:
        """Model names by learned planner, of those asked for."""
        models = {"keyin": self.model, "jumpy": self.jumpy, "surprise": self.surprise, "tap": self.tap}
        wanted = set(self.names())
        if "tap" in wanted:
            wanted.add("keyin")
        found = {name: models[name] for name in models if name in wanted}
        return found | ({LEARNED: self.learned} if self.servo == LEARNED else {})

    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights by learned planner."""
        weights = self.weights()
        if self.server is None:
            return {name: weights_digest(model) for name, model in weights.items()}
        if "tap" in weights:
            raise ValueError("servers do not plan as tap does; leave out tap or --server")
        check_settings(self.settings)
        with Client(self.server) as service:
            if not service.ready():
                raise ValueError(f"no server is ready at {self.server}; start one with python -m server")
            kinds = {name: "world-model" if name == LEARNED else "planner" for name in weights}
            return {
                name: find_model(service, model, kinds[name]).weights_sha256
                for name, model in weights.items()
            }


_worker: Worker | None = None


def _start_worker(run: Push, episodes: Episodes) -> None:
    global _worker
    service = None if run.server is None else Client(run.server)
    _worker = Worker(
        episodes, run.weights(), run.settings, run.variation, run.seed, run.device, run.video, service
    )


def _run_episode(planner: str, servo: str, index: int) -> dict[str, Any]:
    assert _worker is not None, "the pool runs _start_worker first"
    return _worker.episode(planner, servo, index)


def evaluate(run: Push) -> dict[str, Any]:
    """Run all episodes of all planners and write JSON, table and plot; returns the JSON content."""
    trials, episodes = run.trials(), run.select()
    journal = journal_path(run.out)
    digests = run.digests()
    settings = {trial: _settings(run, digests, *trial) for trial in trials}
    scenes = list(enumerate(episodes.scenes[: run.episodes]))
    wanted = {
        (*trial, index): {"scene": scene.digest, "settings": settings[trial]}
        for trial in trials
        for index, scene in scenes
    }
    records = resume(journal, ("planner", "servo", "episode"), wanted)
    missing = {key: wanted[key] for key in wanted if key not in records or not _is_filmed(run, *key)}
    done = len(wanted) - len(missing)
    records |= run_missing(journal, missing, done, run.workers, _start_worker, (run, episodes), _run_episode)
    by_trial = {trial: [records[*trial, index] for index in range(run.episodes)] for trial in trials}
    rows = [summarise(*trial, found) for trial, found in by_trial.items()]
    manifest = {"name": episodes.name, "fingerprint": episodes.fingerprint, "seed": episodes.seed}
    named = {", ".join(trial): values for trial, values in settings.items()}
    result = {"env": PUSH_IDS[run.task], "manifest": manifest, "settings": named, "rows": rows}
    write_bytes(run.out, (json.dumps(result, indent=2) + "\n").encode())
    titles = {", ".join(trial): found for trial, found in by_trial.items()}
    films.final_positions(titles, run.out.with_suffix(".png"))
    return result


def _is_filmed(run: Push, planner: str, servo: str, index: int) -> bool:
    """Whether the episode's video is there, if videos are wanted."""
    return run.video is None or film_stem(run.video, planner, servo, index).with_suffix(".mp4").exists()


def _settings(run: Push, digests: dict[str, str], planner: str, servo: str) -> dict[str, Any]:
    """What an outcome of this planner depends on, beside its task (and the type of device)."""
    settings: dict[str, Any] = {"seed": run.seed, "search": run.settings.to_json()}
    settings["variation"] = run.variation.model_dump(mode="json", exclude_defaults=True)
    if planner in digests:
        settings["weights_sha256"] = digests[planner]
    if planner == "tap":
        settings["pictures_sha256"] = digests["keyin"]
    if servo == LEARNED:
        settings["servo_sha256"] = digests[LEARNED]
    if run.server is not None:
        settings["over_http"] = True
    return settings


def main() -> None:
    """Command line entry point."""
    run: Any = tyro.cli(
        tyro.extras.subcommand_type_from_defaults({"push": Push(), "dmc": Dmc()}),
        prog="python -m planner.evaluate",
        description=__doc__,
    )
    try:
        if isinstance(run, Dmc):
            table, written = suite_table(evaluate_suite(run)["rows"]), [run.out]
        else:
            table, written = markdown_table(evaluate(run)["rows"]), [run.out, run.out.with_suffix(".png")]
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(table)
    print(f"\nwritten: {', '.join(map(str, written))}")


if __name__ == "__main__":
    main()
