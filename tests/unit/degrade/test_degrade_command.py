"""facewright degrade, as a person uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from facewright.cli.degrade import degrade
from facewright.degrade import PRESETS
from facewright.errors import InputError, PartialFailure, UsageError
from facewright.media import read

app = typer.Typer()
app.command()(degrade)


def run(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two photos, one of another suffix, one in a folder below, and a text."""
    folder = tmp_path / "album"
    (folder / "below").mkdir(parents=True)
    y, x = np.mgrid[:72, :96]
    for number, name in enumerate(("one.jpg", "two.png", "below/three.png")):
        picture = np.stack([x * 2, y * 3, (x + y + 40 * number) % 256], axis=2).astype(np.uint8)
        assert cv2.imwrite(str(folder / name), picture)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_keeps_its_names_and_the_same_seed_gives_the_same_bytes(album: Path, tmp_path: Path) -> None:
    before = files(album)
    for name in ("a", "b"):
        run(album, "-o", tmp_path / name, "--preset", "medium", "--seed", 3, "--recursive")
    run(album, "-o", tmp_path / "c", "--preset", "medium", "--seed", 4, "--recursive")
    assert list(files(tmp_path / "a")) == ["below/three.png", "one.png", "two.png"]
    assert files(tmp_path / "a") == files(tmp_path / "b") and files(album) == before
    assert all(data != files(tmp_path / "c")[name] for name, data in files(tmp_path / "a").items())
    # one photo alone is damaged as it was among the others
    run(album / "two.png", "-o", tmp_path / "d", "--preset", "medium", "--seed", 3)
    assert files(tmp_path / "d")["two.png"] == files(tmp_path / "a")["two.png"]
    assert list(files(tmp_path / "d")) == ["two.png"]


def test_json_tells_what_was_drawn_and_that_gives_the_picture_again(album: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in run(album, "-o", tmp_path / "out", "--preset", "vqfr-v1", "--json", "--size", 512).splitlines()]
    assert [Path(line["photo"]).name for line in lines] == ["one.jpg", "two.png"]
    for line in lines:
        assert line["preset"] == "vqfr-v1" and line["seed"] == 0 and line["size"] == 512
        from facewright.degrade import Draws

        clean = read(line["photo"]).pixels.astype(np.float32) / np.float32(255)
        again = PRESETS["vqfr-v1"].apply(clean, Draws(**line["draws"]))
        np.testing.assert_array_equal(np.rint(again * 255).astype(np.uint8), read(line["output"]).pixels)


def test_the_list_names_every_preset() -> None:
    assert all(name in run("--list") for name in PRESETS)
    assert [entry["name"] for entry in json.loads(run("--list", "--json"))] == list(PRESETS)


def test_grey_stays_grey_deep_becomes_eight_bits_alpha_and_captions_stay(tmp_path: Path) -> None:
    from PIL import Image, PngImagePlugin

    ramp = np.tile(np.arange(64, dtype=np.uint16) * 1000, (48, 1))
    cv2.imwrite(str(tmp_path / "grey.png"), (ramp >> 8).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.stack([ramp] * 3, axis=2))
    said = PngImagePlugin.PngInfo()
    said.add_text("Title", "Grandmother")
    Image.fromarray(np.full((48, 64, 4), (200, 120, 60, 128), np.uint8)).save(tmp_path / "seen-through.png", pnginfo=said)
    run(tmp_path / "grey.png", tmp_path / "deep.png", tmp_path / "seen-through.png", "-o", tmp_path / "out", "--preset", "heavy")
    grey, deep, through = (read(tmp_path / "out" / name) for name in ("grey.png", "deep.png", "seen-through.png"))
    assert grey.is_grey and deep.pixels.dtype == np.uint8 and deep.pixels.shape == (48, 64, 3)
    assert through.alpha is not None and (through.alpha == 128).all() and through.origin.text["Title"] == "Grandmother"


def test_one_photo_may_name_its_file(album: Path, tmp_path: Path) -> None:
    run(album / "one.jpg", "-o", tmp_path / "worse.jpg", "--quiet")
    assert read(tmp_path / "worse.jpg").origin.format == "JPEG"
    cv2.imwrite(str(album / "one.png"), np.zeros((32, 32, 3), np.uint8))
    run(album, "-o", tmp_path / "out")
    assert list(files(tmp_path / "out")) == ["one-jpg.png", "one-png.png", "two.png"]


def test_bad_input_is_one_line_and_costs_one_photo(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, kind, told in (
        ((album,), UsageError, "no output"),
        ((), UsageError, "no photos"),
        ((album, "-o", out, "--preset", "hevy"), UsageError, "hevy"),
        ((album, "-o", out, "--size", 3), UsageError, "--size"),
        ((album, "-o", out, "--seed", -1), UsageError, "--seed"),
        ((album, "-o", out, "--metadata", "some"), UsageError, "--metadata"),
        ((album, "-o", tmp_path / "all.png"), UsageError, "looks like a file"),
        ((album / "two.png", "-o", album), UsageError, "one of the photos"),
        ((album / "two.png", "-o", tmp_path / "x.gif"), UsageError, "GIF"),
        ((album / "four.png", "-o", out), InputError, "four.png"),
        ((album / "notes.txt", "-o", out), InputError, "notes.txt"),
        ((album / "below" / "..", "-o", out, "-p", "old-photo+psfrgan"), UsageError, "psfrgan"),
    ):
        with pytest.raises(kind, match=told):
            run(*words)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos in"):
        run(tmp_path / "empty", "-o", out)
    data = (album / "one.jpg").read_bytes()
    (album / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PartialFailure, match="1 of 3"):
        run(album, "-o", out)
    assert list(files(out)) == ["one.png", "two.png"]


def test_an_output_that_cannot_be_made_is_told(album: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    from facewright.errors import OutputError

    with pytest.raises(OutputError, match="cannot make the folder"):
        run(album / "two.png", "-o", tmp_path / "file" / "out")


def test_no_torch_is_loaded_for_a_first_order_preset(album: Path, tmp_path: Path) -> None:
    code = f"import sys; from facewright.cli.degrade import degrade; degrade([{str(album)!r}], {str(tmp_path / 'o')!r}, quiet=True, "
    code += "preset='medium', seed=0, size=None, recursive=False, metadata='keep', list_presets=False, as_json=False)\n"
    code += "assert 'torch' not in sys.modules"
    source = str(Path(__file__).resolve().parents[3] / "src")
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": source, "PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
