"""Control models as the verbs know them."""

from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.control.presets import CONTROL_PRESETS
from world_models.struct_vrnn.control.run import train_control
from world_models.training.method import Method

CONTROL = Method(
    config=ControlConfig,
    load=Control.load,
    runs=CONTROL_PRESETS,
    train=train_control,
    evaluations={},
)
"""A latent for control on keypoints, with rewards, values and a policy.

Source: Hansen, Su and Wang 2024, *TD-MPC2: Scalable, Robust World Models for Continuous Control*.
"""
