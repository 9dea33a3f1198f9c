"""A library in a bucket, its vectors in S3 Vectors, made by Titan: all through real HTTP."""

import json
import os
import subprocess
import sys
import uuid

import pytest

from icons.embeddings import BEDROCK_CONFIG, TitanEmbedder
from icons.icon import Icon
from icons.index.s3vectors import S3VectorsIndexes
from icons.library import IconLibrary
from icons.rebuild import Indexer
from icons.search import IconSearch
from icons.storage import ABSENT, BucketStorage, ChangedMeanwhileError
from icons.store import PREFIX, LibraryStore
from local.sandbox import sandboxed

LIBRARY = IconLibrary.from_list(
    [
        {
            "key": "arrow-right-001",
            "description": "向右箭头图标,用于导航和下一步操作,导航类图标",
            "s3_url": "https://icon-storage-bucket.s3.amazonaws.com/arrows/arrow-right.svg",
            "category": "navigation",
            "tags": ["箭头", "导航", "右", "下一步"],
        },
        {"key": "cart", "description": "购物车图标", "s3_url": "s3://b/cart.svg", "aliases": ["Shopping cart icon"]},
        {"key": "lock", "description": "锁图标,用于安全", "s3_url": "s3://b/lock.svg", "category": "security"},
    ]
)


class OnAws:
    def __init__(self, aws):
        self.aws, self.bucket = aws, f"icons-{uuid.uuid4().hex[:12]}"
        aws.client("s3").create_bucket(Bucket=self.bucket)
        aws.client("s3vectors").create_vector_bucket(vectorBucketName=self.bucket)
        self.storage = BucketStorage(aws.client("s3"), self.bucket, PREFIX)
        self.vectors = aws.client("s3vectors")
        self.indexes = S3VectorsIndexes(self.vectors, self.bucket)
        self.titan = TitanEmbedder(aws.client("bedrock-runtime", config=BEDROCK_CONFIG))
        self.indexer = Indexer(LibraryStore(self.storage), self.indexes, self.titan)
        self.search = IconSearch(LibraryStore(self.storage), self.indexes, self.titan)

    def command(self, *arguments):
        place = ("--bucket", self.bucket, "--vector-bucket", self.bucket, "--embeddings", "titan")
        command = [sys.executable, "-m", "icons", *place, *arguments]
        environment = sandboxed(os.environ, self.aws.url)
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def on_aws(icons_aws):
    made = OnAws(icons_aws)
    made.indexer.rebuild(LIBRARY)
    return made


def best(result):
    return result.matches[0].icon.key


def test_icons_are_found_put_deleted_and_rebuilt(on_aws):
    assert best(on_aws.search.search("右箭头")) == "arrow-right-001"
    assert best(on_aws.search.search("shopping cart")) == "cart"
    assert [match.icon.key for match in on_aws.search.search("锁", category="security").matches] == ["lock"]
    on_aws.indexer.put([Icon(key="cat", description="猫图标", s3_url="s3://b/cat.png", status="candidate")])
    on_aws.search.refresh()
    assert best(on_aws.search.search("猫")) == "cat"
    on_aws.indexer.delete(["cart"])
    on_aws.indexer.rebuild()
    on_aws.search.refresh()
    assert best(on_aws.search.search("猫")) == "cat"
    assert "cart" not in [match.icon.key for match in on_aws.search.search("购物车").matches]
    assert len(on_aws.indexes.names()) == 2


def test_a_search_outlives_two_rebuilds_by_other_processes(on_aws):
    assert best(on_aws.search.search("购物车")) == "cart"
    on_aws.indexes.drop(LibraryStore(on_aws.storage).current().name)
    Indexer(LibraryStore(on_aws.storage), on_aws.indexes, on_aws.titan).rebuild()
    assert best(on_aws.search.search("购物车")) == "cart"


def test_the_seeds_own_query_finds_the_seeds_metadata(on_aws):
    """Programs that read the index as the article shows go on working."""
    answer = on_aws.vectors.query_vectors(
        vectorBucketName=on_aws.bucket,
        indexName=LibraryStore(on_aws.storage).current().name,
        queryVector={"float32": on_aws.titan.embed_query("向右箭头").tolist()},
        topK=5,
        filter={"category": "navigation"},
        returnDistance=True,
        returnMetadata=True,
    )
    (vector,) = answer["vectors"]
    icon = LIBRARY.icons["arrow-right-001"]
    assert (vector["key"], vector["metadata"]["s3_url"]) == (icon.key, icon.s3_url)
    assert (vector["metadata"]["description"], vector["metadata"]["tags"]) == (icon.description, list(icon.tags))


def test_the_command_rebuilds_and_searches(on_aws):
    status, output, _ = on_aws.command("rebuild")
    assert (status, output.endswith(": 3 icons\n")) == (0, True)
    status, output, _ = on_aws.command("search", "购物车", "--top", "1")
    assert status == 0
    assert "cart  购物车图标" in output


def test_the_command_says_that_queries_are_too_few(on_aws, tmp_path):
    queries = tmp_path / "queries.json"
    queries.write_text(json.dumps([{"query": "cart", "keys": ["cart"]}]), "utf-8")
    status, _, errors = on_aws.command("calibrate", "--queries", str(queries))
    assert status == 1
    assert "are too few to learn from" in errors


def test_an_object_is_written_only_over_the_one_that_was_read(on_aws):
    storage = on_aws.storage
    first = storage.write("a", b"1", replaces=ABSENT)
    with pytest.raises(ChangedMeanwhileError):
        storage.write("a", b"2", replaces=ABSENT)
    second = storage.write("a", b"2", replaces=first)
    with pytest.raises(ChangedMeanwhileError):
        storage.write("a", b"3", replaces=first)
    assert (storage.read("a").body, storage.read("a", second).body) == (b"2", None)
    storage.delete("a")
    assert storage.read("a").etag == ABSENT
    with pytest.raises(ChangedMeanwhileError):
        storage.write("a", b"3", replaces=second)
