"""Clips among the photos: which are meant, and where their results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from facewright.errors import UsageError
from facewright.restore.plan import plan


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.mp4", "c.MKV", "b-restored.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "no-suffix").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(16))
    return tmp_path


def test_a_folder_gives_its_clips_only_to_a_verb_that_takes_them(album: Path) -> None:
    assert [task.source.name for task in plan([str(album)]) if task.source] == ["a.jpg"]
    tasks = plan([str(album)], clips=True)
    assert [(task.source.name, task.clip) for task in tasks if task.source] == [("a.jpg", False), ("b.mp4", True), ("c.MKV", True)]


def test_a_clip_becomes_a_clip_of_its_own_kind(album: Path) -> None:
    from facewright.media import Origin

    def targets(*words: str, output: str | None = None) -> list[str]:
        return [task.target_for(Origin()).relative_to(album).as_posix() for task in plan([*words], output, clips=True)]

    assert targets(str(album / "b.mp4")) == ["b-restored.mp4"]
    assert targets(str(album / "b.mp4"), str(album / "c.MKV"), output=str(album / "out")) == ["out/b.mp4", "out/c.MKV"]
    assert targets(str(album / "no-suffix")) == ["no-suffix-restored.mp4"], "known by its content"
    assert targets(str(album / "b.mp4"), output=str(album / "x.mkv")) == ["x.mkv"]


def test_what_cannot_be_is_told_before_the_work(album: Path) -> None:
    clip = str(album / "b.mp4")
    for output, why in (("-", "is a clip"), (str(album / "x.jpg"), "cannot write a clip as x.jpg"), (clip, "one of the photos to restore")):
        with pytest.raises(UsageError, match=why):
            plan([clip], output, clips=True)
    assert plan([clip], in_place=True, clips=True)[0].target == Path(clip)
