"""A library over a jobs table of moto's, and an artist whose jobs a test ends."""

import contextlib
import io
import json
import uuid
from functools import cache

import boto3
import pytest
from PIL import Image, ImageDraw

from contract.notice import JobError
from icons.counters import Counters
from icons.embeddings import NgramEmbedder
from icons.icon import Icon
from icons.index.files import FileIndexes
from icons.intake import Intake
from icons.needs import Need
from icons.rebuild import Indexer
from icons.resolve import Resolver
from icons.search import IconSearch
from icons.storage import FolderStorage
from icons.store import LibraryStore
from jobs.commands import complete
from jobs.job import JobState
from local.sandbox import REGION
from test.integration.api.conftest import SHELLS, Api, make_api
from test.kit.jobs import JobsTable
from test.kit.processes import ChildProcess, answers, free_port, wait_for

CART = Icon(
    key="cart",
    description="购物车图标",
    aliases=("shopping cart icon",),
    s3_url="https://icons.example/cart.svg",
    category="shop",
)


def picture(ground="white", fill=(200, 30, 60)):
    image = Image.new("RGB", (64, 64), ground)
    ImageDraw.Draw(image).ellipse((16, 16, 48, 48), fill=fill)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class Artist:
    """Enters jobs in the table as the door does; ``pictures`` are those of jobs that have succeeded."""

    def __init__(self, table):
        self._table = table
        self.submitted_jobs = []
        self.pictures = {}
        self.failure = None

    def submit(self, need, job):
        if self.failure is not None:
            raise self.failure
        self.submitted_jobs.append(job)
        if self._table.record(job) is None:
            self._table.queued(job=job, id=need.id)
        return self._table.record(job)

    def submitted(self, need, job):
        task = self._table.task(job=job, id=need.id)
        return self._table.record(job) or self._as_entered(task)

    def picture(self, job):
        return self.pictures[job.id]

    def _as_entered(self, task):
        return Assumed(task.metadata.job)


class Assumed:
    """A job that another request is submitting."""

    def __init__(self, job):
        self.id = job


class Gallery:
    """One process of the API with a library; several share a table and a folder."""

    def __init__(self, table, folder):
        self.table = table
        self.folder = folder
        self.storage = FolderStorage(folder)
        store, indexes, embedder = LibraryStore(self.storage), FileIndexes(self.storage), NgramEmbedder()
        self.search = IconSearch(store, indexes, embedder)
        self.indexer = Indexer(store, indexes, embedder)
        self.counters = Counters(table.store)
        self.intake = Intake(search=self.search, indexer=self.indexer, storage=self.storage, bucket="out")
        self.artist = Artist(table)
        self.now_s = table.now_s
        self.resolver = Resolver(
            search=self.search,
            jobs=table.store,
            intake=self.intake,
            counters=self.counters,
            clock=lambda: self.now_s,
        )

    def another(self):
        """A second process of the same library."""
        other = Gallery(self.table, self.folder)
        other.artist = self.artist
        return other

    def need(self, query="a red balloon", **changes):
        return Need(**{"tenant": "me", "query": query, "style": "flat", "side": 64, **changes})

    def resolve(self, query="a red balloon", **changes):
        return self.resolver.resolve(self.need(query, **changes), self.artist)

    def end(self, job, **failure):
        """An agent ends a job, with a picture or an error."""
        task = self.table.task(job=job)
        self.table.claim(task)
        state = JobState.FAILED if failure else JobState.SUCCEEDED
        error = JobError(**failure) if failure else None
        pictures = [] if failure else ["png"]
        self.table.update(
            complete(job, "token", state, now_s=self.table.now_s, attempts=1, pictures=pictures, error=error)
        )
        self.artist.pictures.setdefault(job, picture())
        return self.table.record(job)


