"""What a load test has shown: figures, the bounds they must keep, a table and a picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from server.health.schemas import LIVE_PATH
from server.load.client import NO_REPLY, Reply
from world_models.jobs.figures import Axes, new_figure, save_figure

Figures = dict[str, Any]
REFUSALS = (429, 503)
GRACE_SECONDS = 0.25
"""By how much a plan may come after its deadline."""


def latencies(replies: Sequence[Reply]) -> Figures:
    """Median and tail of the times of replies, in milliseconds."""
    times = [1e3 * reply.seconds for reply in replies] or [float("nan")]
    p50, p99 = np.percentile(times, [50, 99])
    return {"n": len(replies), "p50_ms": float(p50), "p99_ms": float(p99), "max_ms": max(times)}


def throughput(clients: int, replies: Sequence[Reply], seconds: float) -> Figures:
    """Answers per second that a number of clients get, and how long they wait."""
    answered = [reply for reply in replies if reply.status == 200]
    refused = len(replies) - len(answered)
    rate = len(answered) / seconds
    return {"clients": clients, "per_second": rate, "refused": refused, **latencies(answered)}


def overload(
    replies: Sequence[Reply], health: Sequence[Reply], seconds: float, deadline: float, capacity: float
) -> Figures:
    """What became of requests that came faster than they can be answered.

    Args:
        replies: to the plans asked for.
        health: replies of ``/livez`` meanwhile.
        seconds: for how long requests came.
        deadline: of each plan, in seconds.
        capacity: plans per second without overload.
    """
    accepted = [reply for reply in replies if reply.status == 200]
    in_time = sum(reply.seconds <= deadline + GRACE_SECONDS for reply in accepted)
    complete = sum(reply.complete and reply.at + reply.seconds <= seconds for reply in accepted)
    refused = [reply for reply in replies if reply.status in REFUSALS]
    return {
        "seconds": seconds,
        "statuses": {
            _status(code): count for code, count in sorted(Counter(r.status for r in replies).items())
        },
        "accepted": latencies(accepted),
        "refused": latencies(refused),
        "in_time_share": in_time / max(1, len(accepted)),
        "whole_share": sum(reply.complete for reply in accepted) / max(1, len(accepted)),
        "goodput_per_second": complete / seconds,
        "goodput_of_capacity": complete / seconds / capacity,
        "refused_without_retry_after": sum(not reply.retry_after for reply in refused),
        "livez": {**latencies(health), "failed": sum(reply.status != 200 for reply in health)},
        "lag_p99_ms": float(np.percentile([1e3 * reply.lag for reply in (*replies, *health)], 99)),
    }


def _status(code: int) -> str:
    return "none" if code == NO_REPLY else str(code)


def bounds(result: Mapping[str, Any]) -> Figures:
    """Every promise with the figure measured and whether it is kept."""
    found, together = result["overload"], result["together"]
    other = sum(
        count for code, count in found["statuses"].items() if code not in {"200", *map(str, REFUSALS)}
    )
    rows = {
        "replies other than 200, 429 and 503": (other, "at most", 0),
        "accepted plans within deadline + 250 ms": (found["in_time_share"], "at least", 0.99),
        "/livez p99 in ms": (found["livez"]["p99_ms"], "at most", 50.0),
        "/livez failures": (found["livez"]["failed"], "at most", 0),
        "goodput relative to capacity": (found["goodput_of_capacity"], "at least", 0.9),
        "refusals without Retry-After": (found["refused_without_retry_after"], "at most", 0),
        "time of 8 plans together relative to 8 in a row": (together["ratio"], "at most", 1.05),
        "plans together that differ from the same alone": (together["different"], "at most", 0),
    }
    return {
        name: {
            "value": value,
            "bound": f"{word} {limit}",
            "kept": bool(value <= limit if word == "at most" else value >= limit),
        }
        for name, (value, word, limit) in rows.items()
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Throughput and bounds as Markdown."""
    machine, protocol = result["machine"], result["protocol"]
    lines = [
        f"Measured on {machine['cores']} cores ({machine['processor']}), torch {machine['torch']}, "
        f"overload {protocol['factor']:g} x capacity for {protocol['seconds']:g} s, "
        f"deadline {protocol['deadline_ms']} ms.",
        "",
        "| asked for | clients | per second | p50 ms | p99 ms |",
        "|---|---|---|---|---|",
    ]
    for name in ("plans", "actions"):
        lines += [
            f"| {name} | {row['clients']} | {row['per_second']:.2f} "
            f"| {row['p50_ms']:.0f} | {row['p99_ms']:.0f} |"
            for row in result[name]
        ]
    lines += ["", "| under overload | measured | bound | kept |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {row['value']:.4g} | {row['bound']} | {'yes' if row['kept'] else 'NO'} |"
        for name, row in result["bounds"].items()
    ]
    statuses = ", ".join(f"{count} x {code}" for code, count in result["overload"]["statuses"].items())
    lag = result["overload"]["lag_p99_ms"]
    last = f"Replies under overload: {statuses}. Requests were sent up to {lag:.1f} ms late (p99)."
    return "\n".join([*lines, "", last])


def picture(replies: Sequence[Reply], health: Sequence[Reply], deadline: float, path: Path) -> None:
    """Draw how long replies to plans and of ``/livez`` took over time, by status; writes a PNG."""
    figure = new_figure(figsize=(9.0, 6.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    kinds = {
        "200, search went through": [reply for reply in replies if reply.status == 200 and reply.complete],
        "200, cut by the deadline": [
            reply for reply in replies if reply.status == 200 and not reply.complete
        ],
        "429 or 503": [reply for reply in replies if reply.status in REFUSALS],
        "other": [reply for reply in replies if reply.status not in {200, *REFUSALS}],
    }
    for colour, (name, found) in zip(("C2", "C1", "grey", "C3"), kinds.items(), strict=True):
        _dots(upper, found, colour, f"{name} ({len(found)})")
    upper.axhline(1e3 * deadline, color="black", linestyle=":", linewidth=1, label="deadline")
    upper.set(ylabel="reply after ms", title="Plans asked for")
    upper.legend(loc="center right", fontsize=8)
    _dots(lower, health, "C0", LIVE_PATH)
    lower.axhline(50.0, color="black", linestyle=":", linewidth=1)
    lower.set(xlabel="seconds", ylabel="/livez ms")
    save_figure(figure, path, dpi=130)


def _dots(axes: Axes, replies: Sequence[Reply], colour: str, name: str) -> None:
    times, values = [reply.at for reply in replies], [1e3 * reply.seconds for reply in replies]
    axes.scatter(times, values, s=8, color=colour, label=name)
    axes.grid(alpha=0.3)
