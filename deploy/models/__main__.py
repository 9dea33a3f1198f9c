"""``python -m deploy.models``: upload a model; deploy/upload-model.sh starts it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.aws import Account
from deploy.console import note, say
from deploy.errors import DeployError
from deploy.models.bucket import ModelBucket
from deploy.models.library import INDEX, ModelLibrary
from deploy.models.sources import FileSource, source_of
from deploy.scripts import exit_code_of
from runtimes.model_folders import MODEL_FOLDERS

_FOLDERS = tuple(folder.name for folder in MODEL_FOLDERS)
"""The bucket's folders from which model servers read single files."""
_PICKLES = (".ckpt", ".pt", ".pth")


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="deploy/upload-model.sh",
        description="Put a model into the model bucket: a file, or a folder in the diffusers format. "
        "The same command resumes a broken upload.",
        epilog="A file that has changed needs a new name: what is in the bucket is never replaced.",
    )
    add = parser.add_argument
    add("source", metavar="FILE-or-URL", help="a file or a folder of this machine, or a file's http(s) address")
    folders = f"for a file, one of {', '.join(_FOLDERS)}; for a folder, its name in the bucket"
    add("folder", metavar="FOLDER", help=folders)
    add("bucket", metavar="BUCKET", help="the model bucket")
    add("-R", "--region", help="the bucket's region (the current profile's)")
    add("--prefix", default="", metavar="FOLDER/", help="folder above, as modelsPrefix in config.yaml")
    add("--sha256", metavar="HEX", help="refuse the file unless this is its checksum")
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _upload(options))


def _upload(options: argparse.Namespace) -> None:
    account = Account.find(options.region)
    if not ModelBucket(account, options.bucket).exists():
        raise DeployError(f"There is no bucket {options.bucket}.", "deploy/deploy.sh makes one, or `aws s3 mb`.")
    library = ModelLibrary(account.client("s3"), options.bucket)
    if Path(options.source).is_dir():
        _upload_folder(library, options)
    else:
        _upload_file(library, options)


def _upload_folder(library: ModelLibrary, options: argparse.Namespace) -> None:
    if options.sha256 is not None:
        raise DeployError(f"--sha256 is for a file, and {options.source} is a folder.", "Leave it out.")
    root, key = Path(options.source), f"{options.prefix}{options.folder.strip('/')}"
    names = model_files(root)
    for number, name in enumerate(names, start=1):
        is_new = library.store(FileSource(root / name), f"{key}/{name}")
        say(f"{number} of {len(names)}: {name} {'stored' if is_new else 'is there already'}")
    say(f"s3://{options.bucket}/{key}/ is complete.")


def _upload_file(library: ModelLibrary, options: argparse.Namespace) -> None:
    folder = folder_named(options.folder)
    source = source_of(options.source)
    name = stored_name(source.name, source.head)
    if name != source.name:
        note(f"{source.name} has no extension; it is stored as {name}.")
    if name.endswith(_PICKLES):
        note(f"{name} is a pickle, which may run any code when it is loaded. Use only files that you trust.")
    key = f"{options.prefix}{folder}/{name}"
    is_new = library.store(source, key, sha256=options.sha256)
    say(f"s3://{options.bucket}/{key} {'stored' if is_new else 'exists already, the very same file'}.")


def folder_named(name: str) -> str:
    """The folder's correct spelling.

    Raises:
        DeployError: No model server reads this folder.
    """
    for folder in _FOLDERS:
        if folder.lower() == name.strip("/").lower():
            return folder
    raise DeployError(f"Model servers read no folder {name}.", f"Choose one of {', '.join(_FOLDERS)}.")


def stored_name(name: str, head: bytes) -> str:
    """A file's name in the bucket; without an extension it gets the one that matches its first bytes."""
    if "." in name:
        return name
    # A safetensors file begins with the length of its header in eight bytes, then the header in JSON.
    return f"{name}.safetensors" if head[8:9] == b"{" else f"{name}.ckpt"


def model_files(folder: Path) -> list[str]:
    """Paths of a diffusers model's files below its folder, without hidden and empty ones.

    Raises:
        DeployError: The folder contains no model.
    """
    if not (folder / INDEX).is_file():
        raise DeployError(
            f"{folder} has no {INDEX}, so it is not a model in the diffusers format.",
            "Name the folder that holds one, as `hf download` makes it, or a single file.",
        )
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(names, key=lambda name: (name == INDEX, name))


if __name__ == "__main__":
    sys.exit(main())
