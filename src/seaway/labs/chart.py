"""Pictures of results as SVG text: bars side by side, on a linear or a logarithmic scale; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

COLORS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 84, 24, 64, 64


def _text(x: float, y: float, text: str, size: int = 12, anchor: str = "middle", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def _ticks(top: float, log: bool, low: float) -> list[float]:
    """Values for the scale's lines: powers of ten, or about five even steps."""
    if log:
        return [10.0**n for n in range(round(math.log10(low)), math.ceil(math.log10(top)) + 1)]
    step = 10 ** math.floor(math.log10(top / 5)) if top > 0 else 1.0
    step = next(step * m for m in (1, 2, 5, 10) if top / (step * m) <= 6)
    return [n * step for n in range(math.ceil(top / step) + 1)]


def bars(
    title: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    label: Callable[[float], str] = lambda v: f"{v:g}",
    axis: str = "",
    log: bool = False,
) -> str:
    """A group of bars for each of `groups`, a bar in it for each of `series`, its value on top."""
    values = [v for row in series.values() for v in row if v > 0]
    low = 10.0 ** math.floor(math.log10(min(values, default=1))) if log else 0.0
    ticks = _ticks(max(values, default=1.0), log, low or 1.0)
    top = ticks[-1]
    inner, plot = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def height(value: float) -> float:
        if value <= 0:
            return 0.0
        if log:
            return plot * math.log10(max(value / low, 1.0)) / max(math.log10(top / low), 1e-9)
        return plot * value / top

    base = HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(WIDTH / 2, 24, title, 15, weight="bold"),
    ]
    for value in ticks:
        y = base - height(value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, label(value), 11, "end"))
    if axis:
        parts.append(_text(LEFT, TOP - 10, axis, 11, "start"))
    slot = inner / max(len(groups), 1)
    width = min(slot * 0.8 / max(len(series), 1), 70)
    for g, group in enumerate(groups):
        start = LEFT + slot * g + (slot - width * len(series)) / 2
        for s, row in enumerate(series.values()):
            tall, x = height(row[g]), start + s * width
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{base - tall:.1f}" width="{width - 2:.1f}" height="{tall:.1f}" '
                f'fill="{COLORS[s % len(COLORS)]}"/>'
            )
            parts.append(_text(x + width / 2, base - tall - 4, label(row[g]), 10))
        parts.append(_text(LEFT + slot * (g + 0.5), base + 18, group, 12))
    x = float(LEFT)
    for s, name in enumerate(series):
        parts.append(f'<rect x="{x:.1f}" y="{HEIGHT - 24}" width="12" height="12" fill="{COLORS[s % len(COLORS)]}"/>')
        parts.append(_text(x + 18, HEIGHT - 14, name, 12, "start"))
        x += 36 + 7 * len(name)
    return "\n".join([*parts, "</svg>"]) + "\n"
