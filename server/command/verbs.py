"""``waymark VERB ...``: what ``python -m`` and the verb's module do, with the same flags.

An installed command does not have the current directory on its path, so that modules of the same names there
do no harm. A verb's module is imported when it is asked for: the list of verbs comes at once.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType

from world_models import __version__
from world_models.jobs.command import command


@dataclass(frozen=True)
class Verb:
    """A module with a function ``main`` that reads ``sys.argv``, and its line in the list of verbs."""

    module: str
    line: str


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "plan": Verb(
            "server.command.plan", "from a picture of now to a picture of the goal, without a server"
        ),
        "serve": Verb("server.__main__", "the service: HTTP API and page on 127.0.0.1:8000"),
        "demo": Verb(
            "server.demo", "start a server, plan, drive the simulated robot, write pictures and video"
        ),
        "keys": Verb("server.keys", "make a key for somebody who may use a server"),
        "load": Verb("server.load.run", "a server under more load than it can bear"),
        "collect": Verb("envs.collect", "make training data, or bring yours into the same form"),
        "export": Verb("envs.export", "write data in the form of others: Minari, LeRobot, films"),
        "record": Verb("planner.collect", "record the planner's own episodes for the next round of training"),
        "train": Verb("world_models.train", "train a model"),
        "export-model": Verb(
            "world_models.export.__main__", "a model's roll-out as a programme of torch.export"
        ),
        "evaluate": Verb("planner.evaluate", "success of planners in closed loop"),
        "evaluate-server": Verb("server.evaluate", "the same with the models of a server"),
        "evaluate-model": Verb("world_models.evaluate", "figures of models on data they have not seen"),
        "ablate": Verb("planner.ablate", "what each part of the planner is worth"),
        "robustness": Verb("planner.robustness", "the same episodes in worlds that look or behave otherwise"),
        "curves": Verb("planner.curves", "draw where planners succeed, from results of evaluate"),
        "benchmark": Verb("planner.benchmark", "how fast this machine plans and acts"),
        "benchmark-server": Verb(
            "server.benchmark", "what HTTP adds to a plan, and what requests at once gain"
        ),
        "benchmark-filter": Verb("world_models.kalman.benchmark", "how fast the batched Kalman filter is"),
        "report": Verb("planner.report", "put measured tables into a README or a model's card"),
    }
)
"""In the order in which they are listed."""

WIDTH = max(map(len, VERBS)) + 2


def usage() -> str:
    """What ``waymark --help`` says."""
    lines = [f"  {name:<{WIDTH}}{verb.line}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "usage: waymark VERB ...",
            "       waymark --help | --version",
            "",
            "Plans from a picture of now to a picture of the goal, and the models that such plans need.",
            "",
            "verbs:",
            *lines,
            "",
            "waymark VERB --help says more, and names the same command for python -m.",
            "",
            "Every verb ends with status 0 when it is done, 1 when it could not be done (a sentence says",
            "why), 2 when the command line is wrong, 130 after Ctrl-C and 143 after SIGTERM.",
        ]
    )


def unknown(name: str) -> str:
    """What is said to a verb that there is not."""
    near = get_close_matches(name, VERBS, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"waymark: there is no verb {name!r}{hint} The verbs are {', '.join(VERBS)}."


@command()
def main() -> None:
    """Do what the command line says: run a verb, or list the verbs. An unknown verb ends it with status 2."""
    match sys.argv[1:]:
        case [] | ["-h" | "--help", *_]:
            print(usage())
        case ["-V" | "--version", *_]:
            print(f"waymark {__version__}")
        case [name, *rest] if name in VERBS:
            run(name, rest)
        case [name, *_]:
            print(unknown(name), file=sys.stderr)
            sys.exit(2)


def run(name: str, arguments: list[str]) -> None:
    """Import the verb's module and let it read the arguments."""
    sys.argv = [f"waymark {name}", *arguments]
    import_module(VERBS[name].module).main()
