"""Downloads from the Hugging Face hub, and errors if they fail. The hub is a fake.

It has the answers that huggingface_hub 2.4 reads (``hf_api.py``, ``file_download.py``, ``utils/_http.py``).
"""

import hashlib

import pytest

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError

pytest.importorskip("torch", reason="the packages of the group flux are not installed here")
hub_utils = pytest.importorskip("huggingface_hub.utils._http")
httpx = pytest.importorskip("huggingface_hub.utils").httpx

MODEL, COMMIT = "acme/model", "c" * 40
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
NEEDLESS = (
    *("flux1-schnell.safetensors", "ae.safetensors", "schnell_grid.jpeg", "README.md", ".gitattributes", "model.ckpt"),
    *("vae/diffusion_pytorch_model.bin", "transformer/diffusion_pytorch_model.fp16.safetensors"),
    *("text_encoder/pytorch_model.bin", "text_encoder/flax_model.msgpack", "text_encoder/model.onnx"),
    *("text_encoder/openvino_model.bin", "vae_decoder/model.onnx", "unet_onnx/weights.pb"),
)
"""Other files in real repositories; those at the root are the whole model once more."""


def sha1(content):
    return hashlib.sha1(content).hexdigest()


class Hub:
    """Serves the same files under every id. ``trouble`` replaces the answers for paths that contain ``at``.

    It is an exception, or a status and headers. Only the first 100 bytes of the file ``cut`` are sent.
    """

    def __init__(self, files):
        self.files, self.requests = files, []
        self.trouble, self.at, self.cut = None, "", None

    @property
    def fetched(self):
        """Files that were downloaded, not just looked up."""
        paths = [one.url.path for one in self.requests if one.method == "GET" and "/resolve/" in one.url.path]
        return {file_of(path) for path in paths}

    def __call__(self, request):
        self.requests.append(request)
        path = request.url.path
        trouble = self.trouble if self.at in path else None
        if isinstance(trouble, Exception):
            raise trouble
        if "/resolve/" in path and file_of(path) not in self.files:
            trouble = trouble or (404, {"X-Error-Code": "EntryNotFound"})
        if trouble:
            return httpx.Response(trouble[0], headers=trouble[1], request=request)
        if "/tree/" in path:
            files = self.files.items()
            rows = [{"type": "file", "path": name, "size": len(one), "oid": sha1(one)} for name, one in files]
            return httpx.Response(200, json=rows)
        if "/resolve/" not in path:
            siblings = [{"rfilename": name} for name in self.files]
            return httpx.Response(200, json={"id": MODEL, "sha": COMMIT, "siblings": siblings})
        content = self.files[file_of(path)]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha1(content)}"', "Content-Length": str(len(content))}
        if request.method == "HEAD":
            return httpx.Response(200, headers=headers)
        content = content[:100] if file_of(path) == self.cut else content
        return httpx.Response(200, headers=headers | {"Content-Length": str(len(content))}, content=content)


def file_of(path):
    """The file of ``/owner/name/resolve/revision/file``."""
    return path.split("/", 5)[5]


