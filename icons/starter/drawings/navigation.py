"""Ways through pages and menus."""

from icons.starter.geometry import Drawing, arc, closed, dot, mirrored, path, poly, rect, turned
from icons.starter.parts import ARROW, CHEVRON

DRAWINGS: dict[str, Drawing] = {
    "arrow-right-001": ARROW,
    "arrow-left-001": mirrored(ARROW),
    "arrow-up-001": turned(ARROW, -90),
    "arrow-down-001": turned(ARROW, 90),
    "arrow-up-right-001": turned(ARROW, -45),
    "chevron-right-001": CHEVRON,
    "chevron-left-001": mirrored(CHEVRON),
    "chevron-up-001": turned(CHEVRON, -90),
    "chevron-down-001": turned(CHEVRON, 90),
    "chevron-double-right-001": (poly(5, 5, 12, 12, 5, 19), poly(12, 5, 19, 12, 12, 19)),
    "arrow-to-top-001": (poly(4, 3, 20, 3), poly(12, 21, 12, 8), poly(6, 13.5, 12, 7.5, 18, 13.5)),
    "return-arrow-001": (
        path(poly(3, 9, 15, 9), arc(15, 14.5, 5.5, -90, 90), poly(15, 20, 9, 20)),
        poly(8, 4, 3, 9, 8, 14),
    ),
    "swap-horizontal-001": (
        poly(3, 8, 20, 8),
        poly(16, 4, 20, 8, 16, 12),
        poly(21, 17, 4, 17),
        poly(8, 13, 4, 17, 8, 21),
    ),
    "menu-001": (poly(3, 6, 21, 6), poly(3, 12, 21, 12), poly(3, 18, 21, 18)),
    "more-horizontal-001": (dot(5, 12), dot(12, 12), dot(19, 12)),
    "more-vertical-001": (dot(12, 5), dot(12, 12), dot(12, 19)),
    "home-001": (
        poly(2, 12, 12, 3, 22, 12),
        poly(5, 9.5, 5, 21, 19, 21, 19, 9.5),
        poly(9.5, 21, 9.5, 14, 14.5, 14, 14.5, 21),
    ),
    "apps-grid-001": (rect(3, 3, 7, 7), rect(14, 3, 7, 7), rect(3, 14, 7, 7), rect(14, 14, 7, 7)),
    "sidebar-001": (rect(2, 4, 20, 16, 2), poly(9, 4, 9, 20), poly(5, 8, 6, 8), poly(5, 12, 6, 12)),
    "external-link-001": (poly(11, 5, 4, 5, 4, 20, 19, 20, 19, 13), poly(11, 13, 21, 3), poly(15, 3, 21, 3, 21, 9)),
    "login-001": (poly(2, 12, 14, 12), poly(10, 7.5, 14.5, 12, 10, 16.5), poly(13, 3, 21, 3, 21, 21, 13, 21)),
    "logout-001": (poly(9, 12, 21.5, 12), poly(17, 7.5, 21.5, 12, 17, 16.5), poly(11, 3, 3, 3, 3, 21, 11, 21)),
    "sitemap-001": (
        rect(9, 2, 6, 5),
        rect(2, 17, 6, 5),
        rect(16, 17, 6, 5),
        poly(12, 7, 12, 12),
        poly(5, 17, 5, 12, 19, 12, 19, 17),
    ),
    "signpost-001": (poly(12, 2, 12, 22), closed(5, 4, 17, 4, 20.5, 7.5, 17, 11, 5, 11), poly(8, 22, 16, 22)),
}
