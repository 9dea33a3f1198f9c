import pytest

from runtimes.sdwebui.checkpoints import infotext_pairs, named_checkpoints, same_checkpoint


@pytest.mark.parametrize(
    ("spelling", "is_same"),
    [
        *[(name, True) for name in ("a", " A.CKPT ", "a.safetensors [3E0be5e8af]")],
        *[(name, False) for name in ("b.safetensors", "a-b", "a [xyz]", "a []")],
    ],
)
def test_all_spellings_of_a_checkpoint_are_the_same(spelling, is_same):
    assert same_checkpoint(spelling, "a.safetensors") is is_same


def places(content):
    return {".".join(map(str, one.path)): (one.name, one.draws) for one in named_checkpoints(content)}


def infotext(pair):
    return {"infotext": f"a prompt that says Model: x\nSteps: 1, Seed: 1, {pair}"}


@pytest.mark.parametrize(
    ("content", "place", "draws"),
    [
        ({"sd_model_checkpoint": "n"}, "sd_model_checkpoint", True),
        ({"override_settings": {"sd_model_checkpoint": "n"}}, "override_settings.sd_model_checkpoint", True),
        (
            {"alwayson_scripts": {"override_settings": {"sd_model_checkpoint": "n"}}},
            "alwayson_scripts.override_settings.sd_model_checkpoint",
            True,
        ),
        ({"refiner_checkpoint": "n"}, "refiner_checkpoint", False),
        ({"hr_checkpoint_name": "n"}, "hr_checkpoint_name", False),
        ({"alwayson_scripts": {"refiner": {"args": [True, "n", 0.8]}}}, "alwayson_scripts.refiner.args.1", False),
        (
            {"alwayson_scripts": {"ADetailer": {"args": [{"ad_checkpoint": "n", "ad_use_checkpoint": True}]}}},
            "alwayson_scripts.ADetailer.args.0.ad_checkpoint",
            False,
        ),
        ({"script_name": "X/Y/Z plot", "script_args": [0, "", [], 11, "n", []]}, "script_args.4", False),
        ({"script_name": "x/y/z plot", "script_args": [10, "", ["n"]]}, "script_args.2", False),
        (infotext("Model hash: n"), "infotext", True),
        (infotext("Refiner: n"), "infotext", False),
        (infotext("Hires checkpoint: n"), "infotext", False),
    ],
)
def test_a_checkpoint_is_found_wherever_it_is_named(content, place, draws):
    assert places(content) == {place: ("n", draws)}


@pytest.mark.parametrize(
    "content",
    [
        {"sd_model_checkpoint": None, "refiner_checkpoint": "None", "hr_checkpoint_name": "Use same checkpoint"},
        {"alwayson_scripts": {"Refiner": {"args": [False, "n", 0.8]}, "x": None}},
        {"script_name": "prompts from file", "script_args": [11, "n", []]},
        {"script_name": "x/y/z plot", "script_args": [1, "n", ["n"], True]},
        {"infotext": "Model hash: n"},
        {"prompt": "sd_model_checkpoint: n", "override_settings": [], "alwayson_scripts": "x", "infotext": 1},
    ],
)
def test_what_names_none_is_none(content):
    assert places(content) == {}


def test_an_infotexts_pairs_are_read_as_sd_webui_reads_them():
    text = 'a dog\nNegative prompt: cat\nSteps: 20, Seed: 1, VAE: "x, \\"y\\".pt", Odd: "z, V: 1'
    assert infotext_pairs(text) == {"Steps": "20", "Seed": "1", "VAE": 'x, "y".pt', "Odd": '"z', "V": "1"}
    assert infotext_pairs("a\nSteps: 1, Seed: 1") == {}
