"""The region of the environment and of AWS's own files. Imports nothing that must be installed."""

import configparser
import os
from pathlib import Path

from deploy.errors import DeployError

_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))


def no_region() -> DeployError:
    """The error for a missing region."""
    return DeployError(
        "No region is set.", "Name one with -R or in AWS_REGION, or set the profile's: aws configure set region NAME."
    )


def region_of_environment() -> str | None:
    """The region in the variables that the AWS CLI reads; boto3 itself reads only the second one."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def require_region(option: str | None) -> None:
    """Look for a region where boto3 does, unless -R names one.

    Raises:
        DeployError: There surely is none. Unreadable files and absent profiles are left to boto3.
    """
    if option or region_of_environment():
        return
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    files = configparser.RawConfigParser(strict=False, default_section="")
    try:
        files.read([Path(os.environ.get(name, place)).expanduser() for name, place in _FILES], encoding="utf-8")
    except (configparser.Error, OSError, ValueError):
        return
    sections = [name for name in (profile, f"profile {profile}") if files.has_section(name)]
    if any(files.has_option(name, "region") for name in sections) or (not sections and profile != "default"):
        return
    raise no_region()
