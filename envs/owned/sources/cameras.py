"""Which of several pictures of the same moment are meant."""

from collections.abc import Sequence

from world_models.data import DataError


def choose_camera(cameras: Sequence[str], wanted: str | None, place: str, holds: str) -> str:
    """The camera that was asked for, or the only one.

    Args:
        cameras: full names; the part after the last slash or dot is enough where only one ends so.
        wanted: what was asked for; None for the only one.
        place: the file or folder, for messages.
        holds: what else is in there, for messages.

    Raises:
        DataError: there is none, or several fit.
    """
    if not cameras:
        raise DataError(f"{place} holds no pictures: it holds {holds or 'nothing'}")
    fitting = [name for name in cameras if wanted in (None, name)]
    if wanted is not None and not fitting:
        fitting = [name for name in cameras if name.endswith((f"/{wanted}", f".{wanted}"))]
    if len(fitting) == 1:
        return fitting[0]
    names = " or ".join(fitting or cameras)
    if wanted is None:
        raise DataError(f"{place} holds several cameras; choose --camera {names}")
    raise DataError(f"{place} has {'several' if fitting else 'no'} {wanted}; choose --camera {names}")
