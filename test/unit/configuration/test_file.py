"""config.yaml as a file: each error with its line, in words that its author understands."""

import re

import pytest

from configuration.file import ConfigFileError, load_config
from contract.field_errors import one_of
from runtimes.registry import RUNTIME_TYPES

MINIMAL = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::models
modelsRuntime:
- name: sdruntime
  namespace: default
  type: sdwebui
  modelFilename: v1-5-pruned-emaonly.safetensors
"""
AFTER = MINIMAL.count("\n") + 1
"""The line after it."""


@pytest.fixture
def rejected(tmp_path):
    """The lines of the message that a file is rejected with."""

    def rejected(content):
        path = tmp_path / "config.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ConfigFileError) as caught:
            load_config(path)
        return str(caught.value).replace(str(path), "config.yaml").splitlines()

    return rejected


def test_all_errors_of_a_file_are_reported_in_the_order_of_their_lines(rejected):
    text = """\
stackName: sdoneks
modelBucketArn: arn:aws:s3:::<bucket name>
APIGW:
  stageNam: dev
modelsRuntime:
- name: a
  namespace: x
  type: sdwebui
- name: a
  namespace: y
  type: forge
  modelFilename: model.bin
"""
    assert rejected(text) == [
        "config.yaml has 6 errors:",
        "  line 2: modelBucketArn still holds the placeholder <bucket name>",
        "  line 4: APIGW.stageNam is not a known key; did you mean stageName?",
        "  line 6: modelsRuntime[0].modelFilename is required unless dynamicModel is true",
        "  line 9: modelsRuntime[1].name is already the name of modelsRuntime[0]",
        f'  line 11: modelsRuntime[1].type must be {one_of(list(RUNTIME_TYPES))}, not "forge"',
        "  line 12: modelsRuntime[1].modelFilename must end in .safetensors or .ckpt",
    ]


NO_COLON = "the file lacks a colon and a blank after a key: "
NESTED_ALIASES = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("# nothing yet\n", 1, "the file is empty"),
        ("[]", 1, "the file must be an object"),
        ("null", 1, "the file"),
        ("stackName: a\nmodelsRuntime: [\n", 3, "the file"),
        (MINIMAL + "  modelFilename: other.ckpt\n", AFTER, "modelFilename is set twice (first in line 8)"),
        *((MINIMAL + key + ": x\n", 1, "has a key that is no text; keys are put in quotes") for key in ("true", "80")),
        # A colon that is missing, or the blank after it.
        ("stackName sd\nmodelBucketArn: x\n", 1, NO_COLON),
        ("stackName:sd\n# a comment\n\nmodelBucketArn: x\n", 1, NO_COLON),
        ("modelsRuntime:\n  - name:sd\n    type: comfyui\n", 2, NO_COLON),
        ("APIGW:\n  throttle:\n    rateLimit: 30\n    burstLimit:50\nstackName: sd\n", 4, NO_COLON),
        ("APIGW\n  stageName: dev\n", 1, NO_COLON),
        # Indentation that is wrong.
        ("stackName: sd\n  modelBucketArn: x\n", 2, "indented further"),
        ("  a: 1\n b: 2\n", 2, "same column"),
        # An error about something unclosed names the line where it begins.
        *(
            (f"stackName: a\n{left}\n\nmore: b\nlast: c\n", 2, "the file ")
            for left in ('key: "a', "key: [a", "key: {a")
        ),
        # Numbers that are none.
        *(
            (MINIMAL + f"APIGW:\n  throttle:\n    burstLimit: {value}\n", AFTER + 2, "burstLimit is a number or a date")
            for value in ("9" * 5000, "2026-13-45")
        ),
        *(
            (MINIMAL + f"APIGW: {{throttle: {{rateLimit: {value}}}}}\n", AFTER, "rateLimit ")
            for value in (".inf", ".nan")
        ),
        # Bytes that are no text.
        ("stackName: a\n\nkey: \x01\n", 3, "the file holds a control character"),
        (b"# one\n# two\nkey: \xff\n", 3, "the file is not UTF-8 (byte 17)"),
        (MINIMAL + NESTED_ALIASES, 1, "repeats too much"),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_an_error_is_told_with_its_line(rejected, content, line, words):
    (count, row) = rejected(content)
    assert count == "config.yaml has 1 error:"
    assert row.startswith(f"  line {line}: ")
    assert words in row


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  - a: 1", "does not fit"),
        ("stackName: a: b", "colon"),
        ("\tkey: 1", "indented with a tab"),
        ("key: @x", "in quotes"),
        ("key", "a colon and a blank"),
        ("key: [1, 2", "bracket"),
        ('key: "x', "quote that is not closed"),
        ('key: "\\d"', "backslash"),
        ("key: *x", "begins a text with *"),
        ("key: *", "in quotes"),
        ("key: !Ref x", "tag"),
        ("{a: 1}: x", "as a key"),
        ("--- b", "second document"),
        ("key: &a [*a]", "repeats too much"),
        ("key: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_yaml_is_told_in_words_of_its_author(rejected, line, words):
    (_, row) = rejected(MINIMAL + line + "\n" + "other: 1\n")
    assert words in row
    assert not re.search("block|stream|token|node|constructor|alias", row.replace("aliases", ""))
