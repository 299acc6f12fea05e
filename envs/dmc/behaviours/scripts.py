"""What the humanoid does: ten behaviours as joint angles over a phase.

A script answers angles in degrees by joint; joints that it does not name stay at zero. ``pitch`` and ``yaw``
turn the whole body with the torso, ``lift`` raises it (metres): otherwise its lowest point is on the floor.
The body is moved, not simulated: where physics has a body fall, a script goes on.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

Course = Float[np.ndarray, " T"]
Pose = dict[str, Course]
Arm = tuple[float, float, float]
"""Two angles of a shoulder and one of the elbow, of a right arm; a left one is its mirror image."""

HANG: Arm = (45, -30, -90)
FORWARD: Arm = (0, 40, -90)
UP: Arm = (-85, 10, -90)
SIDE: Arm = (-50, -30, -90)
GUARD: Arm = (25, -10, 10)
SWUNG_FORWARD: Arm = (35, -10, -90)
SWUNG_BACK: Arm = (55, -55, -90)
BENT_FORWARD: Arm = (30, -5, -10)
BENT_BACK: Arm = (30, -65, -25)
WAVED_OUT: Arm = (-85, -10, -90)
WAVED_IN: Arm = (-85, -5, -25)


def _arm(side: str, start: Arm, end: Arm, share: Course) -> Pose:
    """A way from one posture of an arm to another."""
    mirrored = 1.0 if side == "right" else -1.0
    names = ("shoulder1", "shoulder2", "elbow")
    signs = (mirrored, mirrored, 1.0)
    return {
        f"{side}_{name}": sign * (one + share * (other - one))
        for name, sign, one, other in zip(names, signs, start, end, strict=True)
    }


def _arms(start: Arm, end: Arm, share: Course) -> Pose:
    return _arm("right", start, end, share) | _arm("left", start, end, share)


def _legs(hip: Course, knee: Course, side: str) -> Pose:
    return {f"{side}_hip_y": hip, f"{side}_knee": knee}


def _there_and_back(phase: Course) -> Course:
    """0 to 1 and back."""
    return 0.5 - 0.5 * np.cos(phase)


def _stand(phase: Course, side: str) -> Pose:
    sway = np.sin(phase)
    return _arms(HANG, SWUNG_FORWARD, 0.1 + 0.1 * sway) | {"pitch": 1.5 * sway, "abdomen_x": 3.0 * sway}


def _stride(
    phase: Course, hip: tuple[float, float], knee: tuple[float, float], back: Arm, front: Arm
) -> Pose:
    """One leg after the other, and each side's arm against its leg. ``hip`` is where it rests and how far it
    swings forward, ``knee`` how it rests and how far it bends beyond that; degrees.
    """
    pose = Pose()
    for side, shift in (("right", 0.0), ("left", np.pi)):
        swing, lifted = np.sin(phase + shift), np.maximum(np.cos(phase + shift), 0.0)
        pose |= _legs(hip[0] + hip[1] * swing, knee[0] + knee[1] * lifted, side)
        pose |= _arm(side, back, front, 0.5 - 0.5 * swing)
    return pose


def _walk(phase: Course, side: str) -> Pose:
    return _stride(phase, (-5, -25), (-8, -45), SWUNG_BACK, SWUNG_FORWARD)


def _run(phase: Course, side: str) -> Pose:
    body = {"pitch": np.full_like(phase, 12.0), "lift": 0.1 * np.abs(np.cos(phase))}
    return body | _stride(phase, (-30, -45), (-25, -80), BENT_BACK, BENT_FORWARD)


def _squat(phase: Course, side: str) -> Pose:
    down = _there_and_back(phase)
    legs = _legs(-105 * down, -115 * down, "right") | _legs(-105 * down, -115 * down, "left")
    return legs | _arms(HANG, FORWARD, down) | {"pitch": 30 * down}


def _jumping_jack(phase: Course, side: str) -> Pose:
    out = _there_and_back(phase)
    legs = {f"{leg}_hip_x": -25 * out for leg in ("right", "left")}
    return legs | _arms(HANG, UP, out) | {"lift": 0.15 * np.square(np.sin(phase))}


def _wave(phase: Course, side: str) -> Pose:
    other = "left" if side == "right" else "right"
    return _arm(side, WAVED_OUT, WAVED_IN, _there_and_back(phase)) | _arm(other, HANG, HANG, phase)


def _bow(phase: Course, side: str) -> Pose:
    down = _there_and_back(phase)
    legs = {f"{leg}_hip_y": -30 * down for leg in ("right", "left")}
    return legs | _arms(HANG, SWUNG_FORWARD, down) | {"pitch": 75 * down, "abdomen_y": -45 * down}


def _kick(phase: Course, side: str) -> Pose:
    up, drawn = np.maximum(np.sin(phase), 0.0), np.maximum(-np.sin(phase), 0.0)
    leg = _legs(-95 * up + 15 * drawn, -10 - 60 * np.maximum(np.cos(phase), 0.0) * (1 - up), side)
    return leg | _arms(HANG, SIDE, 0.4 + 0.4 * up) | {"pitch": -10 * up}


def _box(phase: Course, side: str) -> Pose:
    right, left = np.maximum(np.sin(phase), 0.0), np.maximum(-np.sin(phase), 0.0)
    still = np.ones_like(phase)
    legs = _legs(-25 * still, -35 * still, "right") | _legs(-10 * still, -25 * still, "left")
    turn = {"yaw": 15 * (right - left), "abdomen_z": -15 * (right - left), "pitch": 5 * still}
    return legs | _arm("right", GUARD, FORWARD, right) | _arm("left", GUARD, FORWARD, left) | turn


def _twist(phase: Course, side: str) -> Pose:
    turn = np.sin(phase)
    return _arms(SIDE, SIDE, phase) | {"yaw": 65 * turn, "abdomen_z": -45 * turn}


BEHAVIOURS: Mapping[str, tuple[float, Callable[[Course, str], Pose]]] = {
    "stand": (0.3, _stand),
    "walk": (0.9, _walk),
    "run": (1.5, _run),
    "squat": (0.5, _squat),
    "jumping-jack": (0.8, _jumping_jack),
    "wave": (1.2, _wave),
    "bow": (0.4, _bow),
    "kick": (0.6, _kick),
    "box": (1.1, _box),
    "twist": (0.6, _twist),
}
"""Rounds per second of each behaviour, and its script, given the phase (radians) and the side that waves or
kicks, ``right`` or ``left``. The order is that of the labels."""
