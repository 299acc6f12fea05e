"""A humanoid that performs scripts before a camera: the sequences of ``python -m envs.collect actions``.

An episode is one performance of one behaviour, ten seconds long, cut into :data:`WINDOWS` sequences. From one
episode to the next differ tempo, size of the movements, where the body stands and looks, which side waves or
kicks, and slow trembling of every joint.
"""

import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np
from dm_control.suite import humanoid
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from envs.dmc.behaviours.scripts import BEHAVIOURS, Pose
from envs.dmc.env import simplify
from envs.rendering import Renderer
from world_models.data import Sequences

SIZE = 64
FRAMES = 20
WINDOWS = 5
"""Sequences of an episode, one after the other."""
STEP = 0.1
"""Seconds from frame to frame."""
CAMERA, CAMERA_AT, LOOKS_AT, FIELD_OF_VIEW = "stage", (2.25, -2.7, 1.35), (0.0, 0.0, 0.97), 34.0
"""In front and to the right of a body that looks along x; metres, degrees."""
BODIES = {
    "head": "head",
    "pelvis": "pelvis",
    **{
        f"{side}_{joint}": f"{side}_{part}"
        for side in ("right", "left")
        for joint, part in (
            ("elbow", "lower_arm"),
            ("hand", "hand"),
            ("knee", "shin"),
            ("foot", "foot"),
        )
    },
}
"""What is tracked, and whose origin it is."""
TEMPO, AMPLITUDE = (0.8, 1.25), (0.85, 1.15)
HEADING, PLACE = 35.0, 0.12
"""Degrees and metres off, at most."""
TREMBLE = 3.0
"""Degrees: amplitude of the trembling of a joint, one standard deviation."""


def label_of(episode: int) -> int:
    """Which behaviour an episode shows: they take turns."""
    return episode % len(BEHAVIOURS)


