"""The card of a KeyIn model."""

from world_models.data import SequenceDataset
from world_models.keyin.figures import Figures
from world_models.keyin.published.stage import DiscoveryStage
from world_models.keyin.recipe import STAGES, KeyInRecipe, KeyInRun
from world_models.shipped import find_folder, model_name, weights_digest
from world_models.training.card import data_section, first_shard, training_section


def card_text(run: KeyInRun, data: SequenceDataset, command: str, figures: Figures) -> str:
    """What the model is, what it learned from, how, and how well.

    Args:
        run: how it was trained.
        data: what it learned from.
        command: how the run was started.
        figures: what was measured on the held-out sequences.
    """
    recipe = run.recipe
    if recipe.discovery is not None:
        unused = {"coder", "surprise", "teacher", "predictor", "soft"}
    else:
        unused = _unused(recipe) | {"discovery"}
    unused |= set() if recipe.reader is not None else {"reader"}
    unused |= {"autoencoder"} if run.autoencoder is not None else set()
    used = {name: getattr(recipe, name) for name in STAGES if name not in unused}
    origin = (
        f"{len(data)} sequences of {data.shapes['frames'][0]} pictures; "
        f"the last {recipe.held_out} were held out.",
        f"First shard: {first_shard(data)}",
    )
    table = "\n".join(
        f"| {name} | {'-' if value is None else format(value, 'g')} |" for name, value in figures.items()
    )
    return f"""# KeyIn

Predicts {"up to " * recipe.model.countdown}{recipe.model.keyframes} keyframes and their times from one
picture; a decision is a vector of {recipe.model.latent} standard normal numbers per keyframe.
Method: Pertsch et al. 2019, *KeyIn: Discovering Subgoal Structure with Keyframe-based Video Prediction*.

{data_section(origin)}

{training_section(command, run.seed, used)}
{_taken_over(run)}
## Figures on the held-out sequences
{_figures(recipe)}

| figure | value |
|---|---|
{table}

{_published(recipe, recipe.discovery) if recipe.discovery is not None else _taught(recipe)}"""


def _unused(recipe: KeyInRecipe) -> set[str]:
    """Stages that a taught model goes without."""
    surprise = {"surprise"} if recipe.teacher.method != "surprise" else set[str]()
    return surprise | (set() if recipe.model.has_coder else {"coder"})


def _taught(recipe: KeyInRecipe) -> str:
    """What is otherwise than in the paper, where a teacher says where keyframes are."""
    return f"""## Deviations from the paper
{_keyframes(recipe)}
{_algorithm_2(recipe)}
{_any_number(recipe)}
Autoencoder trained first and then frozen, with keypoints in its encoder, blobs in its decoder and
colour-rarity weights; losses on embeddings, not pixels; deterministic interpolator that makes all frames of a
segment at once; normalised residual keyframes; small latent (z {recipe.model.latent}, beta
{recipe.predictor.beta:g}); {recipe.model.prior} prior; offsets up to S = {recipe.model.max_offset}; noise of
{recipe.autoencoder.noise:g} on the autoencoder's embeddings; smaller networks, batch
{recipe.predictor.batch}, learning rate {recipe.predictor.learning_rate:g} with cosine decay. Weights are
rounded to half precision.
"""


