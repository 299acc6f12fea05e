"""How reward heads are trained."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from world_models.training.fit import FitConfig, PositiveInt


class RewardRecipe(FitConfig):
    """How every head learns, whatever it reads."""

    steps: PositiveInt = 1000
    batch: PositiveInt = 32
    learning_rate: float = 3e-3
    observed: PositiveInt = 8
    """Frames that the world model sees; it imagines the rest."""
    tested: PositiveInt = 1000
    """Sequences, at the end, that test the heads; all others train them."""
    choosing: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the latter that is not learned from: of the states that a head goes through as it learns, the
    one with the least error on these sequences is kept."""
    width: PositiveInt = 128
    """Units of each layer."""


class RewardRun(BaseModel):
    """The reward heads of one finished run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Path = Path("runs/struct-vrnn-dmc-0")
    """Folder of the run; the heads go to ``rewards`` in it. Finished ones are kept."""
    data: Path = Path("data/dmc")
    """Folder with one folder of sequences per task."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""
    threads: int = 1
    """CPU threads; one per process is fastest when cores are shared."""
    recipe: RewardRecipe = RewardRecipe()
    """How a head learns."""
