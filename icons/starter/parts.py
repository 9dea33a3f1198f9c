"""Drawings that several icons have in common."""

from icons.starter.geometry import Drawing, Shape, arc, blob, circle, closed, corners, curve, outline, path, poly, rect

ARROW = (poly(4, 12, 20, 12), poly(14, 6, 20, 12, 14, 18))
"""To the right."""
CHEVRON = (poly(9, 5, 16, 12, 9, 19),)
"""To the right."""
RING = circle(12, 12, 9.5)
CHECK = poly(7.5, 12.5, 10.5, 15.5, 16.5, 9)
CROSS = (poly(8.5, 8.5, 15.5, 15.5), poly(15.5, 8.5, 8.5, 15.5))
PLUS = (poly(12, 8, 12, 16), poly(8, 12, 16, 12))
PAGE = (closed(5, 2, 14, 2, 19, 7, 19, 22, 5, 22), poly(14, 2, 14, 7, 19, 7))
"""A sheet with a folded corner."""
FOLDER = outline(poly(2, 20, 2, 4, 9, 4, 11.5, 7, 22, 7), poly(22, 7, 22, 20))
CLOUD = outline(arc(7, 14, 4.5, 90, 270), arc(12.5, 10, 5.5, 190, 350), arc(18, 14.5, 4, -70, 90))
"""Its flat side is at y = 18.5."""
PERSON = (circle(12, 7, 4.5), path(arc(12, 22, 8.5, 180, 360)))
"""Head and shoulders, down to y = 22."""
SCREEN = rect(2, 3, 20, 14, 2)
BAG = closed(4.5, 7.5, 19.5, 7.5, 21, 22, 3, 22)
CALENDAR = (rect(3, 4, 18, 17, 2), poly(3, 9, 21, 9), poly(8, 2, 8, 5.5), poly(16, 2, 16, 5.5))
BUBBLE = closed(3, 3, 21, 3, 21, 17, 12, 17, 7, 21.5, 7, 17, 3, 17)
ENVELOPE = (rect(2, 4, 20, 16, 2), poly(2.5, 6, 12, 13, 21.5, 6))
PIN = outline(arc(12, 9.5, 7, 150, 390), poly(18.06, 13, 12, 22), poly(12, 22, 5.94, 13))
"""A place on a map; the middle of its head is 12, 9.5."""
SHIELD = outline(poly(12, 2, 20, 5), curve(20, 5, 20, 12, 17.5, 18, 12, 22, 6.5, 18, 4, 12, 4, 5))
HEART = outline(arc(7.25, 8.25, 5.25, 135, 335), arc(16.75, 8.25, 5.25, 205, 405), poly(20.46, 11.96, 12, 21))
STAR = closed(*corners(12, 12.6, (10.4, 4.7), 10))
DROP = outline(poly(12, 2, 17.7, 9.6), arc(12, 14.5, 7.3, -40, 220))
LEAF = blob(4, 20, 4.5, 11, 10, 5, 20, 4, 19, 14, 13, 19.5)
BULB = (path(arc(12, 9.5, 7, 125, 415), poly(16, 17.5, 8, 17.5), poly(8, 17.5, 7.98, 15.23)),)
LENS = (circle(10.5, 10.5, 7.5), poly(16, 16, 21.5, 21.5))
"""A magnifying glass."""
CUP = outline(poly(4, 8, 17, 8, 17, 15), arc(13, 15, 4, 0, 90), arc(8, 15, 4, 90, 180))
GLOBE = (
    RING,
    poly(2.5, 12, 21.5, 12),
    curve(12, 2.5, 16, 7.5, 16, 16.5, 12, 21.5),
    curve(12, 2.5, 8, 7.5, 8, 16.5, 12, 21.5),
)
BASKET = (poly(1.5, 3, 4.5, 3, 7, 15.5, 19, 15.5, 21.5, 6.5, 5.3, 6.5),)
FISH = (blob(2, 12, 7, 7, 13, 7, 17.5, 12, 13, 17, 7, 17), closed(17.5, 12, 22, 7.5, 22, 16.5))


def cog(teeth: int = 8, outer: float = 10, inner: float = 7.4) -> Shape:
    """The outline of a gear wheel."""
    step = 360 / teeth
    numbers: list[float] = []
    for index in range(teeth):
        for offset, radius in ((-0.32, inner), (-0.2, outer), (0.2, outer), (0.32, inner)):
            numbers += corners(12, 12, (radius,), 1, (index + offset) * step - 90)
    return closed(*numbers)


def plus(x: float, y: float) -> Drawing:
    """A small plus sign around this point, as a badge."""
    return (poly(x, y - 3, x, y + 3), poly(x - 3, y, x + 3, y))
