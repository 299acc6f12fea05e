"""The planar two-link arm: closed-form kinematics and the step that turns an action into servo targets.

Both the environment (one row) and the simulator world model (hundreds of rows) use these functions,
which is why a planned roll-out and its execution agree to the last bit. Lengths in table units
(metres of the model), angles in radians; every function works on arrays with leading batch dimensions.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LINK = 1.5
BASE = np.array([0.0, -1.45])
STEP = 0.1
"""Finger displacement of a full action."""
SUBSTEPS = 4
"""Physics steps per action; the servo targets ramp over them."""
LEAD = 0.02
"""How far the target may stay ahead of the finger: bounds the force when the finger is blocked."""
REACH = 1.15
"""Targets are clipped to the square of this half-width."""


def forward(joints: Array) -> Array:
    """Finger position ``[..., 2]`` of shoulder and elbow angles ``[..., 2]``."""
    shoulder, fore = joints[..., 0], joints[..., 0] + joints[..., 1]
    x = BASE[0] + LINK * (np.cos(shoulder) + np.cos(fore))
    y = BASE[1] + LINK * (np.sin(shoulder) + np.sin(fore))
    return np.stack([x, y], axis=-1)


def inverse(finger: Array) -> Array:
    """Angles ``[..., 2]`` that put the finger at ``[..., 2]``, elbow to the right of the reach line.

    Points beyond the reach of ``2 * LINK`` get the stretched arm that points at them.
    """
    x, y = finger[..., 0] - BASE[0], finger[..., 1] - BASE[1]
    half_bend = np.arccos(np.minimum(np.sqrt(x * x + y * y) / (2 * LINK), 1.0))
    return np.stack([np.arctan2(y, x) - half_bend, 2 * half_bend], axis=-1)


def servo_targets(joints: Array, control: Array, action: Array) -> Array:
    """Servo set-points ``[..., SUBSTEPS, 2]`` for one action.

    The set-point moves on from where the last one was (at most :data:`LEAD` ahead of the finger) by
    ``STEP * action``, in a straight joint-space ramp.

    Args:
        joints: current angles ``[..., 2]``.
        control: the last set-point ``[..., 2]``.
        action: ``[..., 2]`` in [-1, 1].
    """
    finger = forward(joints)
    lead = forward(control) - finger
    distance = np.sqrt(lead[..., 0] ** 2 + lead[..., 1] ** 2)
    start = finger + lead * np.minimum(1.0, LEAD / np.maximum(distance, 1e-12))[..., None]
    ends = np.stack([start, np.clip(start + STEP * action, -REACH, REACH)], axis=-2)
    angles = inverse(ends)
    ramp = np.arange(1, SUBSTEPS + 1)[:, None] / SUBSTEPS
    return angles[..., :1, :] + (angles[..., 1:, :] - angles[..., :1, :]) * ramp
