"""ED-LSTM as the verbs know it; it is measured beside the Kalman model."""

from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.ed_lstm.presets import ED_LSTM_PRESETS
from world_models.kalman.ed_lstm.recipe import EDLSTMRun
from world_models.kalman.ed_lstm.run import train_ed_lstm
from world_models.training.method import RUNS, Method

ED_LSTM = Method(
    config=EDLSTMConfig,
    load=EDLSTM.load,
    runs={
        name: (text, EDLSTMRun(recipe=recipe, out=RUNS / name))
        for name, (text, recipe) in ED_LSTM_PRESETS.items()
    },
    train=train_ed_lstm,
    evaluations={},
)
