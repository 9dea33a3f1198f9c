"""Programs, data and the network."""

import math
from itertools import pairwise

from icons.starter.geometry import (
    Drawing,
    Shape,
    arc,
    circle,
    closed,
    curve,
    dot,
    ellipse,
    mirrored,
    path,
    placed,
    poly,
    rect,
    ring,
    turned,
)
from icons.starter.parts import GLOBE


def _scallops(*numbers: float) -> Shape:
    """Half circles from point to point, out to the left of the way."""
    spots = list(zip(numbers[::2], numbers[1::2], strict=True))
    halves = []
    for (x, y), (u, v) in pairwise(spots):
        start = math.degrees(math.atan2(y - v, x - u))
        halves.append(arc((x + u) / 2, (y + v) / 2, math.dist((x, y), (u, v)) / 2, start, start - 180))
    return path(*halves)


HALF_BRAIN = (
    _scallops(12, 5, 8, 5.2, 4.8, 9, 4.8, 14, 7.8, 18.3, 12, 19),
    arc(7.5, 12, 2.4, -100, 30),
    arc(7, 17.5, 2.2, -80, 0),
)
"""The left one."""

DRAWINGS: dict[str, Drawing] = {
    "code-001": (poly(7, 6, 1.5, 12, 7, 18), poly(17, 6, 22.5, 12, 17, 18), poly(14, 3.5, 10, 20.5)),
    "terminal-001": (rect(2, 3.5, 20, 17, 2), poly(6, 8.5, 10, 12, 6, 15.5), poly(12.5, 15.5, 17.5, 15.5)),
    "braces-001": (
        path(curve(8, 3, 5.5, 4, 5.5, 9, 3, 12), curve(3, 12, 5.5, 15, 5.5, 20, 8, 21)),
        path(curve(16, 3, 18.5, 4, 18.5, 9, 21, 12), curve(21, 12, 18.5, 15, 18.5, 20, 16, 21)),
    ),
    "git-branch-001": (
        circle(6, 5, 2.5),
        circle(6, 19, 2.5),
        circle(18, 8, 2.5),
        poly(6, 7.5, 6, 16.5),
        curve(18, 10.5, 16.5, 13.5, 11, 14.5, 6.5, 16.5),
    ),
    "api-001": (
        rect(2, 3.5, 20, 17, 2),
        poly(4.6, 15, 6.8, 9, 9, 15),
        poly(5.5, 13.2, 8.1, 13.2),
        path(poly(11.5, 15, 11.5, 9, 13, 9), arc(13.2, 10.8, 1.8, -90, 90), poly(13, 12.6, 11.5, 12.6)),
        poly(18.5, 9, 18.5, 15),
    ),
    "network-001": (circle(12, 12, 2.5), *ring((circle(12, 4, 2), poly(12, 6, 12, 9.5)), 5)),
    "globe-001": GLOBE,
    "browser-window-001": (rect(2, 3.5, 20, 17, 2), poly(2, 9, 22, 9), dot(5.7, 6.3, 1), dot(9, 6.3, 1)),
    "artificial-intelligence-001": (
        rect(4, 4, 16, 16, 3),
        poly(7.5, 16, 10, 8.5, 12.5, 16),
        poly(8.4, 13.5, 11.6, 13.5),
        poly(16, 8.5, 16, 16),
        *(poly(x, 1, x, 4) for x in (9, 15)),
        *(poly(x, 20, x, 23) for x in (9, 15)),
    ),
    "brain-001": (*HALF_BRAIN, *mirrored(HALF_BRAIN), poly(12, 5, 12, 19)),
    "workflow-001": (
        rect(2, 2.5, 7, 7),
        rect(15, 14.5, 7, 7),
        path(poly(9, 6, 15.5, 6), arc(15.5, 9, 3, -90, 0), poly(18.5, 9, 18.5, 14)),
        path(poly(15, 18, 8.5, 18), arc(8.5, 15, 3, 90, 180), poly(5.5, 15, 5.5, 10)),
    ),
    "wrench-001": turned(
        (
            path(
                arc(12, 6.5, 5, -60, 60),
                poly(14.5, 10.8, 14.5, 20),
                arc(12, 20, 2.5, 0, 180),
                poly(9.5, 20, 9.5, 10.8),
                arc(12, 6.5, 5, 120, 240),
                poly(9.5, 2.2, 9.5, 6.5, 14.5, 6.5, 14.5, 2.2),
            ),
        ),
        45,
    ),
    "hammer-001": turned(
        placed((closed(5, 3, 16, 3, 20, 7, 16, 8.5, 5, 8.5), poly(9, 8.5, 9, 22, 12.5, 22, 12.5, 8.5)), 1, 2, 0.9), 30
    ),
    "screwdriver-001": turned((rect(9, 1, 6, 10, 2), poly(12, 11, 12, 22.5), poly(10.7, 22.5, 13.3, 22.5)), 45),
    "microscope-001": (
        *turned((rect(8, 2.5, 5, 10),), -20, 10, 8),
        poly(4, 21.5, 20, 21.5),
        poly(6, 17, 13, 17),
        path(curve(14, 7, 18.5, 10, 18.5, 17, 14.5, 21.5)),
    ),
    "flask-001": (
        closed(9, 2.5, 15, 2.5, 15, 9, 20.5, 21.5, 3.5, 21.5, 9, 9),
        poly(7.5, 2.5, 16.5, 2.5),
        poly(6.3, 15.5, 17.7, 15.5),
    ),
    "atom-001": (
        *(shape for angle in (0, 60, 120) for shape in turned((ellipse(12, 12, 10.3, 4),), angle)),
        dot(12, 12),
    ),
    "dna-001": (
        curve(6, 2, 7, 7, 12, 12, 17, 17, 18, 22),
        curve(18, 2, 17, 7, 12, 12, 7, 17, 6, 22),
        poly(8, 4.5, 16, 4.5),
        poly(9, 8, 15, 8),
        poly(9, 16, 15, 16),
        poly(8, 19.5, 16, 19.5),
    ),
    "magnet-001": turned(
        placed(
            (
                path(
                    poly(4, 3, 4, 12),
                    arc(12, 12, 8, 180, 0),
                    poly(20, 12, 20, 3, 15.5, 3, 15.5, 12),
                    arc(12, 12, 3.5, 0, 180),
                    poly(8.5, 12, 8.5, 3, 4, 3),
                ),
                poly(4, 8, 8.5, 8),
                poly(15.5, 8, 20, 8),
            ),
            0.5,
            2,
            0.9,
        ),
        35,
    ),
}