class Performer:
    """The humanoid, its stage and its camera. Call :meth:`close` at the end."""

    def __init__(self) -> None:
        source, assets = humanoid.get_model_and_assets()
        root = ElementTree.fromstring(source)
        stage = root.find("worldbody")
        assert stage is not None
        ElementTree.SubElement(stage, "camera", _camera())
        self.model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, "unicode"), assets)
        simplify(self.model, SIZE)
        self.model.geom("floor").size[2] = 100.0  # in few pieces: otherwise it takes most of the time
        self._data = mujoco.MjData(self.model)
        self._renderer = Renderer(self.model, CAMERA, SIZE)
        self._joints = {
            self.model.joint(index).name: int(self.model.jnt_qposadr[index])
            for index in range(1, self.model.njnt)
        }
        axes = self.model.camera(CAMERA).quat
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, axes)
        self._axes = rotation.reshape(3, 3)

    def perform(
        self, seed: int, episode: int
    ) -> tuple[UInt8[np.ndarray, "T H W C"], Float[np.ndarray, "T J 2"]]:
        """Pictures of one episode, and where the tracked bodies are in them (pixels, x to the right, y down,
        pixel centres are integers). Depends on nothing but its arguments.
        """
        rng = np.random.default_rng([seed, episode])
        pose = act(rng, label_of(episode), [*self._joints])
        heading, place = np.deg2rad(rng.uniform(-HEADING, HEADING)), rng.uniform(-PLACE, PLACE, 2)
        frames, places = [], []
        for t in range(WINDOWS * FRAMES):
            self._take(pose, t, float(heading), place)
            frames.append(self._renderer.render(self._data))
            places.append(self._project(np.stack([self._data.body(name).xpos for name in BODIES.values()])))
        return np.stack(frames), np.stack(places)

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()

    def _take(self, pose: Pose, t: int, heading: float, place: NDArray[np.float64]) -> None:
        """Bring the body into the pose at frame ``t``, its lowest point on the floor or ``lift`` above."""
        data, still = self._data, np.zeros(t + 1)
        yaw = heading + np.deg2rad(pose.get("yaw", still)[t])
        pitch = np.deg2rad(pose.get("pitch", still)[t])
        turned, leaned = np.empty(4), np.empty(4)
        mujoco.mju_axisAngle2Quat(turned, np.array([0.0, 0.0, 1.0]), yaw)
        mujoco.mju_axisAngle2Quat(leaned, np.array([0.0, 1.0, 0.0]), pitch)
        data.qpos[:] = 0.0
        data.qpos[:2] = place
        mujoco.mju_mulQuat(data.qpos[3:7], turned, leaned)
        for name, address in self._joints.items():
            data.qpos[address] = np.deg2rad(pose.get(name, still)[t])
        mujoco.mj_kinematics(self.model, data)
        data.qpos[2] = pose.get("lift", still)[t] - self._lowest()
        mujoco.mj_forward(self.model, data)

    def _lowest(self) -> float:
        """Height of the body's lowest point; it is made of spheres and capsules."""
        lowest = []
        for index in range(1, self.model.ngeom):  # the first one is the floor
            radius, half, _ = self.model.geom_size[index]
            capsule = self.model.geom_type[index] == mujoco.mjtGeom.mjGEOM_CAPSULE
            upright = abs(self._data.geom_xmat[index].reshape(3, 3)[2, 2]) if capsule else 0.0
            lowest.append(self._data.geom_xpos[index, 2] - radius - half * upright)
        return float(min(lowest))

    def _project(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels ``[n, 2]`` of places ``[n, 3]``."""
        right, up, back = ((places - np.array(CAMERA_AT)) @ self._axes).T
        scale = SIZE / 2 / np.tan(np.deg2rad(FIELD_OF_VIEW) / 2) / -back
        return np.stack([(SIZE - 1) / 2 + right * scale, (SIZE - 1) / 2 - up * scale], axis=-1)


def act(rng: np.random.Generator, label: int, joints: list[str]) -> Pose:
    """One performance of a behaviour, frame by frame, in degrees (``lift``: metres)."""
    rate, script = [*BEHAVIOURS.values()][label]
    times = STEP * np.arange(WINDOWS * FRAMES)
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * rate * rng.uniform(*TEMPO) * times
    size, side = rng.uniform(*AMPLITUDE), "right" if rng.random() < 0.5 else "left"
    arms = ("shoulder1", "shoulder2", "elbow")  # postures of arms are places, not sizes
    pose = {
        name: course * (1.0 if name.endswith(arms) else size) for name, course in script(phase, side).items()
    }
    for name in joints:
        speed, begin, strength = rng.uniform(0.2, 0.6), rng.uniform(0, 2 * np.pi), rng.normal(0, TREMBLE)
        pose[name] = pose.get(name, np.zeros_like(times)) + strength * np.sin(
            begin + 2 * np.pi * speed * times
        )
    return pose


def draw_sequences(performer: Performer, seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count - 1`` of the data set with this seed.

    The state is the label, the number of the episode, and the pixel positions of the bodies. Nobody acts;
    no frame is a keyframe.
    """
    frames, states = list[NDArray[np.uint8]](), list[NDArray[np.float64]]()
    last = -(-(first + count) // WINDOWS)
    for episode in range(first // WINDOWS, last):
        film, places = performer.perform(seed, episode)
        told = np.broadcast_to([label_of(episode), episode], (len(film), 2))
        frames.append(film)
        states.append(np.concatenate([told, places.reshape(len(film), -1)], axis=1))
    skipped = first % WINDOWS
    pictures = np.concatenate(frames).reshape(-1, FRAMES, SIZE, SIZE, 3)[skipped : skipped + count]
    truth = np.concatenate(states).reshape(len(frames) * WINDOWS, FRAMES, -1)[skipped : skipped + count]
    return Sequences(
        frames=pictures,
        actions=np.zeros((count, FRAMES - 1, 0), dtype=np.float32),
        keyframes=np.zeros((count, FRAMES), dtype=np.bool_),
        states=truth.astype(np.float32),
    )


def _camera() -> dict[str, str]:
    """The camera as MuJoCo's XML has it."""
    forward = np.array(LOOKS_AT) - np.array(CAMERA_AT)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    axes = np.concatenate([right, np.cross(right, forward)])
    numbers = {
        "pos": np.array(CAMERA_AT),
        "xyaxes": axes / np.repeat(np.linalg.norm(axes.reshape(2, 3), axis=1), 3),
    }
    return {
        "name": CAMERA,
        "mode": "fixed",
        "fovy": str(FIELD_OF_VIEW),
        **{name: " ".join(map(str, values.tolist())) for name, values in numbers.items()},
    }
