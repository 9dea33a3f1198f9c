"""What is fetched from the Hugging Face hub, and what is said where it does not give it. The hub is a fake.

It answers what huggingface_hub 2.4 reads (``hf_api.py``, ``file_download.py``, ``utils/_http.py``), as the hub does.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError

pytest.importorskip("torch", reason="the packages of the group flux are not installed here")
hub_utils = pytest.importorskip("huggingface_hub.utils._http")
httpx = pytest.importorskip("huggingface_hub.utils").httpx

TOKEN, OTHERS = "hf_of-the-operator", "hf_of-another"
"""Of an account that has accepted the terms of what is gated, and of one that has not."""
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
NEEDLESS = (
    *("flux1-schnell.safetensors", "ae.safetensors", "schnell_grid.jpeg", "README.md", ".gitattributes", "model.ckpt"),
    *("vae/diffusion_pytorch_model.bin", "transformer/diffusion_pytorch_model.fp16.safetensors"),
    *("text_encoder/pytorch_model.bin", "text_encoder/flax_model.msgpack", "text_encoder/model.onnx"),
    *("text_encoder/openvino_model.bin", "vae_decoder/model.onnx", "unet_onnx/weights.pb"),
)
"""What real repositories hold besides, among them the whole model once more at their roots."""
_INVALID = {"X-Error-Message": "Invalid credentials in Authorization header"}
_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+?)/resolve/(?P<revision>main|[0-9a-f]{40})/(?P<file>.+)")


def sha1(content):
    return hashlib.sha1(content).hexdigest()


@dataclass
class Repository:
    """A model: its files by path; gated ones need a token. Of those that are ``cut``, one answer has 100 bytes."""

    files: dict[str, bytes]
    gated: bool = False
    cut: list[str] = field(default_factory=list)

    @cached_property
    def commit(self):
        return sha1(repr(sorted(self.files.items())).encode())


class Hub:
    """``trouble`` is an exception in place of each answer, or a status; ``asked`` has the method and path of each."""

    def __init__(self):
        self.repositories, self.asked, self.trouble = {}, [], None

    def fetched(self, repository):
        """The files of a repository that were fetched, not only asked about."""
        matches = [_FILE.fullmatch(path) for method, path in self.asked if method == "GET"]
        return {match["file"] for match in matches if match and match["id"] == repository}

    def __call__(self, request):
        self.asked.append((request.method, request.url.path))
        if isinstance(self.trouble, Exception):
            raise self.trouble
        match = _API.fullmatch(request.url.path) or _FILE.fullmatch(request.url.path)
        given = match.groupdict() if match else {}
        repository = self.repositories.get(given.get("id"))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if self.trouble or (refusal := self._refusal(repository, given, token)):
            status, error = (self.trouble, {}) if self.trouble else refusal
            return httpx.Response(status, headers=error, request=request)
        if "file" not in given:
            return httpx.Response(200, json=self._description(repository, given))
        content = repository.files[given["file"]]
        headers = {
            "X-Repo-Commit": repository.commit,
            "ETag": f'"{sha1(content)}"',
            "Content-Length": str(len(content)),
        }
        if request.method == "HEAD":
            return httpx.Response(200, headers=headers)
        content = content[:100] if given["file"] in repository.cut else content
        return httpx.Response(200, headers=headers | {"Content-Length": str(len(content))}, content=content)

    def _refusal(self, repository, given, token):
        """Status and headers of the first reason that there is."""
        is_closed = repository and repository.gated and token != TOKEN
        known = {None, "main", repository and repository.commit}
        files = repository.files if repository else {}
        reasons = (
            (
                token not in {None, TOKEN, OTHERS},
                401,
                {"X-Error-Message": "Invalid credentials in Authorization header"},
            ),
            # Without a token the hub does not say whether there is a private one (huggingface/datasets pull 4472).
            (repository is None, 404 if token else 401, {"X-Error-Code": "RepoNotFound"}),
            (repository and given["revision"] not in known, 404, {"X-Error-Code": "RevisionNotFound"}),
            # Lists of gated repositories are open, their files are not (huggingface/huggingface.js issue 945).
            (is_closed and "file" in given, 403 if token else 401, {"X-Error-Code": "GatedRepo"}),
            ("file" in given and given["file"] not in files, 404, {"X-Error-Code": "EntryNotFound"}),
        )
        return next((tuple(reason) for applies, *reason in reasons if applies), None)

    def _description(self, repository, given):
        files = repository.files.items()
        if given["what"] == "tree":
            return [{"type": "file", "path": path, "size": len(one), "oid": sha1(one)} for path, one in files]
        siblings = [{"rfilename": path} for path, _ in files]
        return {"id": given["id"], "sha": repository.commit, "gated": repository.gated, "siblings": siblings}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub, with a cache of its own for what is fetched."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hub = Hub()
    hub_utils.set_client_factory(lambda: httpx.Client(transport=httpx.MockTransport(hub), follow_redirects=True))
    yield hub
    hub_utils.set_client_factory(hub_utils.default_client_factory)


@pytest.fixture
def find(monkeypatch, tiny_models, hub):
    """Looks for a model in the folder of models, then on the hub, with a token or without."""
    from runtimes.flux.server.pipeline.loading import folder_of

    def folder(source, token=None, revision=None):
        monkeypatch.setenv("HF_TOKEN", token or "")
        return folder_of(ModelOptions(source=source, revision=revision), str(tiny_models))

    return folder


def files_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def publish(hub, tiny_models):
    """Puts a model on the hub, under an id of its own; by default tiny FLUX."""

    def put(files=None, name=None, **values):
        name = name or f"acme/model-{len(hub.repositories)}"
        hub.repositories[name] = Repository(files or files_of(tiny_models / "flux"), **values)
        return name

    return put


def refused(words):
    return pytest.raises(PipelineRefusedError, match=words)


def test_only_files_that_the_model_is_read_from_are_fetched_and_later_only_looked_at(hub, find, publish, tiny_models):
    needed = files_of(tiny_models / "flux")
    name = publish(needed | dict.fromkeys(NEEDLESS, b"needless"))
    folder = find(name)
    assert hub.fetched(name) == set(needed)
    assert files_of(folder) == needed
    hub.asked.clear()
    assert find(name) == folder
    assert {path for _, path in hub.asked} <= {f"/api/models/{name}", f"/api/models/{name}/revision/main"}


def test_with_a_revision_the_model_is_the_hubs_and_a_revision_that_is_missing_is_named(hub, find, publish):
    name = publish()
    commit = hub.repositories[name].commit
    assert find(name, revision=commit).name == commit
    with refused("revision v1 of flux is asked for, and the Hugging Face hub does not give it"):
        find("flux", revision="v1")
    with refused("revision v9 of .* is asked for, and .*: that repository has no such commit, tag or branch"):
        find(name, revision="v9")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (httpx.ConnectError("refused"), "is no folder in .* it cannot be reached, or it br"),
        (httpx.RemoteProtocolError("broken"), "is no folder in .* it cannot be reached, or it br"),
        (503, "hub does not give it: it answered with status 503"),
    ],
)
def test_while_the_hub_is_out_of_reach_what_was_fetched_is_found_and_of_the_rest_it_is_told_why(
    trouble, words, hub, find, publish
):
    fetched, new = publish(), publish()
    folder = find(fetched)
    hub.trouble = trouble
    assert find(fetched) == folder
    with refused(words):
        find(new)


def test_a_cache_that_cannot_be_written_is_named(find, publish):
    in_its_place = find(publish()).parents[2] / "models--acme--unwritable"
    in_its_place.touch()
    with refused(f"hub does not give it: .*{in_its_place}"):
        find(publish(name="acme/unwritable"))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (("acme/unknown", None), "acme/unknown is no folder in .* it has no such repository, or a private"),
        (("acme/unknown", TOKEN), "acme/unknown is no folder in .* it has no such repository, or a private"),
        (("black-forest-labs/FLUX.1/schnell", None), "that is no id of a repository, which has the form owner/name"),
        (("acme/closed", None), "its terms have to be accepted on its page, and a token .* HF_TOKEN"),
        (("acme/closed", OTHERS), "its terms have to be accepted on its page, and a token .* HF_TOKEN"),
        (("acme/closed", "hf_expired"), "it does not know the token in HF_TOKEN"),
        (("acme/other-format", None), r"that repository has no model_index\.json, so it is no diffusers model"),
        (("acme/pickled", None), r"not the whole model, or has no \.safetensors"),
    ],
)
def test_why_the_hub_does_not_give_a_model_is_said_in_words(model, words, hub, find, publish):
    publish(None, "acme/closed", gated=True)
    publish({"flux1-schnell.safetensors": b"weights"}, "acme/other-format")
    needed = hub.repositories["acme/closed"].files
    publish({path.replace(".safetensors", ".bin"): content for path, content in needed.items()}, "acme/pickled")
    with refused(words) as caught:
        find(*model)
    assert "hf_" not in str(caught.value)
    assert hub.fetched(model[0]) <= {"model_index.json"}, "no pickled weights either"


def test_half_a_file_that_passes_for_a_whole_one_is_never_taken_from_the_cache(hub, find, publish):
    name = publish(cut=[WEIGHTS])
    with refused("what it gave is not the whole model"):
        find(name)
    hub.trouble = httpx.ConnectError("refused")
    with refused("what was fetched from it before is not the whole model"):
        find(name)


def test_a_gated_model_is_fetched_with_the_token_of_which_the_log_holds_nothing(find, publish, caplog, capfd):
    with caplog.at_level("INFO", "runtimes"):
        find(publish(gated=True), TOKEN)
    assert [record.message for record in caplog.records if record.name.startswith("runtimes")] == [
        "the model is looked for on the Hugging Face hub, and fetched"
    ]
    assert TOKEN not in caplog.text + "".join(capfd.readouterr())


def test_a_lora_that_is_on_the_hub_alone_is_not_fetched(hub, load_model, publish):
    name = publish({"pytorch_lora_weights.safetensors": b"weights"})
    with refused(f"LoRA style: there is no file {name} in the folder of models"):
        load_model(loras=[{"name": "style", "source": name}])
    assert hub.asked == []
