"""Letters, calls and messages."""

from icons.starter.geometry import Drawing, arc, circle, closed, curve, dot, outline, path, placed, poly, rect, turned
from icons.starter.parts import BUBBLE, ENVELOPE

PHONE = (
    outline(
        curve(3, 4, 4, 11, 7.5, 16.5, 13, 20, 20, 21),
        poly(21, 16.5, 16.5, 14.5, 14, 16.5),
        curve(14, 16.5, 10.5, 14, 7.5, 10),
        poly(9.5, 7.5, 7.5, 3),
    ),
)
BELL = (outline(arc(12, 9.5, 6.5, 180, 360), poly(18.5, 14, 21, 18, 3, 18, 5.5, 14)), arc(12, 18.5, 3, 20, 160))

DRAWINGS: dict[str, Drawing] = {
    "mail-001": ENVELOPE,
    "mail-open-001": (closed(2, 9, 12, 2, 22, 9, 22, 21, 2, 21), poly(2.5, 10, 12, 16, 21.5, 10)),
    "inbox-001": (
        poly(2, 13, 8, 13, 9.5, 16.5, 14.5, 16.5, 16, 13, 22, 13),
        closed(5, 4, 19, 4, 22, 13, 22, 20.5, 2, 20.5, 2, 13),
    ),
    "send-001": (closed(2, 11, 22, 2, 14, 22, 10.5, 13.5), poly(10.5, 13.5, 22, 2)),
    "message-001": (BUBBLE, poly(8, 8, 16, 8), poly(8, 12, 13, 12)),
    "chat-bubbles-001": (
        closed(2, 2.5, 16, 2.5, 16, 12.5, 9, 12.5, 5.5, 16, 5.5, 12.5, 2, 12.5),
        poly(19.5, 8.5, 22, 8.5, 22, 18.5, 19, 18.5, 19, 22, 15.5, 18.5, 10, 18.5, 10, 16),
    ),
    "phone-001": PHONE,
    "phone-hang-up-001": placed(turned(PHONE, 135), 2.4, 1.5, 0.8),
    "at-sign-001": (
        circle(12, 12, 4),
        path(poly(16, 8, 16, 13), arc(18.7, 13, 2.7, 180, 0), arc(12, 12, 9.4, 6, -310)),
    ),
    "bell-001": BELL,
    "bell-off-001": (*BELL, poly(3, 2.5, 21, 21)),
    "bell-ringing-001": (*placed(BELL, 2.4, 3, 0.8), arc(9, 10, 8, 175, 235), arc(15, 10, 8, 5, -55)),
    "megaphone-001": (
        closed(3, 9.5, 8, 9.5, 18.5, 3.5, 18.5, 19.5, 8, 14.5, 3, 14.5),
        poly(6, 15, 7.5, 21.5, 11, 21.5, 10, 16),
        arc(18.5, 11.5, 3.5, -55, 55),
    ),
    "antenna-001": (
        poly(12, 11, 12, 22),
        poly(8, 22, 16, 22),
        dot(12, 8.5, 2),
        arc(12, 8.5, 5, -45, 45),
        arc(12, 8.5, 5, 135, 225),
        arc(12, 8.5, 9, -45, 45),
        arc(12, 8.5, 9, 135, 225),
    ),
    "satellite-dish-001": (
        outline(arc(11, 10, 9, 35, 190), poly(2.1, 8.4, 18.4, 15.2)),
        poly(11, 11.5, 15, 6),
        dot(15.5, 5.5),
        poly(5, 17, 3, 22, 13, 22, 12, 19),
    ),
    "mailbox-001": (
        outline(poly(7, 17, 2, 17, 2, 11.5), arc(7, 11.5, 5, 180, 360), poly(12, 11.5, 12, 17)),
        path(poly(7, 6.5, 17, 6.5), arc(17, 11.5, 5, -90, 0), poly(22, 11.5, 22, 17, 12, 17)),
        poly(12, 17, 12, 22.5),
        poly(16, 11.5, 16, 3, 19.5, 3),
        poly(5, 12, 8, 12),
    ),
    "rss-001": (dot(5, 19, 2), arc(4, 20, 8, -90, 0), arc(4, 20, 15.5, -90, 0)),
    "video-call-001": (BUBBLE, rect(6.5, 7.5, 6.5, 5.5), closed(13, 10, 17, 7.5, 17, 13, 13, 10.6)),
    "contacts-book-001": (
        rect(4, 2, 16, 20, 2),
        circle(12, 9.5, 2.7),
        arc(12, 18.5, 4.5, 180, 360),
        *(poly(2, y, 5, y) for y in (6.5, 12, 17.5)),
    ),
}
