"""Documents, folders and where they are kept."""

from icons.starter.geometry import Drawing, arc, circle, closed, curve, dot, ellipse, path, placed, poly, rect, turned
from icons.starter.parts import CHECK, FOLDER, PAGE, PLUS

STACK = ellipse(12, 5, 8.5, 3)

DRAWINGS: dict[str, Drawing] = {
    "file-001": PAGE,
    "file-text-001": (*PAGE, poly(9, 12, 15, 12), poly(9, 16.5, 15, 16.5)),
    "file-plus-001": (*PAGE, *placed(PLUS, 3, 5.5, 0.75)),
    "file-check-001": (*PAGE, *placed((CHECK,), 3, 5.5, 0.75)),
    "file-image-001": (*PAGE, dot(9, 11.5), poly(5, 19.5, 9.5, 16, 12, 18, 15, 13.5, 19, 18)),
    "file-audio-001": (*PAGE, poly(11, 17, 11, 10.5, 15, 12), circle(9.6, 17, 1.4)),
    "file-video-001": (*PAGE, closed(10, 11.5, 15, 14.8, 10, 18)),
    "file-code-001": (*PAGE, poly(10, 12, 8, 15, 10, 18), poly(14, 12, 16, 15, 14, 18)),
    "file-zip-001": (
        *PAGE,
        *(poly(9, y, 10.5, y) for y in (4, 8, 12)),
        *(poly(8, y, 9, y) for y in (6, 10)),
        rect(8, 14.5, 3.5, 4, 0.5),
    ),
    "spreadsheet-001": (rect(2.5, 3, 19, 18, 2), poly(2.5, 9, 21.5, 9), poly(2.5, 15, 21.5, 15), poly(9, 3, 9, 21)),
    "presentation-001": (
        poly(2, 3, 22, 3),
        poly(4, 3, 4, 15, 20, 15, 20, 3),
        poly(8, 22, 12, 15.5, 16, 22),
        poly(8, 11, 11, 8, 13, 10, 16, 7),
    ),
    "folder-001": (FOLDER,),
    "folder-open-001": (
        poly(2, 19.5, 2, 4, 9, 4, 11.5, 7, 19, 7, 19, 10.5),
        closed(6, 10.5, 22.5, 10.5, 19, 20, 2, 20),
    ),
    "folder-plus-001": (FOLDER, *placed(PLUS, 3, 4.5, 0.75)),
    "archive-box-001": (rect(2, 3, 20, 5.5), poly(4, 8.5, 4, 21, 20, 21, 20, 8.5), poly(9.5, 13, 14.5, 13)),
    "clipboard-list-001": (
        poly(8, 4, 4, 4, 4, 22, 20, 22, 20, 4, 16, 4),
        rect(8, 2, 8, 4.5),
        *(dot(8, y, 1.2) for y in (12, 17)),
        poly(11.5, 12, 16, 12),
        poly(11.5, 17, 16, 17),
    ),
    "database-001": (
        STACK,
        path(poly(3.5, 5, 3.5, 19), curve(3.5, 19, 6, 21.3, 12, 22, 18, 21.3, 20.5, 19), poly(20.5, 19, 20.5, 5)),
        curve(3.5, 12, 6, 14.3, 12, 15, 18, 14.3, 20.5, 12),
    ),
    "cloud-upload-001": (
        path(arc(7, 13, 4.5, 110, 250), arc(12.5, 9, 5.5, 190, 350), arc(18, 13.5, 4, -70, 80)),
        poly(12, 21.5, 12, 13),
        poly(8.5, 16, 12, 12.5, 15.5, 16),
    ),
    "cloud-download-001": (
        path(arc(7, 12, 4.5, 110, 250), arc(12.5, 8, 5.5, 190, 350), arc(18, 12.5, 4, -70, 80)),
        poly(12, 11.5, 12, 21.5),
        poly(8.5, 18.5, 12, 22, 15.5, 18.5),
    ),
    "usb-drive-001": (rect(7, 8, 10, 14, 2), rect(9, 2, 6, 6, 0), dot(12, 17)),
    "newspaper-001": (
        rect(2, 4, 16, 17),
        poly(18, 9, 22, 9, 22, 19.5, 20.5, 21, 16, 21),
        rect(5.5, 8, 4, 4, 0),
        poly(12.5, 8, 14.5, 8),
        poly(12.5, 12, 14.5, 12),
        poly(5.5, 16.5, 14.5, 16.5),
    ),
    "attachment-001": turned(
        (
            path(
                poly(16.5, 8, 16.5, 17),
                arc(12, 17, 4.5, 0, 180),
                poly(7.5, 17, 7.5, 6),
                arc(10.5, 6, 3, 180, 360),
                poly(13.5, 6, 13.5, 16),
                arc(12, 16, 1.5, 0, 180),
                poly(10.5, 16, 10.5, 8.5),
            ),
        ),
        40,
    ),
}