@pytest.fixture(scope="module")
def table(aws):
    return JobsTable(aws.dynamodb, f"icons-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def gallery(table, tmp_path):
    table.delete_all()
    made = Gallery(table, tmp_path / "library")
    made.indexer.put([CART])
    return made


class IconsAws:
    """moto with S3 Vectors and Titan as a process."""

    def __init__(self, folder):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = ("test.kit.s3vectors", "--port", str(port))
        self.process = ChildProcess(*arguments, log=folder / "aws.log", endpoint=self.url, fresh=True)
        self.process.start()
        wait_for(lambda: answers(f"{self.url}/moto-api/"), lambda: self.process.log)

    def client(self, name, config=None):
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return boto3.client(name, region_name=REGION, endpoint_url=self.url, config=config, **keys)


@pytest.fixture(scope="session")
def icons_aws(tmp_path_factory):
    aws = IconsAws(tmp_path_factory.mktemp("icons"))
    yield aws
    aws.process.kill()


SEED = [
    {
        "key": "arrow-right-001",
        "description": "向右箭头图标,用于导航和下一步操作,导航类图标",
        "s3_url": "https://icon-storage-bucket.s3.amazonaws.com/arrows/arrow-right.svg",
        "category": "navigation",
        "tags": ["箭头", "导航", "右", "下一步"],
    },
    {
        "key": "cart-001",
        "description": "购物车图标,用于电商网站的购物和结算,商务类图标",
        "s3_url": "https://icon-storage-bucket.s3.amazonaws.com/shop/cart.svg",
        "category": "commerce",
        "tags": [],
    },
    {
        "key": "search-001",
        "description": "放大镜图标,用于搜索和查找,操作类图标",
        "s3_url": "https://icon-storage-bucket.s3.amazonaws.com/actions/search.svg",
    },
]
"""A library in the form of the article on such libraries; the second icon has no tags, the third no category."""


class IconApi(Api):
    """An API with an icon library over a rig."""

    def __init__(self, rig, module, **settings):
        values = {"runtime": rig.name, "embeddings": "ngrams", "starter": False, **settings}
        super().__init__(rig, module, ICONS=json.dumps(values))

    def post(self, path, body, status=200, **options):
        answer = self.call("POST", f"/icons/{path}", body, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def library(self, icons=SEED):
        """Import icons into an empty library."""
        return self.post("import", icons, key="admin-key")

    def resolve(self, query="a red balloon", status=200, *, key="key", **changes):
        return self.post("resolve", {"query": query, **changes}, status, key=key)

    def finish(self, job, *, drawn=None, **failure):
        """An agent ends a job, with a picture in the bucket or an error."""
        rig = self.rig
        record = rig.record(job)
        rig.claim(rig.task(job=job))
        state = JobState.FAILED if failure else JobState.SUCCEEDED
        rig.aws.s3.put_object(
            Bucket=rig.bucket, Key=record.names.picture_key(1, "png"), Body=picture() if drawn is None else drawn
        )
        rig.update(
            complete(
                job,
                "token",
                state,
                now_s=rig.now_s,
                attempts=1,
                pictures=[] if failure else ["png"],
                error=JobError(**failure) if failure else None,
            )
        )

    def fetch(self, url):
        """What anybody gets at a link."""
        answer = self.call("GET", f"{url}?redirect=false", key=None, accept="image/*")
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture(params=SHELLS)
def shell(request):
    return SHELLS[request.param]


@pytest.fixture(scope="module")
def apis(kit):
    """Makes an API of a shell once; nothing draws its jobs but the tests."""
    with contextlib.ExitStack() as stack:

        @cache
        def make(shell):
            return IconApi(stack.enter_context(kit.rig("sdwebui")), shell)

        yield make


@pytest.fixture
def api(apis, shell):
    """An API with the seed's library, and nothing left of an earlier test."""
    made = apis(shell)
    made.rig.clear()
    made.call("POST", "/icons/rebuild", key="admin-key")
    made.library()
    return made


__all__ = ["make_api"]
