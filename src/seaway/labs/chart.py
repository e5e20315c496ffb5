"""Pictures of results as SVG text: bars side by side, lines, pictures under each other; linear or logarithmic scales; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

COLORS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756")
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


class _Plot:
    """The frame of a picture: title, scale and legend. `height` is that of a value, from `base` upwards."""

    def __init__(
        self, title: str, values: Sequence[float], label: Callable[[float], str], axis: str, log: bool
    ) -> None:
        positive = [v for v in values if v > 0]
        self._log = log
        self._low = 10.0 ** math.floor(math.log10(min(positive, default=1))) if log else 0.0
        ticks = _ticks(max(positive, default=1.0), log, self._low or 1.0)
        self._top = ticks[-1]
        self.base = HEIGHT - BOTTOM
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            'font-family="system-ui, sans-serif" fill="#222">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            _text(WIDTH / 2, 24, title, 15, weight="bold"),
        ]
        for value in ticks:
            y = self.base - self.height(value)
            self.parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
            self.parts.append(_text(LEFT - 6, y + 4, label(value), 11, "end"))
        if axis:
            self.parts.append(_text(LEFT, TOP - 10, axis, 11, "start"))

    def height(self, value: float) -> float:
        plot = HEIGHT - TOP - BOTTOM
        if value <= 0:
            return 0.0
        if self._log:
            return plot * math.log10(max(value / self._low, 1.0)) / max(math.log10(self._top / self._low), 1e-9)
        return plot * value / self._top

    def done(self, names: Iterable[str]) -> str:
        rows: list[list[tuple[float, str, str]]] = [[]]
        x = float(LEFT)
        for s, name in enumerate(names):
            wide = 36 + 7 * len(name)
            if rows[-1] and x + wide > WIDTH - RIGHT - 60:  # 60: what is written across stands there
                rows.append([])
                x = float(LEFT)
            rows[-1].append((x, name, COLORS[s % len(COLORS)]))
            x += wide
        for n, row in enumerate(rows):
            y = HEIGHT - 24 + 18 * n - 9 * (len(rows) - 1)
            for x, name, color in row:
                self.parts.append(f'<rect x="{x:.1f}" y="{y}" width="12" height="12" fill="{color}"/>')
                self.parts.append(_text(x + 18, y + 10, name, 12, "start"))
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def _plain(value: float) -> str:
    return f"{value:g}"


def bars(
    title: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    label: Callable[[float], str] = _plain,
    axis: str = "",
    log: bool = False,
) -> str:
    """A group of bars for each of `groups`, a bar in it for each of `series`, its value on top."""
    plot = _Plot(title, [v for row in series.values() for v in row], label, axis, log)
    slot = (WIDTH - LEFT - RIGHT) / max(len(groups), 1)
    width = min(slot * 0.8 / max(len(series), 1), 70)
    for g, group in enumerate(groups):
        start = LEFT + slot * g + (slot - width * len(series)) / 2
        for s, row in enumerate(series.values()):
            tall, x = plot.height(row[g]), start + s * width
            plot.parts.append(
                f'<rect x="{x + 1:.1f}" y="{plot.base - tall:.1f}" width="{width - 2:.1f}" height="{tall:.1f}" '
                f'fill="{COLORS[s % len(COLORS)]}"/>'
            )
            plot.parts.append(_text(x + width / 2, plot.base - tall - 4, label(row[g]), 10))
        plot.parts.append(_text(LEFT + slot * (g + 0.5), plot.base + 18, group, 12))
    return plot.done(series)


def sideways(
    title: str, names: Sequence[str], values: Sequence[float], label: Callable[[float], str] = _plain, mark: float = 1.0
) -> str:
    """A bar to the right for each of many names, which have room on the left; a line at `mark`, which all are compared with."""
    row, left, head = 20, 220, 44
    height = head + row * len(names) + 16
    scale = (WIDTH - left - 70) / max(*values, mark, 1e-9)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(WIDTH / 2, 24, title, 15, weight="bold"),
    ]
    for n, (name, value) in enumerate(zip(names, values, strict=True)):
        y, wide = head + row * n, scale * max(value, 0.0)
        parts.append(_text(left - 8, y + 14, name, 12, "end"))
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{wide:.1f}" height="{row - 6}" fill="{COLORS[0]}"/>')
        parts.append(_text(left + wide + 6, y + 14, label(value), 11, "start"))
    x = left + scale * mark
    parts.append(
        f'<line x1="{x:.1f}" y1="{head}" x2="{x:.1f}" y2="{height - 12}" stroke="{COLORS[1]}" stroke-dasharray="3 3"/>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def lines(
    title: str,
    xs: Sequence[float],
    series: Mapping[str, Sequence[float]],
    label: Callable[[float], str] = _plain,
    axis: str = "",
    across: str = "",
) -> str:
    """A line for each of `series` over the numbers `xs`, both scales linear: what grows evenly is straight."""
    plot = _Plot(title, [v for row in series.values() for v in row], label, axis, False)
    inner, most = WIDTH - LEFT - RIGHT - 40, max(xs)
    at = [LEFT + inner * x / most for x in xs]
    every = math.ceil(len(xs) / 25)  # labels that are closer than that run into each other
    for x, value in list(zip(at, xs, strict=True))[::every]:
        plot.parts.append(_text(x, plot.base + 18, f"{value:,.0f}", 11))
    if across:
        plot.parts.append(_text(WIDTH - RIGHT, plot.base + 34, across, 11, "end"))
    for s, row in enumerate(series.values()):
        color = COLORS[s % len(COLORS)]
        points = [(x, plot.base - plot.height(v)) for x, v in zip(at, row, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        plot.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        plot.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points]
    ends = _apart([plot.base - plot.height(row[-1]) for row in series.values()])
    for y, row in zip(ends, series.values(), strict=True):
        plot.parts.append(_text(at[-1] + 8, y + 4, label(row[-1]), 10, "start"))
    return plot.done(series)


def _apart(heights: Sequence[float], gap: float = 12.0) -> list[float]:
    """Places for labels near `heights` that do not cover each other, in the same order; the lowest stays where it is."""
    places = [0.0] * len(heights)
    free = math.inf
    for n in sorted(range(len(heights)), key=lambda n: -heights[n]):
        places[n] = min(heights[n], free)
        free = places[n] - gap
    return places


def under(*pictures: str) -> str:
    """Pictures under each other, as one."""
    height = HEIGHT * len(pictures)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    ]
    parts += [f'<g transform="translate(0 {HEIGHT * n})">\n{picture}</g>' for n, picture in enumerate(pictures)]
    return "\n".join([*parts, "</svg>"]) + "\n"
