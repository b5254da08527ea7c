"""The Dockerfile: linted, and true to what it copies and calls, since no engine builds it here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facewright.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STEPS = [(words[0], words[1].strip()) for line in TEXT.splitlines() if len(words := line.split(maxsplit=1)) == 2 and line[0].isupper()]


def of(step: str) -> list[str]:
    return [rest for name, rest in STEPS if name == step]


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if hadolint is None:
        pytest.skip("hadolint is not here: it has wheels for Linux on x86-64 only")
    done = subprocess.run([hadolint, "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_ends_as_nobody_in_particular() -> None:
    last = TEXT.rindex("\nFROM ")
    (user,) = re.findall(r"^USER (\d+)$", TEXT[last:], re.MULTILINE)
    assert int(user) != 0 and TEXT.index(f"--uid {user}") < TEXT.index("\nUSER ") < TEXT.index("\nENTRYPOINT ")


def test_what_is_copied_is_there_and_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    wanted = [word for rest in of("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]]
    assert wanted and all((ROOT / word.removeprefix("./")).exists() for word in wanted)
    assert {word.removeprefix("./") for word in wanted} <= set(allowed)


def test_its_command_is_one_of_ours() -> None:
    (words,) = (json.loads(rest) for rest in of("CMD"))
    assert of("ENTRYPOINT") == ['["facewright"]']
    known = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"}).output
    assert all(word in known for word in words if word.startswith("--"))
    (check,) = of("HEALTHCHECK")
    assert "/healthz" in check and of("EXPOSE")[0] in check


def test_the_volume_is_where_weights_are_kept() -> None:
    assert f"FACEWRIGHT_CACHE={of('VOLUME')[0]}" in TEXT
