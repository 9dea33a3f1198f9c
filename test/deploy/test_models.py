import hashlib
import random

import pytest

from deploy.errors import DeployError
from deploy.models import sources
from deploy.models.__main__ import main
from deploy.models.library import ModelLibrary
from deploy.models.sources import FileSource, source_of

BUCKET, KEY = "models", "Lora/style.safetensors"
PART = 5 << 20
LARGE = random.Random(1).randbytes(2 * PART + 1000)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(sources, "_PAUSE_S", 0.001)


@pytest.fixture
def s3(world):
    world.bucket(BUCKET)
    return world.client("s3")


@pytest.fixture
def library(s3):
    return ModelLibrary(s3, BUCKET, part_bytes=PART)


@pytest.fixture
def sent(s3):
    """Numbers of the parts that are sent. S3 lists them with their checksums, which moto forgets."""
    numbers, checksums = [], {}

    def note(params, **_):
        numbers.append(number := int(params["query_string"]["partNumber"]))
        checksums[number] = params["headers"]["x-amz-checksum-sha256"]

    def add(parsed, **_):
        for part in parsed.get("Parts", []):
            part["ChecksumSHA256"] = checksums[part["PartNumber"]]

    s3.meta.events.register("before-call.s3.UploadPart", note)
    s3.meta.events.register("after-call.s3.ListParts", add)
    return numbers


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "style.safetensors"
    path.write_bytes(LARGE)
    return path


class Breaking(FileSource):
    """A file whose reading ends with an error in its third part."""

    def chunks(self):
        for number, chunk in enumerate(super().chunks()):
            if number == 2 * PART >> 20:
                raise DeployError("broken off", "go on")
            yield chunk


def content(s3):
    return s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()


class TestStoring:
    def test_a_stored_file_is_whole_its_checksum_is_its_tag_and_it_is_not_sent_again(self, s3, library, file, sent):
        assert library.store(FileSource(file), KEY)
        assert content(s3) == LARGE
        tags = s3.get_object_tagging(Bucket=BUCKET, Key=KEY)["TagSet"]
        assert tags == [{"Key": "sha256", "Value": sha256(LARGE)}]
        sent.clear()
        assert library.store(FileSource(file), KEY) is False
        assert sent == []

    @pytest.mark.parametrize("changes", [False, True])
    def test_a_later_run_sends_only_the_parts_that_s3_does_not_have_with_this_content(
        self, s3, library, file, sent, changes
    ):
        with pytest.raises(DeployError):
            library.store(Breaking(file), KEY)
        assert sorted(sent) == [1, 2]
        sent.clear()
        if changes:
            file.write_bytes(b"x" + LARGE[1:])
        library.store(FileSource(file), KEY)
        assert sorted(sent) == ([1, 3] if changes else [3])
        assert content(s3) == file.read_bytes()

    def test_a_wrong_checksum_leaves_nothing_behind(self, s3, library, file):
        with pytest.raises(DeployError, match="not stored"):
            library.store(FileSource(file), KEY, sha256="0" * 64)
        assert not library.has(KEY)
        assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []

    def test_another_file_of_the_same_name_is_refused(self, s3, library, file):
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"another one")
        with pytest.raises(DeployError, match="new name"):
            library.store(FileSource(file), KEY)
        assert content(s3) == b"another one"

    def test_a_file_from_elsewhere_is_verified_once_by_its_bytes(self, s3, library, file):
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=LARGE)
        reads = []
        s3.meta.events.register("before-call.s3.GetObject", lambda **_: reads.append(1))
        for _ in range(2):
            assert library.checksum(KEY) == sha256(LARGE)
        assert reads == [1]


class TestTheWeb:
    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_cut_connection_is_taken_up_at_the_byte_where_it_broke(self, s3, library, models, ranges):
        models.be(cuts=[] if ranges else [1_000_000], ranges=ranges)
        source = source_of(models.url)
        models.cuts = [1_000_000, 500_000]
        library.store(source, KEY, sha256=sha256(models.body))
        assert content(s3) == models.body
        assert models.asked[2:] == ["bytes=1000000-", f"bytes={1_500_000 if ranges else 1_000_000}-"]

    @pytest.mark.parametrize(
        ("then", "words"),
        [({"body": b"y" * (3 << 20)}, "has changed"), ({"cuts": [0] * 20}, "it goes on")],
    )
    def test_a_file_that_changes_or_does_not_come_any_more_is_refused(self, library, models, then, words):
        source = source_of(models.url)
        models.be(**then)
        with pytest.raises(DeployError, match=words):
            library.store(source, KEY)

    @pytest.mark.parametrize("status", [403, 404, 503])
    def test_a_refusal_says_where_but_shows_no_token(self, models, status):
        models.be(status=status)
        with pytest.raises(DeployError) as failure:
            source_of(f"{models.url}?token=secret")
        assert "secret" not in str(failure.value)
        assert str(status) in str(failure.value)


class TestTheScript:
    @pytest.fixture
    def tree(self, inside, tmp_path):
        """A model in the format of diffusers, with what a download leaves beside it."""
        root = tmp_path / "FLUX.1-schnell"
        files = ("model_index.json", "vae/config.json", "vae/model.safetensors", ".cache/x.lock", "a/.gitattributes")
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        (root / "empty.txt").touch()
        return root

    def test_a_file_of_the_web_without_extension_gets_that_of_its_kind(self, inside, s3, models):
        for body, name, folder in ((b"PK" + bytes(100), "1", "lora"), (bytes(8) + b"{", "2", "embeddings/")):
            models.be(body=body, disposition=f'attachment; filename="{name}"')
            assert main([models.url, folder, BUCKET]) == 0
        assert s3.get_object(Bucket=BUCKET, Key="Lora/1.ckpt")["Body"].read() == b"PK" + bytes(100)
        assert s3.head_object(Bucket=BUCKET, Key="embeddings/2.safetensors")

    def test_a_pickle_is_stored_with_a_warning_from_the_callers_folder(self, checkout, s3):
        (checkout.root / "deploy" / "style.ckpt").write_bytes(b"PK")
        ended = checkout.run("upload-model.sh", "style.ckpt", "Lora", BUCKET, "--prefix", "v2/")
        assert (ended.code, "pickle" in ended.out) == (0, True)
        assert s3.head_object(Bucket=BUCKET, Key="v2/Lora/style.ckpt")

    def test_a_folder_is_put_into_the_bucket_and_goes_on_where_it_ended(self, tree, s3, capsys):
        there = "v2/black-forest-labs/FLUX.1-schnell"
        s3.put_object(Bucket=BUCKET, Key=f"{there}/vae/config.json", Body=b"vae/config.json")
        assert main([str(tree), "black-forest-labs/FLUX.1-schnell", BUCKET, "--prefix", "v2/"]) == 0
        assert "1 of 3: vae/config.json is there already" in capsys.readouterr().out
        keys = {one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
        assert keys == {f"{there}/{name}" for name in ("model_index.json", "vae/config.json", "vae/model.safetensors")}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("model_index.json", "Lora", "nowhere"), "There is no bucket nowhere"),
            (("model_index.json", "checkpoints", BUCKET), "hypernetworks"),
            ((".", "FLUX.1-schnell", BUCKET, "--sha256", "0" * 64), "--sha256"),
            (("vae", "FLUX.1-schnell", BUCKET), "not a model in the diffusers format"),
        ],
    )
    def test_what_cannot_be_uploaded_is_refused(self, s3, tree, capsys, arguments, words):
        source, *place = arguments
        assert main([str(tree / source), *place]) == 1
        assert words in capsys.readouterr().err
