"""Requests for episodes -> tasks: all that depends on environment, models and plans is checked here."""

from planner.loaded import ReadyPlanner
from server.engine.task import drawn
from server.environments import IMAGE_SIZE, kind_of, most_steps
from server.episodes.schemas import DEFAULT_REWARD_STEPS, EpisodeRequest
from server.episodes.task import PlanInForce, PushEpisodeTask, RewardEpisodeTask
from server.errors import invalid
from server.models.service import ModelService
from server.plans.memory import Plans
from server.predictions.models import controllers_in, planners_in, pushers_in
from server.scenes.requests import sent_pictures

EpisodeTask = PushEpisodeTask | RewardEpisodeTask


def episode_task(request: EpisodeRequest, service: ModelService, plans: Plans) -> EpisodeTask:
    """``plans`` are those of the caller.

    Raises InvalidRequest, InvalidPicture, UnknownEnvironment, UnknownModel, WrongModel, UnknownPlan.
    """
    kind = kind_of(request.environment)
    most = most_steps(request.environment)
    if request.steps is not None and request.steps > most:
        raise invalid("steps", f"An episode of this environment has at most {most} steps.")
    return _push(request, service, plans, most) if kind == "push" else _rewarded(request, service, most)


def _push(request: EpisodeRequest, service: ModelService, plans: Plans, most: int) -> PushEpisodeTask:
    if request.objective is not None:
        raise invalid("objective", "Pushing has its goal: leave out objective.")
    model = None
    if request.servo == "simulator":
        if request.model is not None:
            raise invalid("model", "The simulator acts without a model: leave out model, or servo.")
    else:
        model = service.choose(request.model, pushers_in(service, request.environment))
    pictures = sent_pictures(request)
    return PushEpisodeTask(
        service.worlds,
        request.environment,
        drawn(request.seed) if pictures is None else None,
        pictures,
        _plan(request, service, plans),
        model,
        drawn(request.episode_seed),
        most if request.steps is None else request.steps,
    )


def _plan(request: EpisodeRequest, service: ModelService, plans: Plans) -> PlanInForce | ReadyPlanner:
    if request.plan is None:
        return service.choose(request.planner, planners_in(service, request.environment))
    subgoals = plans.subgoals(request.plan)
    if subgoals.shape[1] != IMAGE_SIZE:
        size = subgoals.shape[1]
        message = f"Pictures of this plan are {size} x {size} pixels; the environment's are {IMAGE_SIZE} x "
        raise invalid("plan", f"{message}{IMAGE_SIZE}.")
    return PlanInForce(request.plan, subgoals)


def _rewarded(request: EpisodeRequest, service: ModelService, most: int) -> RewardEpisodeTask:
    for name in ("start", "goal", "plan", "planner", "servo"):
        if getattr(request, name) is not None:
            raise invalid(name, "This is for pushing; tasks of DM Control start from a seed and seek reward.")
    able = controllers_in(service, request.environment, request.objective)
    model = service.choose(request.model, able)
    return RewardEpisodeTask(
        service.worlds,
        request.environment,
        drawn(request.seed),
        model,
        drawn(request.episode_seed),
        min(most, DEFAULT_REWARD_STEPS) if request.steps is None else request.steps,
    )
