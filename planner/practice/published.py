"""What published agents earned from pictures, to hold learning curves against.

Mean returns over the authors' seeds, at so many steps of the environment, those of a repeated action counted
one by one. A figure of another benchmark's settings is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Published:
    """One agent's mean return in one task after so many steps of the environment."""

    agent: str
    task: str
    steps: int
    mean_return: float


SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "PlaNet": "Hafner et al. 2019, as CURL's Table 1 has it",
        "Dreamer V2": "result files of danijar/dreamerv2 or danijar/dreamerv3",
        "DreamerV3": "result files of danijar/dreamerv3",
        "CURL": "Laskin et al. 2020, Table 1",
        "DrQ-v2": "result files of facebookresearch/MRQ or nicklashansen/tdmpc2",
        "TD-MPC2": "result files of nicklashansen/tdmpc2",
        "MR.Q": "result files of facebookresearch/MRQ",
        "EfficientZero V2": "Wang et al. 2024, read from the figures by eye",
    }
)
"""Where an agent's figures are from."""

_TASKS = (
    "cartpole-balance",
    "reacher-easy",
    "walker-stand",
    "walker-walk",
    "cheetah-run",
    "acrobot-swingup",
)
_RETURNS: Mapping[str, Mapping[int, tuple[float | None, ...]]] = MappingProxyType(
    {
        "PlaNet": {
            100_000: (None, 20, None, 224, 138, None),
            500_000: (None, 210, None, 351, 305, None),
        },
        "Dreamer V2": {100_000: (803, 211, 670, 408, 332, 39), 500_000: (992, 876, 959, 934, 610, 307)},
        "DreamerV3": {100_000: (948, 409, 911, 639, 337, 39), 500_000: (994, 863, 972, 944, 672, 113)},
        "CURL": {100_000: (982, 538, 721, 403, 299, 3), 500_000: (961, 929, 538, 902, 518, 4)},
        "DrQ-v2": {100_000: (987, 250, 324, 170, 273, 5), 500_000: (988, 729, 953, 718, 603, 44)},
        "TD-MPC2": {
            100_000: (None, 360, None, 464, 286, 13),
            500_000: (None, 918, None, 949, 455, 53),
        },
        "MR.Q": {100_000: (986, 449, 892, 568, 254, 12), 500_000: (997, 928, 976, 953, 671, 148)},
        "EfficientZero V2": {
            100_000: (850, 900, 750, 650, 350, None),
            200_000: (900, 955, 955, 880, 620, 30),
        },
    }
)


def published(task: str) -> Iterator[Published]:
    """The figures of a task, agent by agent; none of a task that nobody reports."""
    if task in _TASKS:
        place = _TASKS.index(task)
        for agent, rows in _RETURNS.items():
            for steps, returns in rows.items():
                if (mean_return := returns[place]) is not None:
                    yield Published(agent, task, steps, mean_return)
