"""All indexes do the same: in files, in files of a bucket, in S3 Vectors."""

import threading
import uuid

import numpy as np
import pytest
from botocore.exceptions import ClientError

from icons.index.files import FileIndexes
from icons.index.protocol import IconVector, IndexMissingError
from icons.index.s3vectors import S3VectorsIndexes
from icons.storage import BucketStorage, FolderStorage

DIMENSION = 8


def made_of(*numbers):
    row = np.zeros(DIMENSION, np.float32)
    row[: len(numbers)] = numbers
    return row / np.linalg.norm(row)


def vector(key, *numbers, **metadata):
    return IconVector(key, made_of(*numbers), metadata)


@pytest.fixture(params=["folder", "bucket", "s3vectors"])
def indexes(request, icons_aws, tmp_path):
    bucket = f"icons-{uuid.uuid4().hex[:12]}"
    if request.param == "folder":
        return FileIndexes(FolderStorage(tmp_path))
    if request.param == "bucket":
        icons_aws.client("s3").create_bucket(Bucket=bucket)
        return FileIndexes(BucketStorage(icons_aws.client("s3"), bucket, "_icons/"))
    icons_aws.client("s3vectors").create_vector_bucket(vectorBucketName=bucket)
    return S3VectorsIndexes(icons_aws.client("s3vectors"), bucket)


SOME = [
    vector("right", 1, 0, category="arrows"),
    vector("up", 0, 1, category="arrows"),
    vector("cart", 1, 1, 3, category="shop"),
    vector("bare", 0, 0, 1),
]


def keys_of(found):
    return [key for key, _ in found]


def test_a_query_finds_the_nearest_first_with_their_cosines(indexes):
    index = indexes.create("icons-a", DIMENSION, SOME)
    found = index.query(made_of(1, 0.2), 2)
    assert keys_of(found) == ["right", "cart"]
    expected = [float(made_of(1, 0.2) @ other) for other in (made_of(1, 0), made_of(1, 1, 3))]
    assert [similarity for _, similarity in found] == pytest.approx(expected, abs=1e-5)


def test_a_category_shuts_out_the_others_and_an_unknown_one_all(indexes):
    index = indexes.create("icons-a", DIMENSION, SOME)
    assert keys_of(index.query(made_of(1, 0), 10, "arrows")) == ["right", "up"]
    assert keys_of(index.query(made_of(1, 0), 10, "shop")) == ["cart"]
    assert index.query(made_of(1, 0), 10, "food") == []


def test_more_may_be_asked_for_than_there_is(indexes):
    assert len(indexes.create("icons-a", DIMENSION, SOME).query(made_of(1, 0), 20_000)) == 4


def test_what_is_put_replaces_and_what_is_deleted_is_not_found(indexes):
    index = indexes.create("icons-a", DIMENSION, SOME)
    index.put([vector("up", 0, 0, 0, 1, category="arrows"), vector("new", 1, 0.1, category="shop")])
    index.delete(["right", "absent"])
    assert keys_of(index.query(made_of(1, 0), 2)) == ["new", "cart"]
    assert keys_of(index.query(made_of(0, 0, 0, 1), 1)) == ["up"]
    assert keys_of(index.query(made_of(1, 0), 10, "arrows")) == ["up"]
    index.put([vector("right", 1, 0, category="arrows")])
    index.delete(["new"])
    assert keys_of(index.query(made_of(1, 0), 1)) == ["right"]
    assert len(index.query(made_of(1, 0), 10)) == 4


def test_another_process_sees_changes_after_a_refresh(indexes):
    index = indexes.create("icons-a", DIMENSION, SOME)
    other = indexes.open("icons-a")
    index.put([vector("new", 0, 0, 0, 0, 1)])
    other.refresh()
    assert keys_of(other.query(made_of(0, 0, 0, 0, 1), 1)) == ["new"]
    other.delete(["new"])
    index.refresh()
    assert "new" not in keys_of(index.query(made_of(0, 0, 0, 0, 1), 9))


