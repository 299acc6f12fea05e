"""The changes that worlds are put through, by name, and pairs of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np

from envs.corruption import Corruption
from envs.dmc.variation import DmcVariation
from envs.push.variation.distractors import Distractor
from envs.push.variation.factors import Variation

V = TypeVar("V", Variation, DmcVariation)
STANDARD = "standard"
YELLOW = (0.85, 0.75, 0.10)

VARIATIONS: Mapping[str, tuple[str, Variation]] = MappingProxyType(
    {
        STANDARD: ("nothing: as in training", Variation()),
        "puck-violet": ("puck's colour, moderately", Variation(puck_color=(0.60, 0.12, 0.80))),
        "puck-pink": ("puck's colour, as far as it is found", Variation(puck_color=(0.80, 0.12, 0.50))),
        "puck-red": ("puck's colour, farther", Variation(puck_color=(0.90, 0.10, 0.10))),
        "puck-yellow": ("puck's colour, to near the table's hue", Variation(puck_color=YELLOW)),
        "wall-green": ("wall's colour", Variation(wall_color=(0.16, 0.60, 0.30))),
        "wall-orange": ("wall's colour, farther", Variation(wall_color=(0.85, 0.45, 0.10))),
        "table-grey": ("table's colour", Variation(table_color=(0.35, 0.35, 0.35))),
        "table-texture": ("a grain on the table, 10 % sd", Variation(table_texture=0.1)),
        "light-0.5": ("half the light", Variation(light=0.5)),
        "light-0.8": ("a fifth less light", Variation(light=0.8)),
        "light-1.2": ("a fifth more light", Variation(light=1.2)),
        "light-1.5": ("half as much light again", Variation(light=1.5)),
        "light-warm": ("warm light", Variation(light_color=(1.15, 1.0, 0.75))),
        "light-side": ("the sun at 45° to the right", Variation(light_from=(30.0, 45.0))),
        "white-balance": (
            "white balance off: all as in cool light",
            Variation(corruption=Corruption(white_balance=(0.80, 0.95, 1.20))),
        ),
        "gamma-0.7": ("pictures brightened by gamma", Variation(corruption=Corruption(gamma=0.7))),
        "noise-0.03": ("noise of 3 % sd in every picture", Variation(corruption=Corruption(noise=0.03))),
        "blur-0.7": ("pictures blurred by 0.7 pixels sd", Variation(corruption=Corruption(blur=0.7))),
        "jpeg-50": ("pictures through JPEG of quality 50", Variation(corruption=Corruption(jpeg=50))),
        "pitch+3": ("camera pitched by 3°", Variation(camera_pitch=3.0)),
        "pitch-3": ("camera pitched by -3°", Variation(camera_pitch=-3.0)),
        "yaw+3": ("camera turned to the left by 3°", Variation(camera_yaw=3.0)),
        "shift-2px": ("all moved by 2 pixels, right and down", Variation(camera_shift=(2.0, 2.0))),
        "radius-0.85": ("puck 15 % smaller", Variation(puck_radius=0.85)),
        "radius-1.15": ("puck 15 % larger", Variation(puck_radius=1.15)),
        "friction-2": ("twice the friction", Variation(friction=2.0)),
        "distractor": (
            "a yellow box lies about",
            Variation(distractors=(Distractor(shape="box", color=YELLOW),)),
        ),
        "distractor-moving": (
            "a yellow box moves about",
            Variation(distractors=(Distractor(shape="box", color=YELLOW, moves=True),)),
        ),
    }
)
"""Of the pushing worlds: what is changed, and the world that results."""

DMC_VARIATIONS: Mapping[str, tuple[str, DmcVariation]] = MappingProxyType(
    {
        STANDARD: ("nothing: as in training", DmcVariation()),
        "light-0.7": ("30 % less light", DmcVariation(light=0.7)),
        "light-1.3": ("30 % more light", DmcVariation(light=1.3)),
        "body-green": ("body's colour", DmcVariation(body_color=(0.30, 0.65, 0.30))),
        "body-violet": ("body's colour, to near the floor's", DmcVariation(body_color=(0.55, 0.35, 0.70))),
        "shift-2px": ("all moved by 2 pixels, right and down", DmcVariation(camera_shift=(2.0, 2.0))),
    }
)
"""The same of the DM Control worlds."""


@dataclass(frozen=True)
class Change(Generic[V]):
    """A changed world: the variations that make it, none in the standard world."""

    variations: tuple[str, ...]
    what: str
    world: V

    @property
    def name(self) -> str:
        """That of its variation, or both of a pair's."""
        return "_".join(self.variations) or STANDARD


def select_changes(names: Sequence[str], table: Mapping[str, tuple[str, V]]) -> list[Change[V]]:
    """The standard world, then one for each of the names."""
    chosen = dict.fromkeys([STANDARD, *names])
    return [Change(() if name == STANDARD else (name,), *table[name]) for name in chosen]


def draw_pairs(single: Sequence[Change[Variation]], count: int, seed: int) -> list[Change[Variation]]:
    """So many different pairs of these changes, each of two that change different factors.

    Raises:
        ValueError: there are fewer.
    """
    possible = [
        (one, other)
        for one, other in combinations((change for change in single if change.variations), 2)
        if not one.world.changed().keys() & other.world.changed().keys()
    ]
    if not 1 <= count <= len(possible):
        raise ValueError(f"--pairs must be 1 to {len(possible)}, of these variations, got {count}")
    drawn = np.random.default_rng(seed).choice(len(possible), size=count, replace=False)
    return [
        Change(
            one.variations + other.variations,
            f"{one.what}; {other.what}",
            one.world.combined(other.world),
        )
        for one, other in (possible[number] for number in sorted(drawn))
    ]
