"""The sky and what falls from it."""

from icons.starter.geometry import Drawing, arc, circle, closed, curve, dot, outline, path, placed, poly, ring
from icons.starter.parts import CLOUD, DROP, STAR

HIGH = placed((CLOUD,), 0, -2.8)
FLAKE = ring((poly(12, 12, 12, 2.5), poly(9.5, 4, 12, 6.5, 14.5, 4)), 6)

DRAWINGS: dict[str, Drawing] = {
    "sun-001": (circle(12, 12, 4.5), *ring((poly(12, 1.8, 12, 4),), 8)),
    "moon-001": (outline(arc(12, 12, 9.5, -75, -345), arc(17.6, 8.2, 6.3, 83, 206)),),
    "cloud-001": HIGH,
    "partly-cloudy-001": (
        *placed((CLOUD,), 3, 5.5, 0.85),
        arc(8, 8.5, 4, 140, 330),
        poly(8, 1.5, 8, 2),
        poly(1.5, 8.5, 2, 8.5),
        poly(3.2, 3.8, 3.6, 4.2),
        poly(12.8, 3.8, 12.4, 4.2),
    ),
    "rain-001": (*HIGH, *(poly(x, 18.5, x - 1.2, 22) for x in (8, 12.7, 17.4))),
    "thunderstorm-001": (*HIGH, poly(13, 14, 10, 18.5, 14, 18.5, 11, 23)),
    "snow-001": (*HIGH, *(dot(x, y, 1.2) for x, y in ((8, 18.5), (12.5, 21.5), (17, 18.5)))),
    "snowflake-001": FLAKE,
    "wind-001": (
        path(poly(2, 9, 12, 9), arc(12, 6, 3, 90, -170)),
        path(poly(2, 13, 18, 13), arc(18, 9.5, 3.5, 90, -150)),
        path(poly(2, 17, 13, 17), arc(13, 19.5, 2.5, -90, 160)),
    ),
    "fog-001": (*placed((CLOUD,), 1.2, -2.2, 0.9), poly(3, 18, 21, 18), poly(6, 22, 18, 22)),
    "tornado-001": (
        poly(2.5, 4, 21.5, 4),
        poly(5, 8.5, 19.5, 8.5),
        poly(8, 13, 16.5, 13),
        poly(10, 17.5, 14, 17.5),
        poly(11.2, 21.5, 12, 21.5),
    ),
    "umbrella-001": (
        outline(arc(12, 12, 9.5, 180, 360)),
        path(poly(12, 12, 12, 19), arc(14.5, 19, 2.5, 180, 20)),
        poly(12, 1.5, 12, 2.5),
    ),
    "rainbow-001": (arc(12, 18, 10, 180, 360), arc(12, 18, 6.3, 180, 360), arc(12, 18, 2.6, 180, 360)),
    "thermometer-001": (
        path(
            arc(10, 17.5, 4.5, -56, 236), poly(7.5, 13.8, 7.5, 5), arc(10, 5, 2.5, 180, 360), poly(12.5, 5, 12.5, 13.8)
        ),
        poly(10, 9, 10, 16),
        dot(10, 17.5, 2),
        poly(16.5, 5, 20, 5),
        poly(16.5, 9, 19, 9),
        poly(16.5, 13, 20, 13),
    ),
    "water-drop-001": (DROP,),
    "lightning-001": (closed(14, 2, 4, 13.5, 11, 13.5, 10, 22, 20, 10.5, 13, 10.5),),
    "wave-001": tuple(
        curve(1.5, y, 4, y - 1.5, 7, y, 9.5, y + 1.5, 12, y, 14.5, y - 1.5, 17, y, 19.5, y + 1.5, 22.5, y)
        for y in (6.5, 12, 17.5)
    ),
    "comet-001": (*placed((STAR,), 1.5, 8.5, 0.6), poly(13, 11, 21, 3), poly(10, 8, 15, 3), poly(16.5, 14, 21.5, 9)),
    "planet-001": (
        circle(12, 12, 6),
        path(curve(6, 13.8, 2, 17.5, 2.2, 19.5, 8, 18.5, 16, 13.8, 21.3, 8, 21.5, 4.8, 17, 6.2)),
    ),
}
