from __future__ import annotations

import base64
import errno
import io
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms
from report_samples import face, restoration
from skimage import data

from facewright.errors import OutputError
from facewright.faces.identity import SAME_PERSON
from facewright.media import Origin, Photo
from facewright.restore.compare import compare
from facewright.restore.judge import IDENTITY_WARNING
from facewright.restore.report import CROP_SIDE, PREVIEW_SIDES, Report
from facewright.restore.result import Restoration

HOSTILE = "<img src=x onerror=alert(1)> & \"friends\" 'n' <!--photos-->.png"


class Page(HTMLParser):
    """Elements, and the text under articles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def of(self, tag: str, kind: str | None = None) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag and (kind is None or kind in (attrs.get("class") or "").split())]

    def pictures(self) -> list[np.ndarray[Any, Any]]:
        return [decoded(attrs["src"] or "") for attrs in self.of("img")]


def decoded(address: str) -> np.ndarray[Any, Any]:
    head, payload = address.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(payload)), formats=["JPEG"]))


def written(tmp_path: Path, *restorations: Restoration, name: str = "grandma.jpg") -> Page:
    report = Report(tmp_path / "report.html", "Album")
    for each in restorations:
        report.add(name, each)
    report.write()
    return Page(tmp_path / "report.html")


def test_the_summary_counts_photos_faces_warnings_and_failures(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.html", "Album")
    drifted, kept = face(1, action="blended", strength=0.6, identity=0.5), face(2, action="left alone", strength=0.0, identity=0.7)
    report.add("a.jpg", restoration(faces=[face(), drifted, kept]))
    report.add("b.jpg", restoration())
    report.add_failure("c.jpg", "cannot read c.jpg", "it is a text file", "look for the picture")
    report.write()
    text = Page(tmp_path / "r.html").text
    # a face left alone cannot have drifted, whatever its number says
    assert "3 photos · 4 faces: 2 restored, 1 blended, 1 left alone · 1 warning · 1 photo failed" in text


def test_a_failed_photo_says_what_why_and_what_to_do(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.html", "Album")
    report.add_failure("c<d>.jpg", "cannot read c<d>.jpg", "it ends <early>", "copy it & try again")
    report.write()
    page = Page(tmp_path / "r.html")
    assert len(page.of("article", "fails")) == 1
    assert "cannot read c<d>.jpg: it ends <early>copy it & try again" in page.text


def test_no_name_title_or_reason_becomes_markup(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.html", f"</title><script>{HOSTILE}")
    report.add(HOSTILE, restoration(faces=[face(reasons=["<b>bold</b>"])], notes=["<i>note</i>"]))
    report.add_failure(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    report.write()
    page = Page(tmp_path / "r.html")
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert len(page.of("script")) == 1 and len(page.of("article")) == 2
    assert page.text.count(HOSTILE.replace("  ", " ")) >= 4 and "<b>bold</b>" in page.text and "<i>note</i>" in page.text
    assert HOSTILE in (page.of("input")[2]["aria-label"] or "")


def test_a_name_that_is_no_text_does_not_stop_the_report(tmp_path: Path) -> None:
    assert "broken?.jpg" in written(tmp_path, restoration(), name="broken\udcff.jpg").text


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = written(tmp_path, restoration())
    for _, attrs in page.tags:
        for key in ("src", "href", "srcset", "action", "data"):
            assert (attrs.get(key) or "data:").startswith(("data:", "#"))
    assert not re.search(r"@import|url\((?![\"']?data:)", page.source)
    policy = next(attrs["content"] for attrs in page.of("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy or "") and "unsafe-inline" not in (policy or "").split("script-src")[1]


def test_the_pictures_are_the_photo_before_and_after_and_each_face_cut_from_them(tmp_path: Path) -> None:
    after = data.astronaut()
    before = cv2.GaussianBlur(after, (0, 0), 3)
    shown = written(tmp_path, restoration(before, after)).pictures()
    assert [picture.shape for picture in shown] == [(512, 512, 3)] * 2 + [(CROP_SIDE, CROP_SIDE, 3)] * 2
    assert np.abs(shown[0].astype(float) - before).mean() < 3 and np.abs(shown[1].astype(float) - after).mean() < 6
    # the nose of the template is in the middle of the crop; there the crop must show the photo's pixels
    nose = shown[3][int(314 / 512 * CROP_SIDE), int(256 / 512 * CROP_SIDE)].astype(float)
    assert np.abs(nose - after[131, 222]).max() < 25
    assert laplacian(shown[3]) > 3 * laplacian(shown[2])


def laplacian(picture: np.ndarray[Any, Any]) -> float:
    return float(cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F).var())


def test_grey_16_bit_transparent_enlarged_and_huge_photos_are_shown(tmp_path: Path) -> None:
    astronaut = data.astronaut()
    deep = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257
    hole = np.full((512, 512), 255, np.uint8)
    hole[:256] = 0
    large = cv2.resize(astronaut, (4000, 3000))
    page = written(
        tmp_path,
        restoration(deep, deep),
        restoration(alpha=hole),
        restoration(astronaut, cv2.resize(astronaut, (1024, 1024))),
        restoration(large, large),
    )
    shown = page.pictures()
    assert shown[0].shape == (512, 512) and np.abs(shown[0].astype(float) - deep / 257).mean() < 3
    board = shown[4][:200].reshape(-1, 3).astype(int)
    assert board.min() > 200 and np.ptp(board, axis=1).max() < 12  # a pale grey checkerboard and nothing of the photo
    assert shown[8].shape == (512, 512, 3) and shown[9].shape == (1024, 1024, 3)
    # the face of the enlarged photo is cut at the enlarged place
    assert np.abs(shown[10].astype(float) - shown[11]).mean() < 6
    assert shown[12].shape == (1200, PREVIEW_SIDES[0][1], 3)


def test_an_aligned_crop_is_its_own_face(tmp_path: Path) -> None:
    whole = face()
    whole.face.affine = None
    assert [picture.shape[0] for picture in written(tmp_path, restoration(faces=[whole])).pictures()] == [512, 512, CROP_SIDE, CROP_SIDE]


def test_a_photo_with_a_wide_gamut_profile_is_shown_in_srgb(tmp_path: Path) -> None:
    # in linear light 0.2 is sRGB's 0.48
    linear = linear_profile()
    flat = np.full((64, 64, 3), 51, np.uint8)
    bright = Restoration(Photo(flat, None, Origin(icc=linear)), Photo(flat, None, Origin(icc=linear)), [], "m")
    assert abs(int(written(tmp_path, bright).pictures()[0][32, 32, 1]) - 124) <= 3
    damaged = Restoration(Photo(flat, None, Origin(icc=b"nonsense")), Photo(flat, None, Origin(icc=b"nonsense")), [], "m")
    assert abs(int(written(tmp_path, damaged).pictures()[0][32, 32, 1]) - 51) <= 2


def linear_profile() -> bytes:
    """sRGB with its tone curves replaced by straight ones."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        if profile[at : at + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            start, size = int.from_bytes(profile[at + 4 : at + 8], "big"), int.from_bytes(profile[at + 8 : at + 12], "big")
            assert size >= 16
            profile[start : start + size] = b"curv" + bytes(size - 4)  # a curve of no points is the straight line
    return bytes(profile)


