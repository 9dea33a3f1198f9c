import httpx
import pytest


@pytest.mark.parametrize("older", [False, True], ids=["3.x", "1.x"])
def test_the_python_client_generates_pictures(place, older):
    models, pictures, link, *errors = place.run("openai_pictures.py", older=older)
    assert {"gpt-image-1", "sdruntime", "fluxdev"} <= set(models["models"])
    assert pictures["pictures"] == ["89504e47", "89504e47"]
    assert httpx.get(link["url"]).content.startswith(b"\x89PNG")
    assert [error["status"] for error in errors] == [404, 400, 400]
    assert [error["param"] for error in errors] == [None, "size", "n"]
