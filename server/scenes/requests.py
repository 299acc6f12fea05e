"""Requests for scenes: the pictures that come with them."""

from server.environments import IMAGE_SIZE
from server.http.bodies import decode_text
from server.http.pictures import Picture
from server.scenes.schemas import SceneRequest


def sent_pictures(request: SceneRequest) -> tuple[Picture, Picture] | None:
    """Start and goal, decoded; None without them. Raises InvalidRequest, InvalidPicture."""
    if request.start is None or request.goal is None:
        return None
    return decode_text("start", request.start, IMAGE_SIZE), decode_text("goal", request.goal, IMAGE_SIZE)
