"""The report in a real browser: sliders by mouse, touch and keyboard, nothing fetched, nothing run but its own script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browsing import chromium
from skimage import data

from facewright.faces.align import similarity
from facewright.faces.face import Face
from facewright.media import Origin, Photo
from facewright.restore.report import Report
from facewright.restore.result import FaceResult, Restoration

pytestmark = pytest.mark.browser

NAME = "<img src=http://example.com/x onerror=document.title='caught'> & \"friends\".jpg"
POINTS = np.array([[193.0, 101], [247, 101], [222, 131], [201, 154], [244, 154]])


@dataclass
class Watched:
    """A page and everything that it asked for, said or threw."""

    page: Any
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    # white before, black after: where the line is can be read from the pixels
    before, after = (np.full((300, 600, 3), level, np.uint8) for level in (255, 0))
    two = Restoration(Photo(after, None, Origin()), Photo(before, None, Origin()), [], "m")
    astronaut = data.astronaut()
    found = Face(np.array([170.0, 60, 275, 185]), POINTS, 0.99, affine=similarity(POINTS))
    drifted = FaceResult(0, found, identity=0.7, sharpness=(1e-4, 1e-3), reasons=["may no longer be the same person"])
    warned = Restoration(Photo(astronaut, None, Origin()), Photo(cv2.GaussianBlur(astronaut, (0, 0), 4), None, Origin()), [drifted], "m")
    page = Report(path, f"Album {NAME}")
    page.add(NAME, _changed(two))
    page.add("drifted.jpg", warned)
    page.add_failure(NAME, "cannot read it", NAME)
    page.write()
    return path


def _changed(restoration: Restoration) -> Restoration:
    """A face is needed for the page to show a slider."""
    points = POINTS + np.array([200.0, 50])
    face = Face(np.array([370.0, 110, 475, 235]), points, 0.99, affine=similarity(points))
    restoration.faces.append(FaceResult(0, face, identity=0.2, sharpness=(1e-4, 1e-3)))
    return restoration


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def watched(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **getattr(request, "param", {}))
    seen = Watched(context.new_page())
    seen.page.on("request", lambda asked: seen.asked.append(asked.url))
    seen.page.on("console", lambda said: seen.said.append(said.text))
    seen.page.on("pageerror", lambda thrown: seen.said.append(str(thrown)))
    seen.page.goto(report.as_uri())
    yield seen
    context.close()


def shown_split(page: Any) -> float:
    """Where white turns to black in what is on the screen, in hundredths of the photo's width."""
    page.mouse.move(0, 0)
    shot = page.locator(".slider").first.screenshot()
    picture = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    row = picture[8].astype(int)  # above every box, word and knob
    return 100 * float((row > 128).mean())


