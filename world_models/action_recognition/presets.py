"""Named trainings of action classifiers."""

from world_models.action_recognition.recipe import ActionRecipe

ACTION_PRESETS: dict[str, tuple[str, ActionRecipe]] = {
    "action-recognition": ("classifier of labelled keypoint sequences", ActionRecipe()),
}
