"""How something stands, and marks of quality."""

from icons.starter.geometry import (
    Drawing,
    arc,
    blob,
    circle,
    closed,
    corners,
    curve,
    dot,
    fill,
    mirrored,
    path,
    placed,
    poly,
    rect,
    ring,
    turned,
)
from icons.starter.parts import CHECK, CROSS, HEART, RING, STAR

THUMB = (
    poly(2.5, 10.5, 2.5, 21, 6.5, 21, 6.5, 10.5, 2.5, 10.5),
    poly(6.5, 11.5, 11, 2.5, 14, 4.5, 13.5, 9, 21.5, 9, 19, 21, 6.5, 21),
)
SPARK = closed(*corners(12, 12, (10, 3.4), 8))

DRAWINGS: dict[str, Drawing] = {
    "info-001": (RING, poly(12, 11.5, 12, 17), dot(12, 7.4, 1.4)),
    "warning-001": (closed(12, 3, 22.5, 21, 1.5, 21), poly(12, 9.5, 12, 14), dot(12, 17.5, 1.4)),
    "error-001": (RING, *CROSS),
    "success-001": (RING, CHECK),
    "question-001": (RING, path(arc(12, 9.5, 3, 180, 410), poly(13.93, 11.8, 12, 13.8)), dot(12, 17.3, 1.4)),
    "loading-001": ring((poly(12, 2.5, 12, 6.5),), 8),
    "blocked-001": (RING, poly(5.3, 5.3, 18.7, 18.7)),
    "flag-001": (
        poly(4.5, 22, 4.5, 3),
        curve(4.5, 4, 8, 3, 12, 4.5, 16, 5.5, 20, 4),
        poly(20, 4, 20, 14),
        curve(20, 14, 16, 15.5, 12, 14.5, 8, 13, 4.5, 14),
    ),
    "bookmark-001": (closed(6, 2.5, 18, 2.5, 18, 21.5, 12, 16.5, 6, 21.5),),
    "star-001": (STAR,),
    "star-filled-001": (STAR, fill(STAR)),
    "heart-001": (HEART,),
    "heart-filled-001": (HEART, fill(HEART)),
    "heart-broken-001": (HEART, poly(12, 5.5, 9.5, 9.5, 14, 12, 11.5, 16)),
    "thumbs-up-001": THUMB,
    "thumbs-down-001": mirrored(turned(THUMB, 180)),
    "sparkles-001": (
        *placed((SPARK,), 0, 3, 0.8),
        *placed((SPARK,), 14.8, 0.8, 0.32),
        poly(20, 18, 20, 22),
        poly(18, 20, 22, 20),
    ),
    "new-badge-001": (
        rect(1.5, 6, 21, 12, 2),
        poly(4.8, 14.5, 4.8, 9.5, 8, 14.5, 8, 9.5),
        poly(13, 9.5, 11, 9.5, 11, 14.5, 13, 14.5),
        poly(11, 12, 12.6, 12),
        poly(15.2, 9.5, 16.3, 14.5, 17.6, 11, 18.9, 14.5, 20, 9.5),
    ),
    "verified-001": (blob(*corners(12, 12, (10.3, 8.6), 16)), CHECK),
    "target-001": (RING, circle(12, 12, 5.5), dot(12, 12, 1.6)),
    "trophy-001": (
        path(poly(6.5, 2.5, 17.5, 2.5, 17.5, 8.5), arc(12, 8.5, 5.5, 0, 180), poly(6.5, 8.5, 6.5, 2.5)),
        curve(6.5, 4.5, 2.5, 4.5, 3.5, 9, 7, 11),
        curve(17.5, 4.5, 21.5, 4.5, 20.5, 9, 17, 11),
        poly(12, 14, 12, 18),
        poly(7, 21.5, 17, 21.5),
        poly(9, 21.5, 10, 18, 14, 18, 15, 21.5),
    ),
    "medal-001": (
        circle(12, 15.5, 6),
        poly(8.5, 10.5, 4.5, 2, 9.5, 2, 12, 7.5),
        poly(15.5, 10.5, 19.5, 2, 14.5, 2, 12, 7.5),
        *placed((STAR,), 9.3, 12.7, 0.22),
    ),
    "fire-001": (
        blob(12, 2, 14, 6.5, 18, 10, 19, 15, 16.5, 20.5, 12, 22, 7.5, 20.5, 5, 15, 6.5, 10, 9, 11.5, 11, 7.5),
        curve(12, 14, 14.5, 17.5, 12, 19, 9.5, 17.5, 12, 14),
    ),
    "crown-001": (closed(2.5, 6, 7.5, 12, 12, 4, 16.5, 12, 21.5, 6, 19.5, 20, 4.5, 20),),
    "rocket-001": (
        blob(12, 1.5, 16.5, 7, 16.5, 16, 12, 17, 7.5, 16, 7.5, 7),
        circle(12, 9, 2),
        poly(7, 12, 3.5, 16.5, 4, 20, 8, 16.5),
        poly(17, 12, 20.5, 16.5, 20, 20, 16, 16.5),
        poly(12, 19.5, 12, 22.5),
    ),
}