def files_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def hub(monkeypatch, tmp_path, tiny_models):
    """The hub with tiny FLUX, and an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hub = Hub(files_of(tiny_models / "flux"))
    hub_utils.set_client_factory(lambda: httpx.Client(transport=httpx.MockTransport(hub), follow_redirects=True))
    yield hub
    hub_utils.set_client_factory(hub_utils.default_client_factory)


@pytest.fixture
def find(tiny_models, hub):
    """Looks for a model in the folder of models, then on the hub."""
    from runtimes.flux.server.pipeline.loading import folder_of

    return lambda source=MODEL, revision=None: folder_of(
        ModelOptions(source=source, revision=revision), str(tiny_models)
    )


def refused(words):
    return pytest.raises(PipelineRefusedError, match=words)


def test_only_needed_files_are_fetched_and_only_once(hub, find):
    needed = dict(hub.files)
    hub.files |= dict.fromkeys(NEEDLESS, b"needless")
    folder = find()
    assert hub.fetched == set(needed)
    assert files_of(folder) == needed
    hub.requests.clear()
    assert find() == folder
    assert hub.fetched == set()


def test_with_a_revision_the_model_comes_from_the_hub_even_if_a_folder_has_its_name(hub, find):
    hub.trouble = (404, {"X-Error-Code": "RevisionNotFound"})
    with refused("revision v1 of flux is asked for, and .*: that repository has no such commit, tag or branch"):
        find("flux", "v1")
    assert {"v1"} == {request.url.path.rpartition("/revision/")[2] for request in hub.requests}


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (httpx.ConnectError("refused"), "is no folder in .* it cannot be reached, or it br"),
        (httpx.RemoteProtocolError("broken"), "is no folder in .* it cannot be reached, or it br"),
        ((503, {}), "hub does not give it: it answered with status 503"),
    ],
)
def test_while_the_hub_is_unreachable_cached_models_are_found_and_others_are_refused_with_the_reason(
    trouble, words, hub, find
):
    folder = find()
    hub.trouble = trouble
    assert find() == folder
    with refused(words):
        find("acme/new")


def test_the_error_for_an_unwritable_cache_names_it(hub, find, tmp_path):
    in_its_place = tmp_path / "models--acme--model"
    in_its_place.touch()
    with refused(f"hub does not give it: .*{in_its_place}"):
        find()


TERMS = "its terms have to be accepted on its page, and a token .* HF_TOKEN"
PRIVATE = "acme/model is no folder in .* it has no such repository, or a private"


@pytest.mark.parametrize(
    ("trouble", "at", "words"),
    [
        # Without a token, the hub does not reveal private repositories (huggingface/datasets pull 4472).
        ((401, {"X-Error-Code": "RepoNotFound"}), "", PRIVATE),
        ((404, {"X-Error-Code": "RepoNotFound"}), "", PRIVATE),
        # Anyone can list files of gated repositories, but not read them (huggingface/huggingface.js issue 945).
        ((401, {"X-Error-Code": "GatedRepo"}), "/resolve/", TERMS),
        ((403, {"X-Error-Code": "GatedRepo"}), "/resolve/", TERMS),
        (
            (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
            "",
            "not know the token in HF_TOKEN",
        ),
        (
            (404, {"X-Error-Code": "EntryNotFound"}),
            "/resolve/",
            r"has no model_index\.json, so it is no diffusers model",
        ),
    ],
)
def test_a_failed_download_is_refused_with_the_reason(trouble, at, words, hub, find):
    hub.trouble, hub.at = trouble, at
    with refused(words):
        find()


def test_invalid_ids_and_models_with_only_pickled_weights_are_refused(hub, find):
    with refused("that is no id of a repository, which has the form owner/name"):
        find("black-forest-labs/FLUX.1/schnell")
    hub.files = {name.replace(".safetensors", ".bin"): content for name, content in hub.files.items()}
    with refused(r"not the whole model, or has no \.safetensors"):
        find()
    assert hub.fetched <= {"model_index.json"}


def test_a_truncated_file_is_never_taken_from_the_cache(hub, find):
    hub.cut = WEIGHTS
    with refused("what it gave is not the whole model"):
        find()
    hub.trouble = httpx.ConnectError("refused")
    with refused("what was fetched from it before is not the whole model"):
        find()


def test_the_hub_gets_the_token_but_the_log_does_not(hub, find, monkeypatch, caplog, capfd):
    monkeypatch.setenv("HF_TOKEN", "hf_of-the-operator")
    with caplog.at_level("INFO", "runtimes"):
        find()
    assert {request.headers["Authorization"] for request in hub.requests} == {"Bearer hf_of-the-operator"}
    assert "the model is looked for on the Hugging Face hub, and fetched" in caplog.messages
    assert "hf_of" not in caplog.text + "".join(capfd.readouterr())


def test_a_lora_that_exists_only_on_the_hub_is_not_fetched(hub, load_model):
    with refused(f"LoRA style: there is no file {MODEL} in the folder of models"):
        load_model(loras=[{"name": "style", "source": MODEL}])
    assert hub.requests == []