def _published(recipe: KeyInRecipe, stage: DiscoveryStage) -> str:
    """The same of the paper's own networks and training."""
    more = ""
    if recipe.model.location or stage.entropy or stage.price or stage.segments != "soft":
        more = (
            "\nBeyond the paper, so that it trains: attention is told where the keyframe before is likely\n"
            f"to be; entropies of the offsets are rewarded ({stage.entropy:g}, falling to 0 at half of the\n"
            f"steps); the weight of the KL begins at {stage.beta_start:g}; every keyframe costs\n"
            f"{stage.price:g}; the sequence loss is the expected error of segments between true frames."
        )
    return f"""## Deviations from the paper
Keyframes are discovered by attention (eq. 1, 2) and the soft loss of Algorithm 2 through a frozen LSTM
interpolator with a latent, which is drawn from its prior, as in the paper; no teacher, no labels, a prior
N(0, I). Autoencoder trained first and then frozen, with keypoints in its encoder, blobs in its decoder and
colour-rarity weights; losses on embeddings, not pixels, and keyframes normalised as embeddings are. LSTM_inf
sees the N + 1 frames that are recorded, not M x S. The interpolator learns on segments of 1 to
{recipe.model.longest_segment} frames, its latent is the input of every step. Layers of {recipe.model.hidden}
(paper: 256), {stage.steps} steps (200,000), batch {stage.batch}, learning rate
{stage.learning_rate:g} with cosine decay. Composed sequences take the mean of the interpolator's prior.
Weights are rounded to half precision.{more}
"""


def _figures(recipe: KeyInRecipe) -> str:
    """What the figures are about."""
    if recipe.calibration is None:
        return (
            'Lengths in pixels; "whole" = exactly one whole object in the decoded picture. How each is '
            "computed:\n`world_models/keyin/figures.py`."
        )
    return (
        "![Frames decoded, keyframes found, plans from the prior](pictures.png)\n\n"
        "The goal is the embedding of the goal picture. `straying`: distance of composed plans from what\n"
        "was recorded, in units of the median distance of consecutive frames. How each is computed:\n"
        "`world_models/keyin/own/`."
    )


def _taken_over(run: KeyInRun) -> str:
    """Whose pictures these are, if not its own."""
    if run.autoencoder is None:
        return ""
    digest = weights_digest(run.autoencoder)[:12]
    return (
        f"\nThe autoencoder is that of `{model_name(find_folder(run.autoencoder))}` (weights `{digest}`).\n"
    )


def _any_number(recipe: KeyInRecipe) -> str:
    """How one model comes to plan any number of keyframes."""
    if not recipe.model.countdown:
        return "Every plan has as many keyframes."
    often = recipe.predictor.counts or (1.0,) * recipe.model.keyframes
    shares = ", ".join(f"{share / sum(often):.0%}" for share in often)
    return (
        f"Every keyframe is told how many are left; {shares} of the batches were of 1, 2, ... keyframes,\n"
        f"and {recipe.predictor.cut:.0%} of the sequences began at a random frame."
    )


def _keyframes(recipe: KeyInRecipe) -> str:
    """Where the keyframes come from."""
    taught = {
        "constant": f"A baseline: keyframes are {recipe.teacher.constant} frames apart (Jumpy).",
        "even": "A baseline: keyframes are at equal shares of the time that is left (Jumpy).",
        "random": "A baseline: keyframes are at random times.",
        "surprise": "A baseline: keyframes are where SVG-FP on the same embeddings is surprised"
        " (Algorithm 3).",
    }
    if recipe.teacher.method in taught:
        return taught[recipe.teacher.method]
    settings = recipe.model.segmentation
    assert settings is not None
    costs = "under the frozen interpolator"
    if settings.object:
        costs = "by the object's distances from the straight line between keyframes"
        costs += ", beside the frozen\ninterpolator" if settings.interpolation else ""
    text = (
        "Keyframes of a known sequence are inferred by dynamic programming: the cheapest segmentation\n"
        f"{costs} ({settings!r}),\n"
        "where the paper learns attention over the sequence (eq. 1). The posterior is given the inferred\n"
        "keyframe and its offset. No labels are used"
    )
    if settings.object:
        text += ": the object is found by its colour in decoded pictures"
    if settings.delay:
        text += ", except that `delay` was chosen by\nF1 on 3,000 training sequences"
    return text + "."


def _algorithm_2(recipe: KeyInRecipe) -> str:
    if recipe.soft.steps:
        return (
            f"Algorithm 2 only fine-tunes, for {recipe.soft.steps} steps, what the segmentation has taught."
        )
    return "Algorithm 2 (the soft loss) is left out."