@pytest.mark.parametrize(
    ("identity", "word", "warned"),
    [
        (0.05, "very likely the same person", False),
        (IDENTITY_WARNING - 0.01, "likely the same person", False),
        (IDENTITY_WARNING, "has drifted", True),
        (SAME_PERSON, "may be someone else", True),
    ],
)
def test_identity_is_said_in_words_and_drift_is_highlighted(tmp_path: Path, identity: float, word: str, warned: bool) -> None:
    page = written(tmp_path, restoration(faces=[face(identity=identity)]))
    assert f"{word} {identity:.2f}" in page.text
    assert bool(page.of("article", "warns")) == bool(page.of("tr", "warn")) == bool(page.of("div", "warn")) == warned


def test_a_photo_that_was_not_changed_has_no_slider(tmp_path: Path) -> None:
    astronaut = data.astronaut()
    page = written(tmp_path, restoration(astronaut, astronaut, faces=[face(action="left alone", reasons=["too small: 22 px"])]))
    assert not page.of("div", "slider") and len(page.of("div", "still")) == 1
    assert "left alone" in page.text and "too small: 22 px" in page.text


def test_boxes_stand_over_their_faces_and_inside_the_picture(tmp_path: Path) -> None:
    outside = face(1)
    outside.face.box = np.array([-40.0, 400, 60, 560])
    styles = [attrs["style"] or "" for attrs in written(tmp_path, restoration(faces=[face(), outside])).of("div", "box")]
    first, second = ([float(value) for value in re.findall(r"([0-9.]+)%", style)] for style in styles)
    assert first == pytest.approx([100 * v / 512 for v in (170, 60, 106, 126)], abs=0.01)
    assert second[0] == 0 and second[1] + second[3] == 100


