"""What tasks of DM Control pay to random actions and to a search that knows the world: how to read a return.

Means of whole episodes (1,000 control steps) from the frozen starts, as ``python -m planner.evaluate dmc``
measures them; the tables in ``planner/README.md`` have the same figures with their spread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MANIFEST = "dmc-20"
"""The frozen starts."""


@dataclass(frozen=True)
class KnownReturns:
    """Mean returns of uniform actions and of a search in the true dynamics with the true reward.

    ``simulator`` is None where it was not measured.
    """

    random: float
    simulator: float | None


RETURNS: Mapping[str, KnownReturns] = MappingProxyType(
    {
        "acrobot-swingup": KnownReturns(7.4, None),
        "cartpole-balance": KnownReturns(283.7, 956.1),
        "cheetah-run": KnownReturns(13.8, 582.4),
        "reacher-easy": KnownReturns(38.2, 983.9),
        "walker-stand": KnownReturns(136.6, 991.4),
        "walker-walk": KnownReturns(39.6, None),
    }
)
"""By name of the task."""
