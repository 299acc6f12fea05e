"""Data of the toy environment and models of them, of two training steps a stage."""

from tiny_models import TINY, at_random

from envs.collect import collect
from envs.owned.sources.data_sets import Gym as GymData
from planner.evaluation.settings import FOLLOWING
from planner.search.cem import CemConfig
from planner.search.hierarchy import HierarchyConfig
from world_models.checkpoint import write_goal, write_model
from world_models.goals import EmbeddingGoal, KeypointsGoal
from world_models.keyin.model import KeyIn
from world_models.keyin.own.method import OWN_KEYIN
from world_models.keyin.own.preset import OWN_DEBUG, OwnKeyInRun
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.own.method import OWN_STRUCT_VRNN
from world_models.struct_vrnn.own.preset import OWN_DEBUG as DYNAMICS_DEBUG
from world_models.struct_vrnn.own.preset import OwnStructVRNNRun

ENV = "dot_room:DotRoomPlaceable-v0"
SMALL = FOLLOWING.model_copy(
    update={
        "hierarchy": HierarchyConfig(cem=CemConfig(candidates=8, iterations=2), shortlist=3),
        "servo": FOLLOWING.servo.model_copy(
            update={"cem": CemConfig(candidates=8, iterations=2, bound=1.0), "horizon": 3}
        ),
    }
)


def record(folder, episodes, size=64):
    """A folder of data."""
    data = folder / "data"
    recorded = GymData(
        env=ENV,
        policy="dot_room:ROAM",
        episodes=episodes,
        max_steps=36,
        skip=2,
        frames=13,
        test=0.2,
        size=size,
        out=data,
    )
    collect(recorded)
    return data


def make_models(folder):
    """Folders of the data, of a KeyIn and of a Struct-VRNN."""
    data = record(folder, 24)
    keyin = OWN_KEYIN.train(OwnKeyInRun(data=data, out=folder / "keyin", recipe=OWN_DEBUG), "")
    dynamics = OWN_STRUCT_VRNN.train(
        OwnStructVRNNRun(data=data, out=folder / "dynamics", recipe=DYNAMICS_DEBUG), ""
    )
    return data, str(keyin), str(dynamics)


def untrained_models(folder, size):
    """Folders of a KeyIn and of a Struct-VRNN with random weights, and goals of their own."""
    keyin = OWN_DEBUG.model.model_copy(update={"image_size": size, "frames": 12, "longest_segment": 8})
    goal = EmbeddingGoal(unit=1.0, reached=1.0, cycle_limit=9.0, time_weight=0.1, prior_weight=0.1)
    write_model(folder / "keyin", keyin, at_random(lambda: KeyIn(keyin)), "")
    write_goal(folder / "keyin", goal)
    world = TINY.model_copy(update={"image_size": size, "actions": 2})
    write_model(folder / "world", world, at_random(lambda: StructVRNN(world)), "")
    weights = (1.0,) + (0.5,) * (world.keypoints - 1)
    write_goal(folder / "world", KeypointsGoal(weights=weights, unit=0.1, reached=1.0))
    return folder / "keyin", folder / "world"