def test_changes_made_at_the_same_time_are_all_kept(indexes):
    indexes.create("icons-a", DIMENSION, SOME)

    def put(number):
        indexes.open("icons-a").put([vector(f"new-{number}", 0, 0, 0, 0, 1, number)])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = keys_of(indexes.open("icons-a").query(made_of(0, 0, 0, 0, 1), 100))
    assert {f"new-{number}" for number in range(8)} <= set(found)


def test_more_vectors_than_a_call_or_a_page_has(indexes):
    many = [vector(f"icon-{number:04}", 1, number / 1000) for number in range(1201)]
    index = indexes.create("icons-a", DIMENSION, iter(many))
    found = index.query(made_of(1, 0), 250)
    assert keys_of(found) == [f"icon-{number:04}" for number in range(250)]
    index.delete([one.key for one in many[:600]])
    assert keys_of(index.query(made_of(1, 0), 1)) == ["icon-0600"]


def test_an_empty_index_finds_nothing_and_takes_vectors(indexes):
    index = indexes.create("icons-a", DIMENSION, [])
    assert index.query(made_of(1), 5) == []
    index.put(SOME)
    assert keys_of(index.query(made_of(1), 1)) == ["right"]


def test_indexes_are_listed_dropped_and_made_again_empty(indexes):
    indexes.create("icons-a", DIMENSION, SOME).put([vector("new", 1)])
    indexes.create("icons-b", DIMENSION, SOME)
    assert indexes.names() == ["icons-a", "icons-b"]
    indexes.drop("icons-b")
    indexes.drop("icons-c")
    assert indexes.names() == ["icons-a"]
    assert indexes.create("icons-a", DIMENSION, []).query(made_of(1), 5) == []


def test_an_index_that_is_missing_is_named(indexes):
    with pytest.raises(IndexMissingError, match=r"no index icons-none; run python -m icons rebuild"):
        indexes.open("icons-none")


def test_chinese_keys_and_quotes_are_kept(indexes):
    index = indexes.create("icons-a", DIMENSION, [vector('购物车 "a"/b#1', 1, category="电商")])
    assert keys_of(index.query(made_of(1), 1, "电商")) == ['购物车 "a"/b#1']


def test_a_query_to_an_index_of_s3_vectors_that_was_dropped_says_so(icons_aws):
    client = icons_aws.client("s3vectors")
    client.create_vector_bucket(vectorBucketName="dropped")
    indexes = S3VectorsIndexes(client, "dropped")
    index = indexes.create("icons-a", DIMENSION, SOME)
    indexes.drop("icons-a")
    with pytest.raises(IndexMissingError):
        index.query(made_of(1), 1)


def test_an_index_in_a_bucket_of_the_older_kind_filters_before_it_searches(icons_aws):
    client = icons_aws.client("s3vectors")
    client.create_vector_bucket(vectorBucketName="old-one")
    S3VectorsIndexes(client, "old-one").create("icons-a", DIMENSION, SOME)
    answer = client.get_index(vectorBucketName="old-one", indexName="icons-a")
    assert answer["index"]["indexMode"] == "ENHANCED"
    assert answer["index"]["metadataConfiguration"]["nonFilterableMetadataKeys"] == ["description", "s3_url"]


def test_s3_vectors_refuses_what_a_library_may_not_have(icons_aws):
    """Which is why the metadata leaves out what is empty."""
    client = icons_aws.client("s3vectors")
    client.create_vector_bucket(vectorBucketName="strict")
    index = S3VectorsIndexes(client, "strict").create("icons-a", DIMENSION, [])
    with pytest.raises(ClientError, match="metadata values"):
        index.put([vector("a", 1, tags=[])])
    with pytest.raises(ClientError, match="exceeds 2048"):
        index.put([vector("a", 1, tags=["字" * 100] * 10)])
