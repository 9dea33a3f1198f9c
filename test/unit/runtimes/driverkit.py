"""What tests of drivers share."""

import base64
import io

from PIL import Image

from contract.task import Task

JOB = "01a1fbd3-be07-75d4-8441-81dd5d036ae5"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def task_of(content, tasktype="text-to-image", **metadata):
    """A task with a content."""
    return Task.model_validate(
        {"metadata": {"id": "a", "runtime": "r", "tasktype": tasktype, **metadata}, "content": content}
    )


def base64_picture(side_px):
    """A blank picture; even a huge one is a short text."""
    stream = io.BytesIO()
    Image.new("1", (side_px, side_px)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
