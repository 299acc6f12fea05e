"""How a scene is told."""

from envs.push.scene import Scene
from server.scenes.schemas import Layout, Place, Wall


def layout(scene: Scene) -> Layout:
    """A scene as it travels."""
    return Layout(
        puck=_place(scene.puck),
        goal=_place(scene.goal),
        finger=_place(scene.finger),
        walls=[
            Wall(middle=_place(wall.middle), angle=wall.angle, half_length=wall.half_length)
            for wall in scene.walls
        ],
    )


def _place(point: tuple[float, float]) -> Place:
    return Place(x=point[0], y=point[1])
