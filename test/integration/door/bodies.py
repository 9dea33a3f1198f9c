"""Bodies of requests: a small one, and one whose content is too large for a message."""


def body_of(tasktype, **content):
    return {"task": {"metadata": {"id": "a", "runtime": "sdruntime", "tasktype": tasktype}, "content": content}}


TASK = body_of("text-to-image", prompt="a unicorn")
LARGE = body_of("image-to-image", init_images=["A" * 200 * 1024])
