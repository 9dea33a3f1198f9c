"""Checks that a region is set. Imports the standard library alone, so that it can run before anything is installed."""

import configparser
import os
from pathlib import Path

from deploy.errors import DeployError

_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))


def no_region() -> DeployError:
    """The error for a missing region."""
    return DeployError("No region is set.", "Name one with -R, or set the profile's: aws configure set region NAME.")


def region_of_environment() -> str | None:
    """The region in the variables that the AWS CLI looks at; boto3 itself knows the second one alone."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def require_region(option: str | None) -> None:
    """Look for a region where boto3 does.

    Args:
        option: What -R names.

    Raises:
        DeployError: There surely is none. Files that cannot be read and absent profiles are left to boto3.
    """
    if option or region_of_environment():
        return
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    found = configparser.RawConfigParser(strict=False, default_section="")
    try:
        found.read([Path(os.environ.get(name, place)).expanduser() for name, place in _FILES], encoding="utf-8")
    except (configparser.Error, OSError, ValueError):
        return
    sections = [name for name in (profile, f"profile {profile}") if found.has_section(name)]
    if any(found.has_option(name, "region") for name in sections) or (not sections and profile != "default"):
        return
    raise no_region()
