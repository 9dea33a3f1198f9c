"""Pictures, sound and film."""

from icons.starter.geometry import Drawing, arc, blob, circle, closed, dot, mirrored, path, poly, rect
from icons.starter.parts import RING

NEXT = (closed(5, 4, 15.5, 12, 5, 20), poly(19, 4.5, 19, 19.5))
FORWARD = (closed(2.5, 5.5, 11.5, 12, 2.5, 18.5), closed(12.5, 5.5, 21.5, 12, 12.5, 18.5))
SPEAKER = closed(2, 9, 6, 9, 12, 4, 12, 20, 6, 15, 2, 15)

DRAWINGS: dict[str, Drawing] = {
    "play-001": (closed(6, 3.5, 20, 12, 6, 20.5),),
    "play-circle-001": (RING, closed(10, 8, 16, 12, 10, 16)),
    "pause-001": (rect(5, 4, 4.5, 16), rect(14.5, 4, 4.5, 16)),
    "stop-001": (rect(5, 5, 14, 14, 2),),
    "record-001": (RING, dot(12, 12, 4.5)),
    "next-track-001": NEXT,
    "previous-track-001": mirrored(NEXT),
    "fast-forward-001": FORWARD,
    "rewind-001": mirrored(FORWARD),
    "repeat-001": (
        poly(3, 11, 3, 6, 20, 6),
        poly(17, 2.5, 20.5, 6, 17, 9.5),
        poly(21, 13, 21, 18, 4, 18),
        poly(7, 14.5, 3.5, 18, 7, 21.5),
    ),
    "shuffle-001": (
        poly(2, 6, 6, 6, 15, 18, 21, 18),
        poly(2, 18, 6, 18, 8.5, 14.8),
        poly(12.5, 9.3, 15, 6, 21, 6),
        poly(18.5, 3, 21.5, 6, 18.5, 9),
        poly(18.5, 15, 21.5, 18, 18.5, 21),
    ),
    "volume-high-001": (SPEAKER, arc(12, 12, 4.5, -40, 40), arc(12, 12, 9, -45, 45)),
    "volume-mute-001": (SPEAKER, poly(16.5, 9, 22, 15), poly(22, 9, 16.5, 15)),
    "image-001": (rect(2, 3, 20, 18, 2), circle(8, 9, 2), poly(2.5, 18.5, 8.5, 13.5, 12, 16.5, 16.5, 11, 21.5, 16)),
    "gallery-001": (
        rect(6, 2, 16, 15, 2),
        poly(2, 7, 2, 21, 18, 21),
        poly(6.5, 14, 11, 9.5, 14, 12.5, 16.5, 10, 21.5, 14.5),
    ),
    "camera-001": (closed(2, 7, 7, 7, 9, 3.5, 15, 3.5, 17, 7, 22, 7, 22, 20.5, 2, 20.5), circle(12, 13.5, 4)),
    "video-camera-001": (rect(1.5, 6, 14, 12, 2), closed(15.5, 11, 22.5, 7, 22.5, 17, 15.5, 13)),
    "film-001": (
        rect(3, 2.5, 18, 19, 2),
        poly(8, 2.5, 8, 21.5),
        poly(16, 2.5, 16, 21.5),
        poly(8, 12, 16, 12),
        *(poly(x, y, x + 5, y) for x in (3, 16) for y in (8, 16)),
    ),
    "clapperboard-001": (
        rect(2, 9.5, 20, 12),
        closed(2, 9, 1.5, 5.5, 21, 2, 21.8, 5.5),
        poly(7.5, 4.7, 10, 7.5),
        poly(13.5, 3.6, 16, 6.4),
    ),
    "music-note-001": (circle(6.5, 18, 3.5), circle(17.5, 16, 3.5), poly(10, 18, 10, 5, 21, 3, 21, 16)),
    "headphones-001": (
        path(poly(3, 16, 3, 12), arc(12, 12, 9, 180, 360), poly(21, 12, 21, 16)),
        rect(3, 14, 4.5, 7),
        rect(16.5, 14, 4.5, 7),
    ),
    "microphone-001": (rect(8.5, 2, 7, 12, 3.5), arc(12, 11, 7, 0, 180), poly(12, 18, 12, 22), poly(8, 22, 16, 22)),
    "microphone-off-001": (
        rect(8.5, 2, 7, 12, 3.5),
        arc(12, 11, 7, 0, 180),
        poly(12, 18, 12, 22),
        poly(8, 22, 16, 22),
        poly(3, 2.5, 21, 20.5),
    ),
    "radio-001": (
        rect(2, 8, 20, 13, 2),
        poly(5, 8, 17, 2.5),
        circle(8, 14.5, 3),
        poly(15, 13, 18.5, 13),
        poly(15, 17, 18.5, 17),
    ),
    "podcast-001": (
        circle(12, 11, 2),
        closed(10, 16, 14, 16, 13, 22, 11, 22),
        arc(12, 11, 5.5, 130, 410),
        arc(12, 11, 9.5, 120, 420),
    ),
    "vinyl-record-001": (
        RING,
        circle(12, 12, 3),
        arc(12, 12, 6.2, 190, 260),
        arc(12, 12, 6.2, 10, 80),
        dot(12, 12, 0.8),
    ),
    "equalizer-001": tuple(poly(x, 12 - h, x, 12 + h) for x, h in ((3, 3), (7.5, 7), (12, 10), (16.5, 5.5), (21, 2))),
    "subtitles-001": (rect(2, 4, 20, 16, 2), arc(8, 12, 2.5, -50, -310), arc(16, 12, 2.5, -50, -310)),
    "live-stream-001": (
        dot(12, 12, 2),
        arc(12, 12, 5.5, -45, 45),
        arc(12, 12, 9.8, -45, 45),
        arc(12, 12, 5.5, 135, 225),
        arc(12, 12, 9.8, 135, 225),
    ),
    "piano-001": (
        rect(2, 4, 20, 16),
        poly(8.7, 14, 8.7, 20),
        poly(15.3, 14, 15.3, 20),
        rect(6.7, 4, 4, 9.5, 0),
        rect(13.3, 4, 4, 9.5, 0),
    ),
    "guitar-001": (
        blob(13, 9, 16, 12, 14, 15.5, 13.5, 19, 9, 21.5, 4, 20, 2.5, 15, 5, 10.5, 8.5, 10),
        dot(9, 15, 1.6),
        poly(13.5, 10.5, 20, 4),
        poly(18.5, 2.5, 21.5, 5.5),
    ),
}
