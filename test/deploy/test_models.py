import hashlib
import random

import pytest

from deploy.errors import DeployError
from deploy.models import sources
from deploy.models.__main__ import folder_named, main, model_files, stored_name
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
    def test_a_cut_connection_is_taken_up_at_the_byte_where_it_broke(self, s3, library, models):
        models.be(cuts=[1_000_000, 500_000])
        library.store(source_of(models.url), KEY, sha256=sha256(models.body))
        assert content(s3) == models.body
        starts = [int(asked.removeprefix("bytes=").partition("-")[0]) for asked in models.asked[2:]]
        assert starts == [1_000_000, 1_500_000]

    def test_a_server_without_ranges_is_read_from_the_start_and_the_known_bytes_skipped(self, s3, library, models):
        models.be(cuts=[1_000_000], ranges=False)
        source = source_of(models.url)
        models.cuts = [1_000_000]
        library.store(source, KEY, sha256=sha256(models.body))
        assert content(s3) == models.body

    def test_a_file_that_changes_while_it_is_read_is_refused(self, library, models):
        source = source_of(models.url)
        models.be(body=b"y" * len(models.body))
        with pytest.raises(DeployError, match="has changed"):
            library.store(source, KEY)

    def test_it_gives_up_when_nothing_comes_any_more(self, library, models):
        source = source_of(models.url)
        models.be(cuts=[0] * 20)
        with pytest.raises(DeployError, match="it goes on"):
            library.store(source, KEY)

    @pytest.mark.parametrize("status", [403, 404, 503])
    def test_a_refusal_says_where_but_shows_no_token(self, models, status):
        models.be(status=status)
        with pytest.raises(DeployError) as failure:
            source_of(f"{models.url}?token=secret")
        assert "secret" not in str(failure.value)
        assert str(status) in str(failure.value)


def test_a_folder_is_known_whatever_its_case_and_another_one_is_refused_with_the_choices():
    assert folder_named("stable-diffusion/") == "Stable-diffusion"
    with pytest.raises(DeployError, match="hypernetworks"):
        folder_named("checkpoints")


def test_a_file_without_extension_gets_that_of_its_kind():
    assert stored_name("124626", b"\x20\x00\x00\x00\x00\x00\x00\x00{") == "124626.safetensors"
    assert stored_name("a.pt", b"PK") == "a.pt"


class TestTheScript:
    def test_a_civitai_file_is_stored_as_ckpt_with_a_warning(self, checkout, s3, models):
        models.be(body=b"PK" + bytes(100), disposition='attachment; filename="124626"')
        ended = checkout.run("upload-model.sh", models.url, "lora", BUCKET)
        assert ended.code == 0
        assert "pickle" in ended.out
        assert s3.get_object(Bucket=BUCKET, Key="Lora/124626.ckpt")["Body"].read() == models.body

    def test_a_file_is_found_from_the_callers_folder(self, checkout, s3):
        (checkout.root / "deploy" / "style.safetensors").write_bytes(b"12345678{")
        ended = checkout.run("upload-model.sh", "style.safetensors", "Lora", BUCKET, "--prefix", "v2/")
        assert ended.code == 0
        assert s3.head_object(Bucket=BUCKET, Key="v2/Lora/style.safetensors")

    def test_a_bucket_that_is_not_there_is_refused(self, inside, file, capsys):
        assert main([str(file), "Lora", "nowhere"]) == 1
        assert "There is no bucket nowhere" in capsys.readouterr().err


class TestFolders:
    @pytest.fixture
    def tree(self, tmp_path):
        """A model in the format of diffusers, with what a download leaves beside it."""
        root = tmp_path / "FLUX.1-schnell"
        files = ("model_index.json", "vae/config.json", "vae/model.safetensors", ".cache/x.lock", "a/.gitattributes")
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        (root / "empty.txt").touch()
        return root

    def test_a_folder_without_an_index_is_refused(self, tree):
        (tree / "model_index.json").unlink()
        with pytest.raises(DeployError, match="not a model in the diffusers format"):
            model_files(tree)

    def test_the_script_puts_a_folder_into_the_bucket_and_goes_on_where_it_ended(self, checkout, world, tree, s3):
        upload = ("upload-model.sh", str(tree), "black-forest-labs/FLUX.1-schnell", BUCKET, "--prefix", "v2/")
        s3.put_object(Bucket=BUCKET, Key="v2/black-forest-labs/FLUX.1-schnell/vae/config.json", Body=b"vae/config.json")
        ended = checkout.run(*upload)
        assert ended.code == 0, ended.err
        assert "1 of 3: vae/config.json is there already" in ended.out
        keys = {one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
        names = ("model_index.json", "vae/config.json", "vae/model.safetensors")
        assert keys == {f"v2/black-forest-labs/FLUX.1-schnell/{name}" for name in names}

    def test_a_checksum_is_a_files(self, checkout, s3, tree):
        ended = checkout.run("upload-model.sh", str(tree), "FLUX.1-schnell", BUCKET, "--sha256", "0" * 64)
        assert (ended.code, "--sha256" in ended.err + ended.out) == (1, True)
