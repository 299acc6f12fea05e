"""Pictures of what a Struct-VRNN sees and imagines, in the manner of the paper's figures 2, 3 and S3."""

import colorsys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from world_models.files import write_bytes
from world_models.frames import Picture, to_bytes, to_tensor
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.vision import to_pixels

SCALE = 3
BORDER = 4
GAP = 4
LABEL = 180
"""Pixels left of a row for its name."""
FONT = 16
STRIDE = 2
"""Every second frame is shown."""
DOT = 4
"""Radius of a keypoint."""
DIMMED = 0.4
"""Brightness of pictures under keypoints."""
TRAIL = 6
"""Frames over which a keypoint's trail fades."""
SEEN, IMAGINED = (60, 170, 80), (215, 60, 50)
"""Colours of frames, as in the paper."""


@torch.no_grad()
def film_strip(
    model: StructVRNN,
    frames: UInt8[np.ndarray, "T H W C"],
    features: Float[Tensor, "T F"],
    futures: Float[Tensor, "N L F"],
    path: Path,
) -> None:
    """One sequence as rows of pictures: the truth, its keypoints with trails, what the generator makes of
    them, and sampled futures.

    Args:
        model: paints.
        frames: the sequence; the last L frames are imagined.
        features: what the model detects in it.
        futures: what it imagines.
        path: PNG to write.
    """
    length, device = len(frames), next(model.parameters()).device
    observed = length - futures.shape[1]
    reference = model.reference(to_tensor(frames[:1], device))

    def paint(described: Float[Tensor, "T F"]) -> UInt8[np.ndarray, "T H W C"]:
        return to_bytes(model.decode(described.to(device), reference.repeat(len(described))))

    true = _enlarge(frames)
    rows: dict[str, Sequence[Picture | None]] = {"truth": true}
    if model.config.representation == "keypoints":
        rows["detected keypoints"] = _with_keypoints(true, features)
    rows["from detected"] = _enlarge(paint(features))
    for index, future in enumerate(futures, 1):
        rows[f"imagined, sample {index}"] = [None] * observed + [*_enlarge(paint(future))]
    shown = range(0, length, STRIDE)
    strips = [
        _strip(name, [row[t] for t in shown], [t < observed for t in shown]) for name, row in rows.items()
    ]
    _save(np.concatenate([_header(shown, strips[0].shape[1]), *strips]), path)


def sample_fan(
    fans: Mapping[str, Float[Tensor, "N L J 2"]],
    truth: Float[Tensor, "T J 2"],
    bodies: Sequence[str],
    path: Path,
) -> None:
    """Where samples say that bodies go: one row per model, one column per body, in pixels.

    Args:
        fans: positions over the last L frames in N samples, by name of the model.
        truth: true positions, drawn in black, before the imagined frames in grey.
        bodies: their names.
        path: PNG to write.
    """
    from world_models.jobs.figures import colour_of, new_figure, save_figure

    figure = new_figure(figsize=(2.6 * len(bodies), 2.6 * len(fans)))
    axes = figure.subplots(len(fans), len(bodies), squeeze=False)
    for row, (name, fan) in zip(axes, fans.items(), strict=True):
        observed = len(truth) - fan.shape[1]
        for column, (axis, body) in enumerate(zip(row, bodies, strict=True)):
            track = truth[:, column]
            for index, sample in enumerate(fan[:, :, column]):
                colour = colour_of("hsv", index / len(fan))
                axis.plot(*sample.T.numpy(), color=colour, linewidth=0.7, alpha=0.7)
                axis.plot(*sample[-1].numpy(), ".", color=colour, markersize=4)
            axis.plot(*track[:observed].T.numpy(), color="grey", linewidth=2)
            axis.plot(*track[observed - 1 :].T.numpy(), color="black", linewidth=2)
            axis.plot(*track[-1].numpy(), "o", color="black", markersize=5)
            everything = [track, *(other[:, :, column].flatten(0, 1) for other in fans.values())]
            left, right, top, bottom = _square(torch.cat(everything))
            axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", title=f"{name}: {body}")
            axis.tick_params(labelsize=7)
    figure.tight_layout()
    save_figure(figure, path, dpi=100)


