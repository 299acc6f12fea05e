"""The search for subgoals that fits what a model can be asked for."""

from planner.goals.embedding import EmbeddingCost, SameEmbedding
from planner.goals.objects import find_objects, picture_cost, place_cost
from planner.search.hierarchy import HierarchyConfig, Planner
from world_models.goals import EmbeddingGoal
from world_models.keyin.model import KeyIn
from world_models.keyin.reader.network import PlaceReader
from world_models.segmenter import Wanted


def planner_for(
    wanted: Wanted | EmbeddingGoal, model: KeyIn, reader: PlaceReader | None, config: HierarchyConfig
) -> Planner:
    """The planner of a model; a ``reader`` spares it looking at pictures for objects.

    The number of keyframes is the model's, whatever ``config`` says.
    """
    config = config.model_copy(update={"keyframes": model.config.keyframes})
    fewest = 1 if model.config.countdown else None
    if isinstance(wanted, EmbeddingGoal):
        same = SameEmbedding(wanted, model)
        cost = EmbeddingCost(wanted, model)
        return Planner(model, cost, config, None, fewest, consistent=same.consistent)
    goal = find_objects(wanted)
    if reader is None:
        return Planner(model, picture_cost(wanted, model.decode), config, goal.plausible, fewest)
    return Planner(
        model,
        place_cost(wanted, reader.locate),
        config,
        goal.plausible,
        fewest,
        appraise=lambda picture, to: goal.distance(goal.target(picture), to),
    )
