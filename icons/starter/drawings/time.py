"""Clocks, calendars, alarms."""

from icons.starter.geometry import Drawing, arc, circle, closed, dot, placed, poly
from icons.starter.parts import CALENDAR, CHECK, PLUS, RING

HANDS = poly(12, 6.5, 12, 12, 15.5, 14)

DRAWINGS: dict[str, Drawing] = {
    "clock-001": (RING, HANDS),
    "alarm-clock-001": (
        circle(12, 13, 8),
        poly(12, 8.5, 12, 13, 15, 15),
        poly(2, 6.5, 6, 3),
        poly(22, 6.5, 18, 3),
        poly(6, 19.5, 4, 22),
        poly(18, 19.5, 20, 22),
    ),
    "stopwatch-001": (
        circle(12, 14, 8),
        poly(12, 9.5, 12, 14),
        poly(9.5, 2, 14.5, 2),
        poly(12, 2, 12, 6),
        poly(18.5, 6.5, 20, 5),
    ),
    "hourglass-001": (
        poly(5, 2.5, 19, 2.5),
        poly(5, 21.5, 19, 21.5),
        closed(7, 2.5, 17, 2.5, 17, 7, 12, 12, 7, 7),
        closed(7, 21.5, 17, 21.5, 17, 17, 12, 12, 7, 17),
    ),
    "calendar-001": (*CALENDAR, *(dot(x, y, 1.2) for x in (8, 12, 16) for y in (13, 17))),
    "calendar-check-001": (*CALENDAR, *placed((CHECK,), 3, 5.5, 0.75)),
    "calendar-plus-001": (*CALENDAR, *placed(PLUS, 3, 6, 0.75)),
    "history-001": (arc(12, 12, 9, -155, 160), poly(3, 2.5, 3.5, 8.5, 9, 8), poly(12, 7, 12, 12, 15.5, 14)),
    "wristwatch-001": (
        circle(12, 12, 6.5),
        poly(8.5, 6.5, 9.5, 1.5, 14.5, 1.5, 15.5, 6.5),
        poly(8.5, 17.5, 9.5, 22.5, 14.5, 22.5, 15.5, 17.5),
        poly(12, 9, 12, 12, 14, 12),
    ),
    "sunrise-001": (
        arc(12, 17, 5, 180, 360),
        poly(2, 17, 4, 17),
        poly(20, 17, 22, 17),
        poly(4.9, 9.9, 6.3, 11.3),
        poly(19.1, 9.9, 17.7, 11.3),
        poly(12, 9, 12, 2),
        poly(9, 5, 12, 2, 15, 5),
        poly(3, 21.5, 21, 21.5),
    ),
    "sunset-001": (
        arc(12, 17, 5, 180, 360),
        poly(2, 17, 4, 17),
        poly(20, 17, 22, 17),
        poly(4.9, 9.9, 6.3, 11.3),
        poly(19.1, 9.9, 17.7, 11.3),
        poly(12, 2, 12, 9),
        poly(9, 6, 12, 9, 15, 6),
        poly(3, 21.5, 21, 21.5),
    ),
    "snooze-001": (poly(3, 11, 12, 11, 3, 21, 12, 21), poly(14, 3, 21, 3, 14, 11, 21, 11)),
}