def counterfactuals(
    true: Float[Tensor, "n T J 2"],
    moved: Float[Tensor, "n T J 2"],
    futures: Mapping[str, Float[Tensor, "n L J 2"]],
    player: Int[Tensor, " n"],
    path: Path,
) -> None:
    """Scenes in which a player's past is moved, in the manner of Fig. 6: a column per scene.

    Upper row: what was (blue) and what would have been (red). Lower row: what the model makes of the past as
    it was and of the moved one, over the true paths in grey. Past frames are pale, dots are final places, a
    cross marks the player.

    Args:
        true: where bodies were, in pixels.
        moved: where they would have been.
        futures: what is imagined from the pasts ``unedited`` and ``edited``, over the last L frames.
        player: who is moved.
        path: PNG to write.
    """
    from world_models.jobs.figures import Line2D, new_figure, save_figure

    colours = {"unedited": "tab:blue", "edited": "tab:red"}
    figure = new_figure(figsize=(3.2 * len(true), 7.8))
    axes = figure.subplots(2, len(true), squeeze=False)
    pasts = {"unedited": true, "edited": moved}
    observed = true.shape[1] - futures["edited"].shape[1]
    for index in range(len(true)):
        for row in range(2):
            panel = axes[row][index]
            for name, colour in colours.items():
                whole = pasts[name][index]
                if row:
                    whole = torch.cat([whole[:observed], futures[name][index]])
                for body in range(whole.shape[1]):
                    if row:
                        panel.plot(
                            *pasts[name][index, :, body].T.numpy(), color="lightgrey", linewidth=2.5, zorder=1
                        )
                    panel.plot(*whole[:observed, body].T.numpy(), color=colour, linewidth=1, alpha=0.45)
                    panel.plot(*whole[observed - 1 :, body].T.numpy(), color=colour, linewidth=1.5)
                    panel.plot(*whole[-1, body].numpy(), "o", color=colour, markersize=3.5)
                first = whole[observed - 1, int(player[index])].numpy()
                panel.plot(*first, "x", color="black", markersize=6, zorder=3)
            panel.set(xlim=(0, 63), ylim=(63, 0), aspect="equal", xticks=[], yticks=[])
            panel.set_title("what the model makes of it" if row else "the truth", fontsize=9)
    marks = [
        Line2D([], [], color=colours["unedited"], label="past as it was"),
        Line2D([], [], color=colours["edited"], label="past of one player moved"),
        Line2D([], [], color="lightgrey", linewidth=2.5, label="true paths, below what the model makes"),
        Line2D([], [], color="black", marker="x", linestyle="", label="that player when last seen"),
        Line2D([], [], color="dimgrey", marker="o", markersize=3.5, linestyle="", label="final places"),
    ]
    figure.legend(handles=marks, loc="lower center", ncols=3 if len(true) > 2 else 1, fontsize=9)
    figure.tight_layout(rect=(0.0, 0.08 if len(true) > 2 else 0.16, 1.0, 1.0))
    save_figure(figure, path, dpi=110)


def _square(places: Float[Tensor, "P 2"]) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of a square round all places, one pixel wide at least."""
    low, high = places.amin(0), places.amax(0)
    (x, y), half = (0.5 * (low + high)).tolist(), 0.55 * max(float((high - low).max()), 1.0)
    return x - half, x + half, y - half, y + half


def _with_keypoints(pictures: Sequence[Picture], features: Float[Tensor, "T F"]) -> list[Picture]:
    """Dots at the keypoints, as opaque as their scales, and where they were in the frames before; dimmed
    pictures below.
    """
    found = features.cpu().unflatten(-1, (-1, 3))
    places = (to_pixels(found[..., :2], pictures[0].shape[0] // SCALE) + 0.5) * SCALE
    tracks = torch.cat([places, found[..., 2:].clamp(0.0, 1.0)], -1).movedim(1, 0)
    drawn = []
    for t, picture in enumerate(pictures):
        canvas = Image.fromarray((DIMMED * picture).astype(np.uint8)).convert("RGBA")
        for index, track in enumerate(tracks[:, max(t - TRAIL, 0) : t + 1].tolist()):
            layer = Image.new("RGBA", canvas.size)
            _draw_track(ImageDraw.Draw(layer), track, colorsys.hsv_to_rgb(index / len(tracks), 1.0, 1.0))
            canvas.alpha_composite(layer)
        drawn.append(np.asarray(canvas.convert("RGB")))
    return drawn


def _draw_track(
    draw: ImageDraw.ImageDraw, track: Sequence[Sequence[float]], colour: tuple[float, float, float]
) -> None:
    """A keypoint's last places (x, y, scale)."""
    red, green, blue = (round(255 * part) for part in colour)
    for age, (now, before) in enumerate(zip(track[:0:-1], track[-2::-1], strict=True)):
        # A keypoint that was off came from nowhere.
        opacity = min(now[2], before[2]) * (1 - age / TRAIL)
        draw.line([*before[:2], *now[:2]], fill=(red, green, blue, round(255 * opacity)), width=2)
    x, y, scale = track[-1]
    corners = [x - DOT, y - DOT, x + DOT, y + DOT]
    draw.ellipse(corners, fill=(red, green, blue, round(255 * scale)))


def _enlarge(frames: UInt8[np.ndarray, "T H W C"]) -> list[Picture]:
    return [*frames.repeat(SCALE, axis=1).repeat(SCALE, axis=2)]


def _strip(name: str, pictures: Sequence[Picture | None], seen: Sequence[bool]) -> Picture:
    """A named row: pictures side by side in coloured frames, white where there is none."""
    side = next(picture.shape[0] for picture in pictures if picture is not None) + 2 * BORDER
    strip = np.full((side + GAP, LABEL + len(pictures) * (side + GAP), 3), 255, np.uint8)
    for index, (picture, known) in enumerate(zip(pictures, seen, strict=True)):
        if picture is not None:
            left = LABEL + index * (side + GAP)
            tile = strip[:side, left : left + side]
            tile[:] = SEEN if known else IMAGINED
            tile[BORDER:-BORDER, BORDER:-BORDER] = picture
    return _write(strip, [(4, (side - FONT) // 2, name)])


def _header(times: Sequence[int], width: int) -> Picture:
    """Frame numbers over the columns."""
    step = (width - LABEL) // len(times)
    words = [(LABEL + index * step + BORDER, 0, f"frame {time}") for index, time in enumerate(times)]
    return _write(np.full((FONT + 4, width, 3), 255, np.uint8), words)


def _write(picture: Picture, words: Sequence[tuple[int, int, str]]) -> Picture:
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT)
    for left, top, text in words:
        draw.text((left, top), text, fill=(0, 0, 0), font=font)
    return np.asarray(image)


def _save(picture: Picture, path: Path) -> None:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    write_bytes(path, buffer.getvalue())
