"""Figures as pictures."""

from icons.starter.geometry import Drawing, arc, circle, closed, corners, curve, dot, outline, poly, rect

AXES = poly(3, 3, 3, 21, 21, 21)

DRAWINGS: dict[str, Drawing] = {
    "chart-bar-001": (AXES, poly(8, 17, 8, 12), poly(13, 17, 13, 7), poly(18, 17, 18, 10)),
    "chart-line-001": (AXES, poly(7, 16, 11, 10.5, 15, 13.5, 20.5, 6)),
    "chart-area-001": (AXES, closed(7, 17, 7, 13, 11, 8, 15, 11, 20, 6, 20, 17)),
    "chart-pie-001": (
        outline(arc(11, 13, 8.5, -90, -360), poly(19.5, 13, 11, 13)),
        outline(arc(14, 10, 7.5, -90, 0), poly(21.5, 10, 14, 10)),
    ),
    "chart-donut-001": (
        circle(12, 12, 9.5),
        circle(12, 12, 4),
        poly(12, 2.5, 12, 8),
        poly(16, 12, 21.5, 12),
        poly(9.2, 14.8, 5.3, 18.7),
    ),
    "chart-scatter-001": (AXES, *(dot(x, y) for x, y in ((8, 15), (11, 9.5), (14.5, 13.5), (16.5, 6.5), (19.5, 10)))),
    "chart-radar-001": (closed(*corners(12, 12.5, (10.5,), 5)), closed(*corners(12, 12.5, (6, 3, 6.5, 4, 6.5), 5))),
    "chart-candlestick-001": (
        poly(6, 2, 6, 6),
        rect(3.5, 6, 5, 9, 0.5),
        poly(6, 15, 6, 20),
        poly(17, 5, 17, 9),
        rect(14.5, 9, 5, 8, 0.5),
        poly(17, 17, 17, 22),
    ),
    "chart-gantt-001": (AXES, poly(7, 6, 13, 6), poly(10, 11, 17, 11), poly(15, 16, 20.5, 16)),
    "chart-funnel-001": (
        closed(2, 3, 22, 3, 19, 8.5, 5, 8.5),
        closed(6.5, 12, 17.5, 12, 15.5, 16, 8.5, 16),
        poly(10.5, 20.5, 13.5, 20.5),
    ),
    "trend-up-001": (poly(2, 18, 9, 10.5, 13.5, 15, 22, 6), poly(16, 6, 22, 6, 22, 12)),
    "trend-down-001": (poly(2, 6, 9, 13.5, 13.5, 9, 22, 18), poly(16, 18, 22, 18, 22, 12)),
    "gauge-001": (
        outline(arc(12, 14.5, 9.8, 145, 395)),
        poly(12, 14.5, 16.5, 9),
        poly(5.5, 14, 6.5, 14),
        poly(12, 8, 12, 8.6),
        dot(12, 14.5),
    ),
    "bell-curve-001": (
        curve(2, 19, 6.5, 17, 9.5, 7, 12, 4, 14.5, 7, 17.5, 17, 22, 19),
        poly(2, 22, 22, 22),
        poly(12, 9, 12, 18),
    ),
    "dashboard-001": (rect(3, 3, 8, 11), rect(14, 3, 7, 5), rect(14, 11, 7, 10), rect(3, 17, 8, 4)),
}