def test_memory_stays_bounded_and_previews_shrink_as_photos_come(tmp_path: Path) -> None:
    large = cv2.resize(data.astronaut(), (2400, 2400))
    big = Restoration(Photo(large, None, Origin()), Photo(large, None, Origin()), [], "m")
    report = Report(tmp_path / "r.html", "Album")
    report.add("first.jpg", big)
    tracemalloc.start()
    for index in range(60):
        report.add(f"{index}.jpg", big)
    report.write()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "r.html").stat().st_size > 5e6 > 10 * held
    sides = [picture.shape[1] for picture in Page(tmp_path / "r.html").pictures()]
    assert sides == [1600] * 40 + [1100] * 21


def test_a_report_written_twice_is_whole_both_times(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.html", "Album")
    for count in (1, 2):
        report.add(f"{count}.jpg", restoration())
        report.write()
        page = Page(tmp_path / "r.html")
        assert len(page.of("article")) == count and page.source.rstrip().endswith("</html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.html"]


def test_an_empty_report_can_be_written(tmp_path: Path) -> None:
    assert "0 photos · 0 faces" in written(tmp_path).text


def test_a_report_that_cannot_be_written_says_so_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "r.html", tmp_path):
        with pytest.raises(OutputError, match="cannot write the report"):
            Report(path, "Album")
    Report(tmp_path / "deeply" / "below" / "r.html", "Album").write()
    assert (tmp_path / "deeply" / "below" / "r.html").is_file()


def test_a_full_disk_under_the_spool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(tmp_path / "r.html", "Album")

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "_spool", Full())
    with pytest.raises(OutputError, match="the disk is full, in the folder for temporary files"):
        report.add("a.jpg", restoration())


def test_the_sheet_holds_before_and_after_with_a_white_gap() -> None:
    after = data.astronaut()
    before = cv2.GaussianBlur(after, (0, 0), 3)
    sheet = compare(restoration(before, after))
    gap = sheet.shape[1] - 2 * 512
    assert sheet.shape[0] == 512 and 2 <= gap <= 8
    assert_array_equal(sheet[:, :512], before)
    assert_array_equal(sheet[:, -512:], after)
    assert (sheet[:, 512:-512] == 255).all()


def test_the_sheet_keeps_depth_and_grey_and_enlarges_the_original() -> None:
    deep = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    large = cv2.resize(deep, (96, 128))
    sheet = compare(restoration(deep, large, faces=[]))
    assert sheet.dtype == np.uint16 and sheet.shape == (128, 2 * 96 + 2) and sheet[0, 96] == 65535
    assert_array_equal(sheet[:, -96:], large)


def test_the_sheet_shows_a_checkerboard_where_the_photo_is_transparent() -> None:
    hole = np.zeros((512, 512), np.uint8)
    hole[256:] = 255
    astronaut = data.astronaut()
    sheet = compare(restoration(astronaut, astronaut, alpha=hole))
    assert_array_equal(sheet[256:, :512], astronaut[256:])
    assert len(np.unique(sheet[:256, :512].reshape(-1, 3), axis=0)) == 2


def test_a_photo_of_an_earlier_run_is_named(tmp_path: Path) -> None:
    report = Report(tmp_path / "page.html")
    report.add_done_before("<old>.jpg", "out/old.jpg")
    report.write()
    page = (tmp_path / "page.html").read_text()
    assert "&lt;old&gt;.jpg" in page and "Done by an earlier run: out/old.jpg" in page and "1 photo" in page
