"""The page of facewright serve: a real browser, the real service, the real default model."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import chromium
from driving import EXAMPLES, Run
from paging import PATIENCE, Visit
from serving import Served, service

pytest.importorskip("fastapi", reason="the service needs the extra app")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page")]

ALBUM, FADED, SMALL = (EXAMPLES / name for name in ("album-page.png", "astronaut-faded.jpg", "thumbnail.webp"))
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def visit(browser: Any, served: Served, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The open page. What it asks of anybody else, and what it throws, fails every test."""
    context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce"} | getattr(request, "param", {}))
    visit = Visit(context.new_page(), served)
    visit.open()
    yield visit
    context.close()
    for job in visit.jobs:  # the next test has the service to itself
        served.client.delete(job)
    assert visit.strangers() == [], "a request left the machine"
    assert [words for words in visit.said if not words.startswith("Failed to load resource")] == []


@pytest.fixture(scope="module")
def by_command(tmp_path_factory: pytest.TempPathFactory, run: Run) -> dict[str, bytes]:
    """What the command line writes for the same photos, by file name."""
    folder = tmp_path_factory.mktemp("command")
    assert run("restore", ALBUM, FADED, SMALL, "-o", folder, "--quiet").code == 0
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "torn.jpg"
    path.write_bytes(FADED.read_bytes()[:900])
    return path


def waited(happens: Callable[[], bool], seconds: float = PATIENCE / 1000) -> bool:
    """Whether it comes true in time. Scripts that poll are not allowed on the page itself."""
    end = time.monotonic() + seconds
    while not (true := happens()) and time.monotonic() < end:
        time.sleep(0.05)
    return true


def test_several_photos_are_taken_in_restored_and_shown(visit: Visit) -> None:
    page = visit.page
    assert "stay on this machine" in page.locator("#keeping").inner_text()
    assert "after an hour" in page.locator("#keeping").inner_text()
    visit.keep("page-empty")
    visit.restore(ALBUM, FADED, SMALL)
    assert page.locator("#photos .name").all_inner_texts() == [ALBUM.name, FADED.name, SMALL.name]
    # a face that drifted from its own ruin is pointed out beside the count; which ones do depends on the model
    states = [state.split(", look at")[0] for state in page.locator("#photos .state").all_inner_texts()]
    assert states == ["3 faces restored", "1 face restored", "1 face restored"]
    assert page.locator("#title").inner_text() == ALBUM.name
    assert "640 × 400 px" in page.locator("#facts").inner_text()
    assert page.locator(".outline").count() == page.locator(".face").count() == 3
    assert "same person" in page.locator(".face .likeness").first.inner_text()
    for canvas in page.locator(".face canvas").all():
        assert canvas.evaluate("it => new Set(it.getContext('2d').getImageData(0, 0, it.width, it.height).data).size") > 50
    visit.keep("page")
    page.keyboard.press("j")
    assert page.locator("#title").inner_text() == FADED.name
    # stored on its side: shown upright
    assert "652 × 820 px" in page.locator("#facts").inner_text()


