"""Write the starter library: ``python -m icons.starter.make``.

``svg/CATEGORY/KEY.svg`` and ``library.json`` are made of ``drawings/`` (what each icon looks like) and ``words.csv``
(what each icon means), byte by byte the same each time.
"""

import csv
import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from icons.starter import FOLDER
from icons.starter.geometry import Drawing

CATEGORIES = {
    "navigation": "导航",
    "actions": "操作",
    "status": "状态",
    "time": "时间",
    "files": "文件",
    "editing": "编辑",
    "charts": "图表",
    "media": "媒体",
    "communication": "通信",
    "people": "人物",
    "social": "社交",
    "commerce": "商务",
    "finance": "金融",
    "security": "安全",
    "devices": "设备",
    "development": "开发",
    "weather": "天气",
    "nature": "自然",
    "animals": "动物",
    "food": "美食",
    "transport": "交通",
    "maps": "地图",
    "home": "家居",
    "health": "健康",
    "education": "教育",
    "sports": "运动",
}
"""The categories and their Chinese names; each is a module of ``drawings/``."""


def drawings_of(category: str) -> dict[str, Drawing]:
    """The category's drawings by key."""
    found: dict[str, Drawing] = importlib.import_module(f"icons.starter.drawings.{category}").DRAWINGS
    return found


def svg_of(drawing: Drawing) -> str:
    """The drawing as SVG: strokes of width 2 with round ends, in the colour of the text around it."""
    strokes = "".join(str(shape) for shape in drawing if not shape.is_filled)
    fills = "".join(str(shape) for shape in drawing if shape.is_filled)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none"'
        ' stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
        + (f'<path d="{strokes}"/>' if strokes else "")
        + (f'<path d="{fills}" fill="currentColor" stroke="none"/>' if fills else "")
        + "</svg>\n"
    )


def picture_of(category: str, key: str) -> Path:
    """Where an icon's picture is in this folder."""
    return Path("svg", category, f"{key}.svg")


def library() -> list[dict[str, Any]]:
    """The icons in the library's form; ``s3_url`` is a path in this folder, until an import uploads the pictures."""
    rows = list(csv.DictReader((FOLDER / "words.csv").read_text("utf-8").splitlines()))
    words = {row["key"]: row for row in rows}
    drawn = {key: category for category in CATEGORIES for key in drawings_of(category)}
    if len(words) != len(rows) or words.keys() != drawn.keys():
        raise ValueError(f"drawn or described, not both, or twice: {sorted(words.keys() ^ drawn.keys())}")
    return [_icon(key, category, words[key]) for key, category in drawn.items()]


def files() -> Iterator[tuple[Path, str]]:
    """Each file of the library, by its path in this folder, and its text."""
    for category in CATEGORIES:
        for key, drawing in drawings_of(category).items():
            yield picture_of(category, key), svg_of(drawing)
    entries = ",\n".join(json.dumps(icon, ensure_ascii=False) for icon in library())
    yield Path("library.json"), f"[\n{entries}\n]\n"


def _icon(key: str, category: str, words: dict[str, str]) -> dict[str, Any]:
    return {
        "key": key,
        "description": f"{words['zh']}图标,用于{words['zh_use']},{CATEGORIES[category]}类图标",
        "s3_url": picture_of(category, key).as_posix(),
        "category": category,
        "tags": words["tags"].split(";"),
        "aliases": [f"{words['en']} icon, for {words['en_use']}, {category}"],
    }


def main() -> None:
    """Write all files again, and nothing else."""
    shutil.rmtree(FOLDER / "svg", ignore_errors=True)
    written = 0
    for name, text in files():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written += 1
    sys.stdout.write(f"{written} files\n")


if __name__ == "__main__":
    main()
