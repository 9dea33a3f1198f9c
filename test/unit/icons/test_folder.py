"""A folder of icons is read whole or not at all."""

import json
from pathlib import Path

import pytest

from icons import starter
from icons.folder import IconFolder
from icons.library import LibraryError
from icons.storage import FolderStorage

ICON = {"key": "cart", "description": "a shopping cart", "s3_url": "shop/cart.svg"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "mine"
    (made / "shop").mkdir(parents=True)
    (made / "shop" / "cart.svg").write_text("<svg/>")
    (made / "arrow_right.png").write_bytes(b"png")
    return made


def write(folder, *icons):
    (folder / "library.json").write_text(json.dumps(icons))


def errors(path):
    with pytest.raises(LibraryError) as caught:
        IconFolder.read(path, "out")
    return {one.pointer: one.detail for one in caught.value.errors}


def test_pictures_beside_a_library_go_to_the_bucket_and_urls_stay(folder, tmp_path):
    elsewhere = {**ICON, "key": "other", "s3_url": "https://icons.example/other.svg"}
    write(folder, ICON, elsewhere)
    read = IconFolder.read(folder, "out")
    urls = [icon.s3_url for icon in read.library.icons.values()]
    assert urls == ["s3://out/_icons/imported/mine/shop/cart.svg", "https://icons.example/other.svg"]
    storage = FolderStorage(tmp_path / "bucket")
    read.upload(storage)
    assert storage.read("imported/mine/shop/cart.svg").body == b"<svg/>"
    assert storage.names("imported/") == ["imported/mine/shop/cart.svg"]


def test_a_file_of_json_is_read_with_the_pictures_beside_it(folder):
    write(folder, ICON)
    assert IconFolder.read(folder / "library.json", "out").files.keys() == {"imported/mine/shop/cart.svg"}


def test_a_folder_of_pictures_alone_is_described_by_its_names(folder):
    icons = IconFolder.read(folder, "out").library.icons
    assert {key: (one.description, one.category) for key, one in icons.items()} == {
        "arrow_right": ("arrow right", ""),
        "shop-cart": ("cart", "shop"),
    }


def test_a_picture_that_is_not_there_or_outside_of_the_folder_is_named(folder):
    (folder.parent / "secret.svg").write_text("secret")
    outside = [{**ICON, "key": name, "s3_url": url} for name, url in (("up", "../secret.svg"), ("gone", "gone.svg"))]
    write(folder, ICON, *outside)
    assert errors(folder).keys() == {"[1].s3_url", "[2].s3_url"}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"key": "a"}]', "no json"])
def test_a_library_with_errors_is_refused(folder, text):
    (folder / "library.json").write_text(text)
    assert errors(folder)


def test_an_empty_folder_says_what_it_lacks(tmp_path):
    assert "neither library.json nor pictures" in errors(tmp_path)[""]


def test_the_starter_library_is_such_a_folder():
    read = IconFolder.read(Path(starter.__file__).parent, "out")
    assert len(read.library.icons) == len(read.files) >= 300
