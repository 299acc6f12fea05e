"""A second puck. Only the task with two has it: pictures and physics of the others stay as they are."""

import mujoco

SECOND_PUCK = "second_puck"
SECOND_PUCK_COLOR = (0.10, 0.70, 0.15)


def add_second_puck(spec: mujoco.MjSpec) -> None:
    """A copy of the puck in another colour, after all other bodies; the two push each other."""
    puck, name = spec.body("puck"), SECOND_PUCK
    body = spec.worldbody.add_body(
        name=name, pos=puck.pos, mass=puck.mass, inertia=puck.inertia, explicitinertial=True
    )
    for axis in ("_x", "_y"):
        joint = spec.joint("puck" + axis)
        body.add_joint(
            name=name + axis,
            type=joint.type,
            axis=joint.axis,
            damping=joint.damping,
            frictionloss=joint.frictionloss,
            range=joint.range,
            limited=joint.limited,
        )
    solid, seen = spec.geom("puck"), spec.geom("puck_visual")
    body.add_geom(
        name=name,
        type=solid.type,
        size=solid.size,
        contype=solid.contype,
        conaffinity=solid.conaffinity | solid.contype,
        condim=solid.condim,
        group=solid.group,
    )
    body.add_geom(
        name=name + "_visual",
        type=seen.type,
        size=seen.size,
        pos=seen.pos,
        contype=0,
        conaffinity=0,
        condim=seen.condim,
        rgba=[*SECOND_PUCK_COLOR, 1.0],
    )
