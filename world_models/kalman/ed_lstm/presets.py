"""Named trainings of ED-LSTMs; the -debug one runs every stage in seconds, for tests."""

from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.kalman.ed_lstm.recipe import EDLSTMRecipe
from world_models.training.fit import FitConfig

ED_LSTM_PRESETS: dict[str, tuple[str, EDLSTMRecipe]] = {
    "ed-lstm-cannonballs": (
        "ED-LSTM on cannonballs: the Kalman model's baseline",
        EDLSTMRecipe(
            teacher_forced=FitConfig(steps=1000, batch=32, learning_rate=1e-3, save_every=100),
            free_running=FitConfig(steps=400, batch=32, learning_rate=1e-3, save_every=100),
        ),
    ),
    "ed-lstm-debug": (
        "ED-LSTM on tiny pictures, in seconds",
        EDLSTMRecipe(
            model=EDLSTMConfig(image_size=12, state=8, encoder=(8,), decoder=()),
            held_out=2,
            seen=2,
            teacher_forced=FitConfig(steps=2, batch=4, save_every=1),
            free_running=FitConfig(steps=2, batch=4, save_every=1),
        ),
    ),
}
