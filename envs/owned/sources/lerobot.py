"""Data sets of LeRobot: tables of what was measured and done, with films or pictures.

Version 2 has a table and, per camera, a film for every episode; in version 3 several episodes share a file,
and a table says where each begins. The action in a row leads to the picture in the next one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from envs.owned.sources.cameras import choose_camera
from envs.owned.sources.episode import Draw, Episode, Rows, Step, to_steps
from envs.owned.sources.films import film_pictures
from envs.owned.sources.pictures import decode_picture
from envs.owned.sources.tables import arrow, read_table, to_array
from world_models.data import DataError

INFO, EPISODES = "meta/info.json", "meta/episodes.jsonl"
ACTION, STATE, REWARD, NUMBER = "action", "observation.state", "next.reward", "episode_index"
ARRIVAL = "reward_on_arrival"
"""Column of our own exports: the reward in the row of the picture on which it was received."""
CHUNK = 1000
"""Episodes of a folder, where version 2 does not say."""


@dataclass(frozen=True)
class Place:
    """Where an episode lies.

    Attributes:
        number: of the episode, counted from 0.
        length: rows, which are pictures.
        table: file with its rows.
        film: None where the pictures are in the table.
        begins: seconds after which it begins in the film; None where the film is of this episode alone.
    """

    number: int
    length: int
    table: Path
    film: Path | None
    begins: float | None = None


def list_episodes(source: Path, camera: str | None) -> list[Episode]:
    """Episodes of a data set, by number.

    Raises:
        DataError: the folder is no such data set, or has no such camera.
    """
    arrow()
    try:
        info = json.loads((source / INFO).read_bytes())
        version, features, rate = str(info["codebase_version"]), dict(info["features"]), float(info["fps"])
        pictures = [name for name, one in features.items() if one["dtype"] in ("video", "image")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{INFO} is missing or broken ({error})"
        raise DataError(f"{source} is no data set of LeRobot: {why}") from error
    read = next((read for name, read in VERSIONS.items() if version.startswith(name)), None)
    if read is None:
        raise DataError(
            f"{source} is of version {version} of LeRobot's format; understood are {' and '.join(VERSIONS)}"
        )
    chosen = choose_camera(pictures, camera, str(source), ", ".join(features))
    try:
        meta, places = read(source, info, chosen if features[chosen]["dtype"] == "video" else None)
    except DataError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"{source}/meta is broken: {error!r}") from error
    return [
        Episode(
            f"episode-{place.number:06d}",
            partial(_steps, place, chosen, rate),
            [*meta, *(path for path in (place.table, place.film) if path is not None and path.is_file())],
            place.length,
        )
        for place in sorted(places, key=lambda place: place.number)
    ]


def _version_2(source: Path, info: Mapping[str, Any], film: str | None) -> tuple[list[Path], list[Place]]:
    """Files of the list of episodes, and the episodes."""
    if not (source / EPISODES).is_file():
        raise DataError(f"{source} lacks {EPISODES}")
    places = []
    for line in filter(None, (source / EPISODES).read_text().splitlines()):
        entry = json.loads(line)
        number = int(entry[NUMBER])
        where = {NUMBER: number, "episode_chunk": number // int(info.get("chunks_size", CHUNK))}
        table = source / info["data_path"].format(**where)
        shown = None if film is None else source / info["video_path"].format(video_key=film, **where)
        places.append(Place(number, int(entry["length"]), table, shown))
    return [source / INFO, source / EPISODES], places


def _version_3(source: Path, info: Mapping[str, Any], film: str | None) -> tuple[list[Path], list[Place]]:
    """Likewise."""
    meta = sorted((source / "meta" / "episodes").rglob("*.parquet"))
    if not meta:
        raise DataError(f"{source} lacks meta/episodes/*/*.parquet")
    keys = ["data", *([] if film is None else [f"videos/{film}"])]
    columns = [f"{key}/{part}_index" for key in keys for part in ("chunk", "file")]
    begins = [] if film is None else [f"videos/{film}/from_timestamp"]
    places = []
    for path in meta:
        for entry in read_table(path, [NUMBER, "length", *columns, *begins]).to_pylist():
            table, *shown = (
                source
                / info["data_path" if key == "data" else "video_path"].format(
                    video_key=film,
                    **{f"{part}_index": entry[f"{key}/{part}_index"] for part in ("chunk", "file")},
                )
                for key in keys
            )
            start = float(entry[begins[0]]) if begins else None
            places.append(Place(entry[NUMBER], entry["length"], table, shown[0] if shown else None, start))
    return [source / INFO, *meta], places


VERSIONS = {"v2": _version_2, "v3": _version_3}


def _steps(place: Place, camera: str, rate: float) -> Iterator[Step]:
    """The episode. Raises DataError or OSError where it cannot be read."""
    table = _rows(place, (ACTION, STATE, REWARD, ARRIVAL, NUMBER, *([camera] if place.film is None else [])))
    if len(table) != place.length:
        raise DataError(
            f"{place.table.name} has {len(table)} rows of it, the list of episodes says {place.length}"
        )
    names = {"actions": ACTION, "states": STATE, "rewards": REWARD, "arrivals": ARRIVAL}
    rows = {part: to_array(table[name]) for part, name in names.items() if name in table.column_names}
    if place.film is None:
        pictures: Iterable[Draw] = (partial(_stored, picture.as_py()) for picture in table[camera])
    elif place.begins is None:
        pictures = film_pictures(place.film)
    else:
        # Half a picture early: times are rounded.
        pictures = film_pictures(place.film, place.begins - 0.5 / rate, place.length)
    yield from to_steps(pictures, place.length, Rows(**rows))


def _rows(place: Place, columns: tuple[str, ...]) -> Any:
    """The rows of an episode, in order."""
    if not place.table.is_file():
        raise DataError(f"{place.table.name} is missing")
    table = _whole(place.table, place.table.stat().st_mtime_ns, columns)
    if NUMBER not in table.column_names:
        raise DataError(f"{place.table.name} has no column {NUMBER}")
    return table.filter(arrow().compute.equal(table[NUMBER], place.number))


@lru_cache(maxsize=1)
def _whole(path: Path, written: int, columns: tuple[str, ...]) -> Any:
    """Some columns of a file as it was written at that time; episodes in a row may be of the same one."""
    return read_table(path, list(columns))


def _stored(entry: Any) -> Any:
    """A picture of a table: the content of a file, beside its name."""
    content = entry.get("bytes") if isinstance(entry, dict) else entry
    if not isinstance(content, bytes):
        raise DataError("its pictures are not in the table")
    return decode_picture(content)