def test_the_page_fetches_nothing_runs_no_name_and_says_nothing(watched: Watched, report: Path) -> None:
    watched.page.wait_for_timeout(100)
    assert [address for address in watched.asked if not address.startswith("data:")] == [report.as_uri()]
    assert watched.said == []
    assert watched.page.title() == f"Album {NAME}"
    assert watched.page.locator("h2").first.inner_text() == NAME
    assert watched.page.locator("img").count() == 2 * (2 + 2)
    for picture in watched.page.locator("img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_dragging_moves_the_line_between_before_and_after(watched: Watched) -> None:
    place = watched.page.locator(".slider").first.bounding_box()
    middle = place["y"] + place["height"] / 2
    assert shown_split(watched.page) == pytest.approx(50, abs=1)
    watched.page.mouse.move(place["x"] + 0.5 * place["width"], middle)
    watched.page.mouse.down()
    watched.page.mouse.move(place["x"] + 0.2 * place["width"], middle, steps=4)
    watched.page.mouse.up()
    assert shown_split(watched.page) == pytest.approx(20, abs=1)
    # the hand has let go: moving on moves nothing
    watched.page.mouse.move(place["x"] + 0.9 * place["width"], middle)
    assert shown_split(watched.page) == pytest.approx(20, abs=1)
    watched.page.mouse.click(place["x"] + 0.8 * place["width"], middle)
    assert shown_split(watched.page) == pytest.approx(80, abs=1)


def test_the_keyboard_moves_the_line_and_the_label_says_where(watched: Watched) -> None:
    slider = watched.page.get_by_role("slider").first
    slider.focus()
    for _ in range(10):
        watched.page.keyboard.press("ArrowRight")
    assert shown_split(watched.page) == pytest.approx(55, abs=1)
    assert slider.get_attribute("aria-valuetext") == "55 % before, 45 % after"
    watched.page.keyboard.press("Home")
    assert shown_split(watched.page) == pytest.approx(0, abs=1)
    watched.page.keyboard.press("End")
    assert shown_split(watched.page) == pytest.approx(100, abs=1)
    assert slider.get_attribute("aria-label") == f"Before and after of {NAME}"


def test_the_slider_is_reached_by_tab_and_shows_it(watched: Watched) -> None:
    page = watched.page
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    assert page.evaluate("getComputedStyle(document.querySelector('.handle'), '::after').outlineStyle") == "solid"


@pytest.mark.parametrize("watched", [{"has_touch": True, "is_mobile": True}], indirect=True)
def test_a_finger_moves_the_line(watched: Watched) -> None:
    place = watched.page.locator(".slider").first.bounding_box()
    watched.page.touchscreen.tap(place["x"] + 0.3 * place["width"], place["y"] + 20)
    watched.page.wait_for_timeout(50)
    split = watched.page.evaluate("document.querySelector('.slider').style.getPropertyValue('--split')")
    assert float(split.rstrip("%")) == pytest.approx(30, abs=1)


def test_boxes_can_be_hidden_and_photos_without_warnings_too(watched: Watched) -> None:
    page = watched.page
    box, first, second = page.locator(".box").first, page.locator("#photo1"), page.locator("#photo2")
    assert box.is_visible() and first.is_visible()
    page.get_by_label("Number the faces").uncheck()
    assert not box.is_visible()
    page.get_by_label("Only photos with warnings").check()
    assert not first.is_visible() and second.is_visible() and page.locator("#photo3").is_visible()


def test_a_box_stands_over_its_face(watched: Watched) -> None:
    photo = watched.page.locator("#photo2 .slider").bounding_box()
    box = watched.page.locator("#photo2 .box").bounding_box()
    scale = photo["width"] / 512
    found = [(box["x"] - photo["x"]) / scale, (box["y"] - photo["y"]) / scale, box["width"] / scale, box["height"] / scale]
    assert found == pytest.approx([170, 60, 106, 126], abs=2)


@pytest.mark.parametrize("watched", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True, ids=["dark", "light"])
def test_words_can_be_read_by_day_and_by_night(watched: Watched) -> None:
    """Contrast of at least 4.5 : 1 (WCAG AA) for all that is text, against the nearest background behind it."""
    colours = watched.page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, p, td b, td small, th, label, .summary span, footer p")].map(element => {
          let behind = element;
          const clear = colour => /rgba\\(.*, 0\\)/.test(colour);
          while (clear(getComputedStyle(behind).backgroundColor) && behind.parentElement) behind = behind.parentElement;
          return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor, element.className || element.tagName];
        })"""
    )
    assert len(colours) > 20
    for front, back, which in colours:
        if "rgba" not in back:
            assert contrast(front, back) >= 4.5, (which, front, back)


def contrast(*colours: str) -> float:
    light = sorted(luminance([int(v) for v in re.findall(r"\d+", colour)[:3]]) for colour in colours)
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(rgb: list[int]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (v / 255 for v in rgb)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_nothing_sticks_out_on_a_telephone(watched: Watched) -> None:
    watched.page.set_viewport_size({"width": 360, "height": 740})
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
