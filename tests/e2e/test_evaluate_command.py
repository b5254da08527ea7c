"""facewright evaluate as a person calls it: folders, suites, several models, a sweep, a kill in the middle, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import ENVIRONMENT, Ran, Run, command
from PIL import Image
from skimage import data

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "data"))

from fake_faces import COLUMNS, face, row

USAGE, INPUT, MODEL, PARTIAL = 2, 3, 4, 6
FILES = {"index.html", "journal.sqlite", "results.jsonl", "summary.json", "table.csv", "table.md", "table.tex"}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen drawn validation faces of 128 px, in two groups."""
    folder, rows = tmp_path_factory.mktemp("faces"), []
    for number in range(16):
        Image.fromarray(face(number, 128)).save(folder / f"us-{number:02}.png")
        rows.append(row(f"us-{number:02}.png", f"us-{number}", "eval-only", "val", 128) | {"group": "ab"[number % 2]})
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "group"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(restored, truth): four crops of real photographs, 96 x 80."""
    restored, truth = tmp_path / "restored", tmp_path / "truth"
    for folder in (restored, truth):
        folder.mkdir()
    photo = data.astronaut()
    for number in range(4):
        crop = photo[80 * number : 80 * number + 80, 96 * number : 96 * number + 96]
        Image.fromarray(crop).save(truth / f"{number}.png")
        Image.fromarray((crop * np.float32(0.9)).astype(np.uint8)).save(restored / f"{number}.jpg", quality=95)
    return restored, truth


def refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.errors
    assert len(ran.complaints) == 1, ran.errors
    for word in words:
        assert word in ran.errors, ran.errors


def summary(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return told


def test_two_folders_are_compared_with_one_command(call: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    ran = call("evaluate", "--restored", folders[0], "--truth", folders[1], "-o", tmp_path / "out")
    assert ran.code == 0, ran.errors
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert b"psnr[rgb, basicsr]" in ran.output and b"restored" in ran.output and b"index.html" in ran.output
    assert "identity[dlib]" not in summary(tmp_path / "out")["metrics"]  # these are no face crops


def test_without_a_folder_the_numbers_are_printed_and_nothing_is_left(call: Run, folders: tuple[Path, Path]) -> None:
    before = set(folders[0].parent.rglob("*"))
    ran = call(
        "evaluate", "--restored", folders[0], "--truth", folders[1], "--metrics", "psnr,ssim", "--convention", "codeformer", "--json"
    )
    assert ran.code == 0 and set(folders[0].parent.rglob("*")) == before
    told = json.loads(ran.output)
    assert told["metrics"]["psnr[rgb]"]["label"] == "psnr[rgb, codeformer]" and told["pictures"] == 4
    assert 15 < told["tables"]["as given"]["restored"]["psnr[rgb]"]["mean"] < 40


def test_models_and_damages_come_in_lists_and_every_pair_is_tested(call: Run, faces: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    shutil.copy(tiny_model, other)
    out = tmp_path / "out"
    ran = call(
        *("evaluate", "--suite", "val-faces", "--data", faces, "--size", 128, "--model", tiny_model, other, "--damage", "light", "x4"),
        *("--rival", "bicubic", "--group", "group", "--limit", 10, "--metrics", "psnr,features[onet],rank1,sharpness", "-o", out),
    )
    assert ran.code == 0, ran.errors
    told = summary(out)
    assert list(told["tables"]) == ["light", "x4"] and list(told["tables"]["x4"]) == ["damaged", "bicubic", "tiny", "other"]
    pairs = {tuple(each["methods"]): each["p"] for each in told["p"]["x4"]["psnr[rgb]"]}
    assert len(pairs) == 6 and pairs["tiny", "other"] == 1 and pairs["damaged", "bicubic"] < 0.05
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "By group" in page and "Worst and best" in page


def test_a_sweep_draws_its_curve(call: Run, faces: Path, tiny_model: Path, tmp_path: Path) -> None:
    ran = call(
        *("evaluate", "--suite", "val-faces", "--data", faces, "--size", 128, "-m", tiny_model, "--damage", "heavy", "--rival", "none"),
        *("--limit", 4, "--sweep", "w=0:1:0.5", "--metrics", "identity,features[onet]", "-o", tmp_path / "out"),
    )
    assert ran.code == 0, ran.errors
    rows = summary(tmp_path / "out")["tables"]["heavy"]
    assert list(rows) == ["damaged", "tiny (w 0)", "tiny (w 0.5)", "tiny (w 1)", "tiny (w auto)"] and rows["tiny (w 1)"] == rows["damaged"]
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 'class="curve"' in page and ", w auto: " in page
    assert b"| as w rises | Spearman |" in ran.output and "| as w rises | Spearman |" in (tmp_path / "out" / "table.md").read_text()


def test_an_evaluation_that_was_killed_goes_on(faces: Path, tmp_path: Path, run: Run) -> None:
    words = (
        *("evaluate", "--suite", "val-faces", "--data", faces, "--size", 128, "--damage", "light", "medium", "heavy", "--batch", 2),
        *("--metrics", "identity,landmarks,rank1", "-o", tmp_path / "out"),
    )
    process = subprocess.Popen(command(*words), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal, until = tmp_path / "out" / "journal.sqlite", time.monotonic() + 60
    while time.monotonic() < until and not (journal.is_file() and journal.stat().st_size > 60_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert journal.stat().st_size > 0 and not (tmp_path / "out" / "index.html").exists()
    ran = run(*words)
    assert ran.code == 0, ran.errors
    fresh = run(*(word if word != tmp_path / "out" else tmp_path / "fresh" for word in words))
    assert fresh.code == 0
    for name in ("results.jsonl", "table.md", "index.html"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_one_bad_picture_is_reported_and_counted(call: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[0] / "2.jpg").write_bytes((folders[0] / "2.jpg").read_bytes()[:900])
    ran = call("evaluate", "--restored", folders[0], "--truth", folders[1], "-o", tmp_path / "out")
    assert ran.code == PARTIAL and "1 of 4 pictures could not be measured" in ran.complaints[0] and "2.jpg" in ran.complaints[0]
    assert summary(tmp_path / "out")["pictures"] == 3


def test_an_unpaired_picture_is_named(call: Run, folders: tuple[Path, Path]) -> None:
    (folders[1] / "3.png").rename(folders[1] / "three.png")
    refused(call("evaluate", "--restored", folders[0], "--truth", folders[1]), INPUT, "no partner", "by their names")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), USAGE, "folders or a suite"),
        (("--suite", "val-face"), USAGE, "val-faces"),
        (("--suite", "lfw-test", "--data", "/nowhere"), INPUT, "DIR/lfw-test/damaged/*.png"),
        (("--suite", "val-faces", "--metrics", "identty"), USAGE, "identity"),
        (("--suite", "val-faces", "--damage", "hevy"), USAGE, "heavy"),
        (("--suite", "val-faces", "--model", "gfpgan-maxi"), MODEL, "gfpgan-mini"),
        (("--suite", "val-faces", "--metrics", "lpips[vgg]"), MODEL, "lpips[vgg]"),
        (("--suite", "val-faces", "--metrics", "fid[dlib]"), INPUT, "it needs 129"),
        (("--suite", "val-faces", "--sweep", "w=0:1"), USAGE, "0:1:0.1"),
        (("--suite", "val-faces", "--rival", "deep-image-prior"), USAGE, "--limit"),
        (("--restored", "/nowhere", "--truth", "/nowhere"), INPUT, "/nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    call: Run, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, told: str
) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    given = ("--data", faces) if "val-faces" in words else ()
    size = ("--size", 128) if "val-faces" in words else ()
    refused(call("evaluate", *words, *given, *size), code, told)


# The page -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = os.environ.get("FACEWRIGHT_BROWSER") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip("no Chromium on this machine: install it, or name one with FACEWRIGHT_BROWSER")
    with api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield running
        running.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_day_and_by_night_and_on_a_telephone(
    call: Run, faces: Path, tiny_model: Path, tmp_path: Path, browser: Any, scheme: str
) -> None:
    ran = call(
        *("evaluate", "--suite", "val-faces", "--data", faces, "--size", 128, "-m", tiny_model, "--damage", "x4", "--limit", 6),
        *("--metrics", "psnr,ssim,features[onet],rank1", "-o", tmp_path / "out"),
    )
    assert ran.code == 0, ran.errors
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page, asked, said = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    address = (tmp_path / "out" / "index.html").as_uri()
    page.goto(address)
    assert [url for url in asked if not url.startswith("data:")] == [address] and said == []
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    colours = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, p, th, td, small, dt, dd, figcaption, a, .dot, summary, footer")].map(element => {
          let behind = element;
          const clear = colour => /rgba\\(.*, 0\\)/.test(colour);
          while (clear(getComputedStyle(behind).backgroundColor) && behind.parentElement) behind = behind.parentElement;
          return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor, element.className || element.tagName];
        })"""
    )
    assert len(colours) > 50
    for front, back, which in colours:
        if front.startswith("rgb(") and back.startswith("rgb("):
            assert contrast(front, back) >= 4.5, (which, front, back)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def contrast(*colours: str) -> float:
    light = sorted(luminance([int(part) for part in colour[4:-1].split(",")]) for colour in colours)
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(rgb: list[int]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (v / 255 for v in rgb)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