def test_a_folder_is_walked_and_what_is_no_photo_left_out(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "box"
    (folder / "inner").mkdir(parents=True)
    for place in ("b.webp", "inner/a.webp"):
        (folder / place).write_bytes(SMALL.read_bytes())
    (folder / "notes.txt").write_text("1936, at the lake")
    with visit.page.expect_file_chooser() as chooser:
        visit.page.locator("#choose-folder").click()
    chooser.value.set_files(folder)
    visit.wait("a.webp")
    visit.wait("b.webp")
    assert visit.page.locator("#photos li").count() == 2


def test_photos_may_be_dropped_anywhere(visit: Visit) -> None:
    visit.page.evaluate(
        """bytes => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], "dropped.webp", {type: "image/webp"}));
            for (const kind of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
            }
        }""",
        list(SMALL.read_bytes()),
    )
    visit.wait("dropped.webp")


def test_the_line_follows_the_mouse_and_the_keyboard(visit: Visit) -> None:
    visit.restore(SMALL)
    page, sheet = visit.page, visit.place("#sheet")
    middle = sheet["y"] + sheet["height"] / 2
    assert visit.cut() == pytest.approx(50)
    page.mouse.move(sheet["x"] + 0.5 * sheet["width"], sheet["y"] + 20)
    page.mouse.down()
    page.mouse.move(sheet["x"] + 0.2 * sheet["width"], middle, steps=4)
    page.mouse.up()
    assert visit.cut() == pytest.approx(20, abs=0.5)
    page.mouse.move(sheet["x"] + 0.9 * sheet["width"], middle)
    assert visit.cut() == pytest.approx(20, abs=0.5)  # the hand has let go

    slider = page.get_by_role("slider", name="Line between before and after")
    slider.focus()
    page.keyboard.press("End")
    before = visit.shot()
    assert visit.cut() == 100
    assert slider.get_attribute("aria-valuetext") == "100 % before, 0 % after"
    page.keyboard.press("Home")
    after = visit.shot()
    assert visit.cut() == 0
    changed = np.abs(before.astype(int) - after).max(2)
    assert changed[visit.within(".outline")].mean() > 4
    down, across = visit.within(".outline")
    assert changed[: down.start - 100, across].mean() < 0.5  # above the face nothing is touched
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert visit.cut() == pytest.approx(10)


def test_zoom_and_pan_move_before_and_after_together(visit: Visit) -> None:
    visit.restore(ALBUM)
    page = visit.page

    def together() -> dict[str, float]:
        before, after, outlines = (visit.place(f"#sheet {part}") for part in ("img.before", "img.after", "#outlines"))
        assert before == after == outlines
        return before

    view, fitted = visit.place("#view"), together()
    x, y = view["x"] + 0.6 * view["width"], view["y"] + 0.5 * view["height"]
    page.mouse.move(x, y)
    page.mouse.wheel(0, -500)
    zoomed = together()
    assert zoomed["width"] > 2 * fitted["width"]
    # what lay under the pointer lies there still
    assert (x - zoomed["x"]) / zoomed["width"] == pytest.approx((x - fitted["x"]) / fitted["width"], abs=0.01)
    line = visit.place("#view .line")["x"]
    page.mouse.move(x + 60, y)
    page.mouse.down()
    page.mouse.move(x, y - 40, steps=3)
    page.mouse.up()
    panned = together()
    assert (panned["x"] - zoomed["x"], panned["y"] - zoomed["y"]) == pytest.approx((-60, -40), abs=1)
    assert visit.place("#view .line")["x"] == pytest.approx(line)  # the line stands still while the photo moves
    page.locator("#split").focus()
    page.keyboard.press("Shift+ArrowLeft")
    assert together()["x"] == pytest.approx(panned["x"] + view["width"] / 8, abs=2)
    page.keyboard.press("+")
    assert together()["width"] == pytest.approx(zoomed["width"] * 2**0.5, rel=0.01)
    page.locator("#zoom-full").click()
    assert page.locator("#zoom-level").inner_text() == "100\u00a0%"
    assert together()["width"] == pytest.approx(640, abs=0.5)
    page.keyboard.press("Tab")
    page.locator("#zoom-fit").click()
    assert together() == fitted


def test_a_large_photo_gets_its_finer_preview_once_it_is_zoomed(visit: Visit, tmp_path: Path) -> None:
    import cv2

    large = tmp_path / "large.jpg"
    picture = cv2.imread(str(SMALL))
    assert picture is not None
    cv2.imwrite(str(large), cv2.copyMakeBorder(picture, 0, 1800, 0, 2000, cv2.BORDER_CONSTANT, value=(90, 120, 140)))
    visit.restore(large)
    assert not [asked for asked in visit.asked if "side=4096" in asked.url]
    visit.page.locator("#zoom-full").click()
    for which in ("before", "after"):
        picture = visit.page.locator(f'#sheet img.{which}[src*="side=4096"]')
        picture.wait_for()
        assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [2240, 2040]
    assert visit.page.locator("#sheet img").count() == 2


@pytest.mark.parametrize("visit", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_two_fingers_zoom_and_one_moves_the_line_but_scrolls_upwards(visit: Visit) -> None:
    visit.restore(SMALL)
    visit.page.locator("#view").scroll_into_view_if_needed()
    touches, sheet = visit.page.context.new_cdp_session(visit.page), visit.place("#sheet")
    x, y = sheet["x"] + sheet["width"] / 2, sheet["y"] + 0.8 * sheet["height"]

    def touch(kind: str, *points: tuple[float, float]) -> None:
        where = [{"x": x + right, "y": y + down, "id": number} for number, (right, down) in enumerate(points)]
        touches.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": where})

    touch("Start", (0, 0))
    for step in range(1, 6):
        touch("Move", (-0.06 * step * sheet["width"], 0))
    touch("End")
    assert visit.cut() == pytest.approx(20, abs=3)
    touch("Start", (-20, 0), (20, 0))
    for step in range(1, 6):
        touch("Move", (-20 - 10 * step, 0), (20 + 10 * step, 0))
    touch("End")
    assert visit.place("#sheet")["width"] == pytest.approx(3.5 * sheet["width"], rel=0.2)
    assert visit.place("#sheet img.before") == visit.place("#sheet img.after")


def test_a_face_is_left_out_and_put_back_without_looking_for_it_again(visit: Visit) -> None:
    visit.restore(ALBUM)
    page = visit.page
    second = page.locator(".outline[data-face='1']")
    assert (second.get_attribute("aria-pressed"), second.inner_text()) == ("true", "2")
    first_result = visit.result(ALBUM)
    whole = visit.shot()

    second.click()
    page.locator(".face[data-face='1'] .deed", has_text="left out").wait_for()
    assert visit.posted("/again") == [{"faces": "0,2"}]
    told = visit.told(ALBUM)
    assert told["report"]["redone"]["found"] is False and told["report"]["redone"]["computed"] == 0
    assert [face["action"] for face in told["report"]["faces"]] == ["restored", "left alone", "restored"]
    assert second.get_attribute("aria-pressed") == "false"
    assert visit.row(ALBUM.name).locator(".state").inner_text().split(", look at")[0] == "2 of 3 faces restored"
    assert visit.result(ALBUM) != first_result
    page.locator('#sheet img.after[src*="v=2"]').wait_for()
    face = visit.within(".outline[data-face='1']")
    assert np.abs(visit.shot()[face].astype(int) - whole[face]).max() > 16
    visit.keep("page-face-left-out")

    # back by the switch in the list: the same result, bit for bit
    page.get_by_role("checkbox", name="Restore face 2").check()
    page.locator(".face[data-face='1'] .deed", has_text="restored").wait_for()
    assert visit.posted("/again")[1:] == [{"faces": "all"}]
    assert visit.told(ALBUM)["report"]["redone"]["computed"] == 0
    assert visit.result(ALBUM) == first_result

    # two at once: the second wish waits for the first, and none is lost
    for number in "02":
        page.locator(f".outline[data-face='{number}']").click()
    visit.row(ALBUM.name).locator(".state", has_text="1 of 3 faces restored").wait_for()
    # a hand that draws the line across a face leaves it as it is
    box = visit.place(".outline[data-face='1']")
    page.mouse.move(box["x"] + 20, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 30, steps=4)
    page.mouse.up()
    assert second.get_attribute("aria-pressed") == "true"
    assert len(visit.posted("/again")) == 4
    page.get_by_label("Outline the faces").uncheck()
    assert not second.is_visible()


def test_downloads_are_what_the_command_line_writes(visit: Visit, by_command: dict[str, bytes]) -> None:
    visit.restore(ALBUM, FADED, SMALL)
    for photo in (ALBUM, FADED, SMALL):
        visit.row(photo.name).locator(".pick").click()
        name, data = visit.download("#download")
        assert name == f"{photo.stem}-restored{photo.suffix}"
        assert data == by_command[photo.name], photo.name
    _, data = visit.download("#download-all")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed == {f"{photo.stem}-restored{photo.suffix}": by_command[photo.name] for photo in (ALBUM, FADED, SMALL)}


def test_what_waits_and_what_is_on_its_way_can_be_cancelled(visit: Visit, tmp_path: Path) -> None:
    copies = [tmp_path / f"{number}.png" for number in range(6)]
    for copy in copies:
        copy.write_bytes(ALBUM.read_bytes())
    visit.choose(copies)
    visit.wait("5.png", "waiting")
    assert "before it" in visit.row("5.png").locator(".state").inner_text()
    visit.page.get_by_role("button", name="Cancel 5.png").click()
    visit.wait("5.png", "cancelled")
    visit.page.get_by_role("button", name="Remove 5.png").click()
    visit.row("5.png").wait_for(state="detached")
    assert waited(lambda: len(visit.served.client.get(visit.job).json()["photos"]) == 5)

    # over a slow line
    line = visit.page.context.new_cdp_session(visit.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    line.send("Network.emulateNetworkConditions", slow)
    visit.choose([FADED])
    visit.row(FADED.name).locator(".state", has_text=re.compile("^sending, [1-9]")).wait_for()
    visit.page.get_by_role("button", name=f"Cancel {FADED.name}").click()
    visit.wait(FADED.name, "cancelled")
    line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    for copy in copies[:5]:
        visit.wait(copy.name)
    visit.page.get_by_role("button", name=f"Try {FADED.name} again").click()
    visit.wait(FADED.name)


def test_an_error_stands_beside_its_photo_and_the_others_go_on(visit: Visit, broken: Path) -> None:
    visit.choose([SMALL, broken])
    visit.wait(broken.name, "failed")
    visit.wait(SMALL.name)
    said = visit.row(broken.name).locator(".state").inner_text()
    assert said.startswith("Cannot read torn.jpg: ")
    visit.row(broken.name).locator(".pick").click()
    assert visit.page.locator("#trouble-what").inner_text() == said
    assert visit.page.locator("#trouble-advice").inner_text()
    assert not visit.page.locator("#download").is_visible()
    visit.keep("page-error")
    visit.page.locator("#trouble-remove").click()
    visit.row(broken.name).wait_for(state="detached")
    # its neighbour takes its place
    assert visit.page.locator("#title").inner_text() == SMALL.name


def test_what_can_be_read_of_a_torn_photo_is_offered(visit: Visit, tmp_path: Path) -> None:
    half = tmp_path / "half.jpg"
    half.write_bytes(FADED.read_bytes()[: 6 * FADED.stat().st_size // 10])
    visit.choose([half])
    visit.wait(half.name, "failed")
    visit.page.get_by_role("button", name="Restore the part that can be read").click()
    visit.wait(half.name)
    assert visit.posted("/again") == [{"salvage": True}]
    assert "could be read" in visit.page.locator("#notes").inner_text()
    assert not visit.page.locator("#trouble").is_visible()


def test_what_is_too_large_is_not_sent(visit: Visit) -> None:
    about = visit.served.client.get("/v1/about").json()
    about["limits"]["bytes"] = SMALL.stat().st_size
    visit.page.route("**/v1/about", lambda route: route.fulfill(json=about))
    visit.open()
    visit.choose([FADED, SMALL])
    visit.row(FADED.name).locator(".state", has_text="too large").wait_for()
    visit.wait(SMALL.name)
    assert len([asked for asked in visit.asked if asked.url.endswith("/photos")]) == 1


def test_names_are_text_whatever_they_contain(visit: Visit, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)> & 'quotes' \u00e9.webp"
    photo = tmp_path / name
    photo.write_bytes(SMALL.read_bytes())
    visit.page.route("**/photos", lambda route: route.fulfill(status=400, json={"error": {"what": name, "why": name, "what_to_do": name}}))
    visit.choose([photo])
    visit.page.locator("#trouble").wait_for()
    assert visit.page.locator("#title").inner_text() == visit.page.locator("#photos .name").inner_text() == name
    assert visit.page.locator("#trouble-advice").inner_text() == name
    visit.page.unroute("**/photos")
    visit.page.locator("#trouble-again").click()
    # the service's own idea of the name, which has to be a file's on any system
    visit.page.locator("#photos li[data-state=done] .name", has_text="img src=x onerror=alert(1)").wait_for()
    assert visit.page.locator("img[src='x']").count() == 0
    assert visit.download("#download")[0].endswith("\u00e9-restored.webp")


def test_trying_again_redoes_what_changed(visit: Visit) -> None:
    page = visit.page
    visit.restore(SMALL, FADED)
    assert page.locator("#again").is_disabled() and page.locator("#again-all").is_disabled()
    before = visit.result(SMALL)
    page.get_by_label("Strength").focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert page.locator("#strength-shown").inner_text() == "50\u00a0%"
    page.locator("#again").click()
    page.locator(".face .figures", has_text="strength 50").wait_for()
    assert visit.posted("/again") == [{"strength": 0.5}]
    told = visit.told(SMALL)
    assert told["report"]["redone"]["found"] is False and told["report"]["redone"]["computed"] == 0
    assert visit.result(SMALL) != before

    page.get_by_role("radio", name="2 ×").check()
    page.locator("#again-all").click()
    page.locator("#facts", has_text="now 480 × 480").wait_for()
    assert waited(lambda: visit.told(FADED)["version"] == 2)
    assert visit.told(FADED)["report"]["width"] == 2 * 652
    # a photo that comes later has the settings of now
    visit.choose([ALBUM])
    visit.wait(ALBUM.name)
    options = visit.told(ALBUM)["options"]
    assert (options["strength"], options["upscale"]) == (0.5, 2)


def test_a_model_shows_its_licence_before_it_is_fetched(visit: Visit) -> None:
    page = visit.page
    page.locator("#settings summary").click()
    page.locator("#more-models").click()
    row = page.locator(".model[data-model='gfpgan-v1.4']")
    assert "349" in row.inner_text() and "Apache-2.0" in row.inner_text()
    row.get_by_role("button", name=re.compile("^Fetch")).click()
    licence = row.locator(".licence").inner_text()
    assert "ask before commercial use" in licence and "FFHQ" in licence
    assert row.get_by_role("button", name="Accept the licence and fetch").evaluate("it => it === document.activeElement")
    visit.keep("page-models")
    row.get_by_role("button", name="Cancel").click()
    assert row.locator(".licence").count() == 0
    page.keyboard.press("Escape")
    assert not page.locator("#models").is_visible()
    assert visit.posted("/fetch") == []


def test_a_model_is_fetched_with_progress_and_its_failure_told(visit: Visit) -> None:
    """The service's part is played here: nothing may be fetched from the network in a test."""
    page = visit.page
    listed = visit.served.client.get("/v1/models").json()["models"]
    wanted = next(model for model in listed if model["name"] == "gfpgan-v1.4")
    other = next(model for model in listed if model["name"] == "codeformer")
    page.route("**/v1/models", lambda route: route.fulfill(json={"models": listed}))
    page.route("**/fetch", lambda route: route.fulfill(status=202, json=wanted))
    page.locator("#settings summary").click()
    page.locator("#more-models").click()
    row = page.locator(".model[data-model='gfpgan-v1.4']")
    row.get_by_role("button", name=re.compile("^Fetch")).click()
    wanted["fetch"] = {"state": "fetching", "done": 87_000_000, "total": 348_632_874, "error": None}
    words = {"what": "cannot fetch codeformer", "why": "its publisher does not answer", "what_to_do": "try again later", "code": 4}
    other["fetch"] = {"state": "failed", "done": 0, "total": None, "error": words}
    row.get_by_role("button", name="Accept the licence and fetch").click()
    row.locator("progress").wait_for()
    assert visit.posted("/fetch") == [{"accept_licence": True}]
    assert row.locator("progress").evaluate("bar => bar.value / bar.max") == pytest.approx(0.25, abs=0.01)
    page.locator(".model[data-model='codeformer'] .alert", has_text="Cannot fetch codeformer: its publisher does not answer").wait_for()
    wanted |= {"fetch": None, "where": "downloaded", "usable": True}
    row.wait_for(state="detached")
    page.keyboard.press("Escape")
    assert page.locator("#model").input_value() == "gfpgan-v1.4"  # who fetched it wants to use it


@pytest.mark.parametrize("visit", [{"color_scheme": "dark"}], indirect=True)
def test_it_is_dark_where_the_machine_is(visit: Visit) -> None:
    visit.restore(ALBUM)
    visit.keep("page-dark")
    ground, ink = visit.page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    assert max(map(int, re.findall(r"\d+", ground))) < 50 < 200 < min(map(int, re.findall(r"\d+", ink)))


@pytest.mark.parametrize("visit", [{"viewport": PHONE | {"width": 360}, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_phone_needs_no_scrolling_sideways(visit: Visit, broken: Path) -> None:
    page = visit.page

    def sideways() -> int:
        return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    assert sideways() == 0
    visit.restore(ALBUM)
    visit.choose([broken, SMALL])
    visit.wait(broken.name, "failed")
    visit.wait(SMALL.name)
    assert sideways() == 0
    assert visit.place("#view")["width"] == 360
    visit.keep("page-phone")
    page.locator("#settings summary").click()
    assert sideways() == 0
    visit.row(broken.name).locator(".pick").click()
    assert sideways() == 0
    page.locator("#more-models").click()
    assert sideways() == 0


def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    page = visit.page

    def tab_to(selector: str, most: int = 40) -> None:
        for _ in range(most):
            if page.locator(selector).first.evaluate("it => it === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is out of the keyboard's reach")

    tab_to("#choose")
    assert page.locator("#choose").evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([ALBUM, SMALL])
    visit.wait(ALBUM.name)
    visit.wait(SMALL.name)
    tab_to(".pick")
    page.keyboard.press("ArrowDown")
    assert page.locator("#title").inner_text() == SMALL.name
    page.keyboard.press("ArrowUp")
    tab_to(".outline")
    page.keyboard.press("Enter")
    page.locator(".face[data-face='0'] .deed", has_text="left out").wait_for()
    assert page.locator(".outline").first.evaluate("it => it === document.activeElement")  # the new result has not taken the focus
    tab_to("#split")
    page.keyboard.press("Home")
    assert visit.cut() == 0
    tab_to("#zoom-in")
    page.keyboard.press("Space")
    assert visit.place("#sheet")["width"] > visit.place("#view")["width"]
    tab_to("#more-models")
    page.keyboard.press("Enter")
    assert page.locator("#models").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#more-models").evaluate("it => it === document.activeElement")
    # no trap: one comes round to the beginning
    tab_to("#start-over", most=80)
    page.keyboard.press("Enter")
    tab_to("#leave-yes")
    page.keyboard.press("Enter")
    tab_to("#choose")


def test_every_control_has_a_name(visit: Visit, broken: Path) -> None:
    visit.restore(ALBUM)
    visit.choose([broken])
    visit.wait(broken.name, "failed")
    tree = visit.page.context.new_cdp_session(visit.page)
    controls = {"button", "checkbox", "slider", "link", "radio", "combobox", "textbox", "DisclosureTriangle", "img", "image", "progressbar"}

    def nameless() -> list[str]:
        nodes = [node for node in tree.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        found = [node for node in nodes if node.get("role", {}).get("value") in controls]
        assert len(found) >= 5
        return [str(node["role"]["value"]) for node in found if not node.get("name", {}).get("value")]

    assert nameless() == []
    visit.row(broken.name).locator(".pick").click()
    assert nameless() == []
    visit.page.locator("#more-models").click()
    assert nameless() == []
    assert visit.page.locator("#told").get_attribute("role") == "status"
    assert "Cannot read torn.jpg" in visit.page.locator("#told").inner_text()


def test_the_photos_are_gone_when_the_page_closes(browser: Any, served: Served) -> None:
    visit = Visit(browser.new_context(viewport=DESKTOP).new_page(), served)
    visit.open()
    visit.restore(SMALL)
    assert served.client.get(visit.job).status_code == 200
    assert served.files
    visit.page.close(run_before_unload=True)
    assert waited(lambda: served.client.get(visit.job).status_code == 404)
    assert waited(lambda: not served.files)
    visit.page.context.close()


def test_starting_over_asks_first_and_removes_everything(visit: Visit) -> None:
    visit.restore(SMALL)
    visit.page.locator("#start-over").click()
    visit.page.locator("#leave-no").click()
    assert visit.served.client.get(visit.job).status_code == 200
    visit.page.locator("#start-over").click()
    visit.page.locator("#leave-yes").click()
    visit.page.locator("#choose").wait_for()
    assert waited(lambda: visit.served.client.get(visit.job).status_code == 404)
    visit.restore(SMALL)  # and one can begin anew


def test_a_full_service_is_waited_for(visit: Visit) -> None:
    refused: list[float] = []

    def refuse_once(route: Any) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(time.monotonic())
            told = {"what": "too many photos wait", "why": "", "what_to_do": "come again", "code": 3}
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": told})

    visit.page.route("**/photos", refuse_once)
    visit.choose([SMALL])
    visit.row(SMALL.name).locator(".state", has_text="the service is busy; goes on by itself").wait_for()
    visit.wait(SMALL.name)
    assert time.monotonic() - refused[0] >= 1


def test_a_service_that_does_not_answer_is_waited_for(visit: Visit) -> None:
    page = visit.page
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    visit.choose([SMALL])
    page.locator("#banner", has_text="The service does not answer").wait_for()
    assert visit.row(SMALL.name).get_attribute("data-state") == "queued"  # nothing is wrong with the photo
    page.unroute("**/v1/**")
    page.locator("#reach").click()
    visit.wait(SMALL.name)
    assert not page.locator("#banner").is_visible()


def test_photos_that_are_gone_are_said_to_be_and_can_be_sent_again(visit: Visit) -> None:
    visit.restore(SMALL)
    first = visit.job
    visit.served.client.delete(first)
    gone = visit.page.locator("#gone")
    gone.wait_for()
    assert "no longer here" in gone.inner_text()
    visit.page.locator("#gone-again").click()
    visit.wait(SMALL.name)
    assert visit.job != first
    visit.served.client.delete(visit.job)
    visit.page.locator("#gone-fresh").click()
    visit.page.locator("#choose").wait_for()
    assert visit.page.locator("#photos li").count() == 0


def test_a_door_an_hour_that_ends_and_a_service_that_stops(browser: Any, tmp_path: Path) -> None:
    """One service more, for what would disturb the others: it has a token and a very short hour, and is stopped."""
    with service(tmp_path, "--token", "open sesame", "--keep-minutes", "0.05") as brief:
        page = browser.new_context(viewport=DESKTOP).new_page()
        visit = Visit(page, brief)
        page.goto(brief.address)
        for word in ("abracadabra", "open sesame"):
            page.get_by_label("Token").fill(word)
            with page.expect_navigation():
                page.get_by_role("button", name="Come in").click()
            assert page.locator("#wrong").is_visible() == (word == "abracadabra")
        visit.ready()
        visit.choose([SMALL])
        page.locator("#gone", has_text="Files are kept for 0.05 minutes").wait_for()
        page.locator("#gone-fresh").click()
        visit.choose([SMALL])
        brief.process.kill()
        page.locator("#banner", has_text="The service does not answer").wait_for()
        assert visit.strangers() == []
        page.context.close()
