from docs.generate_api import PAGE, page


def test_the_reference_of_api_v1_is_what_the_code_writes():
    assert page() == PAGE.read_text(encoding="utf-8"), "run: python -m docs.generate_api"
