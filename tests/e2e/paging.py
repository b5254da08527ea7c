"""The page as a person meets it in a real browser."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from serving import Served

SCREENSHOTS = os.environ.get("FACEWRIGHT_SCREENSHOTS")
PATIENCE = 30_000
"""Milliseconds for what a network has a part in: a busy machine is slow."""


@dataclass
class Visit:
    """The page, and all that it asked for, said and threw."""

    page: Any
    served: Served
    asked: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        # heard from the beginning: playwright may else be too late for a file dialog that opens at a key
        self.page.on("filechooser", lambda chooser: None)
        self.page.on("request", lambda asked: self.asked.append(asked))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda thrown: self.said.append(f"thrown: {thrown}"))

    def open(self) -> None:
        self.page.goto(self.served.address)
        self.ready()

    def ready(self) -> None:
        """Until its scripts have asked the service what it is."""
        self.page.locator("#model option").first.wait_for(state="attached")

    @property
    def jobs(self) -> list[str]:
        """Addresses of the page's jobs, the latest last."""
        found = (re.match(r"(/v1/jobs/[^/]+)/", self.path(asked)) for asked in self.asked)
        return list(dict.fromkeys(each[1] for each in found if each))

    @property
    def job(self) -> str:
        return self.jobs[-1]

    def path(self, asked: Any) -> str:
        return str(asked.url.removeprefix(self.served.address.rstrip("/")))

    def posted(self, end: str) -> list[Any]:
        """What was sent as JSON to addresses with that end."""
        return [asked.post_data_json for asked in self.asked if asked.method == "POST" and asked.url.endswith(end)]

    def choose(self, photos: Sequence[Path]) -> None:
        """Through the file dialog, as a person does."""
        button = "#choose" if self.page.locator("#choose").is_visible() else "#add"
        with self.page.expect_file_chooser() as chooser:
            self.page.locator(button).click()
        chooser.value.set_files(photos)

    def row(self, name: str) -> Any:
        """A photo of the list."""
        return self.page.locator("#photos li", has=self.page.locator(f'.name:text-is("{name}")'))

    def wait(self, name: str, state: str = "done") -> None:
        self.page.locator(f'#photos li[data-state="{state}"] .name:text-is("{name}")').first.wait_for()

    def restore(self, *photos: Path) -> None:
        """Choose photos and wait for their results; the first is shown, before and after."""
        self.choose(photos)
        for photo in photos:
            self.wait(photo.name)
        self.page.locator("#sheet img.after").wait_for()
        self.page.locator("#sheet img.before").wait_for()

    def told(self, photo: Path) -> Any:
        """What the service says of a photo. Its number is its place in the order of arrival, which two uploads at a time may turn round."""
        return next(told for told in self.served.client.get(self.job).json()["photos"] if told["name"] == photo.name)

    def result(self, photo: Path) -> bytes:
        return self.served.client.get(f"{self.job}/photos/{self.told(photo)['number']}/result").content

    def download(self, button: str) -> tuple[str, bytes]:
        """The file's name and what is in it."""
        with self.page.expect_download() as coming:
            self.page.locator(button).click()
        return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()

    def shot(self) -> NDArray[np.uint8]:
        """What the photo's place on the screen shows, H x W x 3, without the pointer on it."""
        self.page.mouse.move(1, 1)
        picture = cv2.imdecode(np.frombuffer(self.page.locator("#view").screenshot(), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return np.asarray(picture, np.uint8)

    def within(self, selector: str) -> tuple[slice, slice]:
        """Where something on the photo is in a shot, without its frame and number."""
        part, view = self.place(selector), self.place("#view")
        left, top = part["x"] - view["x"], part["y"] - view["y"]
        return slice(int(top) + 22, int(top + part["height"]) - 6), slice(int(left) + 6, int(left + part["width"]) - 6)

    def cut(self) -> float:
        """Where the picture after the restoration begins, in hundredths of the photo's width."""
        clip = self.page.locator("#sheet img.after").evaluate("image => image.style.clipPath")
        found = re.search(r"([\d.]+)%\)$", clip)
        assert found is not None, clip
        return float(found[1])

    def place(self, selector: str) -> dict[str, float]:
        """x, y, width and height on the screen."""
        return dict(self.page.locator(selector).bounding_box())

    def keep(self, name: str) -> None:
        """A screenshot for the documentation, where somebody asked for them. Only the project's own examples are to be seen."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.mouse.move(1, 1)
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.jpg", type="jpeg", quality=80)

    def strangers(self) -> list[str]:
        """Requests that left this very service."""
        near = (self.served.address, "blob:", "data:")
        return [asked.url for asked in self.asked if not asked.url.startswith(near)]
