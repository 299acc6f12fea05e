"""The results of the Kalman model as people read them."""

from collections.abc import Mapping
from typing import Any

METHODS = {
    "kalman-averaged": "Kalman model, averaged over the forecast",
    "kalman-mean": "Kalman model, picture of the mean (paper)",
    "ed-lstm": "ED-LSTM",
    "mean-picture": "mean picture",
    "held-picture": "last picture, blurred",
}
ANSWERS = ("inferred", "filtered", "generated", "interpolated")


def markdown_tables(content: Mapping[str, Any]) -> str:
    """Losses by method, positions by question, and the learned law, one column per number of balls."""
    results = content["results"]
    return "\n\n".join([_loss_table(results), _position_table(results), _law_table(results)])


def _loss_table(results: Mapping[str, Any]) -> str:
    """Thousandths of nats per pixel."""
    lines = [_head("loss of generated frames, 10⁻³ nats per pixel", results)]
    for name, label in METHODS.items():
        if all(name in found["loss"] for found in results.values()):
            lines.append(_row(label, (_milli(found["loss"][name]) for found in results.values())))
    known = (found["known_law"]["loss"] for found in results.values())
    lines.append(_row("true law and positions known: the floor", map(_milli, known)))
    for name in ("kalman-averaged", "kalman-mean"):
        against = [found["loss"][name].get("minus_ed_lstm") for found in results.values()]
        if None not in against:
            lines.append(_row(f"{METHODS[name]}, minus ED-LSTM", map(_milli, against)))
    return "\n".join(lines)


def _position_table(results: Mapping[str, Any]) -> str:
    lines = [_head("mean position error, px", results)]
    for name in ANSWERS:
        cells = (
            _plus_minus(found["position"][name]["mean"], found["position"][name]["ci95"])
            for found in results.values()
        )
        lines.append(_row(name, cells))
    for name in ANSWERS[1:]:
        floor = (f"{found['known_law']['position'][name]['mean']:.3f}" for found in results.values())
        lines.append(_row(f"{name}, true law and positions known", floor))
    ratios = (found["interpolated_over_generated"] for found in results.values())
    lines.append(
        _row("interpolated / generated", (_plus_minus(part["ratio"], part["ci95"]) for part in ratios))
    )
    for name in ANSWERS[1:]:
        inside = (f"{100 * found['position'][name]['within_95']:.1f} %" for found in results.values())
        lines.append(_row(f"{name}, true positions in 95 % ellipses", inside))
    swaps = (found["swaps"] for found in results.values())
    lines.append(
        _row(
            "sequences with swapped tracks",
            (f"{100 * part['share']:.1f} % ({_percent(part['ci95'])})" for part in swaps),
        )
    )
    lost = (f"{100 * found['lost_frames']:.2f} %" for found in results.values())
    lines.append(_row("lost positions", lost))
    return "\n".join(lines)


def _law_table(results: Mapping[str, Any]) -> str:
    """Learned figures, in brackets true ones."""
    laws = [found["law"] for found in results.values()]
    lines = [_head("law of motion: learned (true)", results)]
    for key, label in (("size", "acceleration, px/frame²"), ("angle_degrees", "its direction, degrees")):
        cells = (
            f"{law['learned']['acceleration'][key]:.4g} ({law['true']['acceleration'][key]:.4g})"
            for law in laws
        )
        lines.append(_row(label, cells))
    for index, axis in enumerate("xy"):
        cells = (
            f"{law['learned']['observation_sd'][index]:.3f} ({law['true']['observation_sd'][index]:.3f})"
            for law in laws
        )
        lines.append(_row(f"noise of seen positions along {axis}, px", cells))
    for label, key, index in (("position along x", "position", 0), ("velocity along x", "velocity", 0)):
        cells = (
            f"{_starts(law['learned'], key, index)} ({_starts(law['true'], key, index)})" for law in laws
        )
        lines.append(_row(f"mean start, {label}", cells))
    return "\n".join(lines)


def _starts(law: Mapping[str, Any], key: str, index: int) -> str:
    return ", ".join(f"{value:.2f}" for value in sorted(start[key][index] for start in law["starts"]))


def _head(title: str, results: Mapping[str, Any]) -> str:
    heads = " | ".join(f"N = {balls}" for balls in results)
    return f"| {title} | {heads} |\n|---|{'---|' * len(results)}"


def _row(label: str, cells: Any) -> str:
    return f"| {label} | {' | '.join(cells)} |"


def _milli(figure: Mapping[str, Any]) -> str:
    half = figure["ci95"]
    return _plus_minus(1e3 * figure["mean"], None if half is None else 1e3 * half)


def _plus_minus(value: float, half: float | None) -> str:
    """A figure with half its interval, where there is one."""
    return f"{value:.3f}" if half is None else f"{value:.3f} ± {half:.3f}"


def _percent(limits: list[float]) -> str:
    return " to ".join(f"{100 * limit:.1f}" for limit in limits)
