"""Which photos are meant, and where results go."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.errors import FacewrightError, InputError, UsageError
from facewright.media import READABLE, Origin
from facewright.restore.plan import Task, plan


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"?")


def targets(tasks: Sequence[Task]) -> dict[str, str]:
    """{photo: result}, as both would be named if files are what their suffix says."""
    found = {}
    for task in tasks:
        assert task.problem is None and task.source is not None
        origin = Origin(format=READABLE.get(task.source.suffix.lower(), "PNG"), path=task.source)
        found[task.name] = "-" if task.to_stream else str(task.target_for(origin))
    return found


def names(tasks: Sequence[Task]) -> list[str]:
    return [task.name for task in tasks]


# Where results go -----------------------------------------------------------------------------------------------------------------------


def test_beside_the_photo(here: Path) -> None:
    put("old.jpg", "sub/b.tiff", "c.bmp", "d.GIF", "e.JPEG")
    assert targets(plan(["old.jpg", "sub/b.tiff", "c.bmp", "d.GIF", "e.JPEG"])) == {
        "old.jpg": "old-restored.jpg",
        "sub/b.tiff": "sub/b-restored.tiff",
        "c.bmp": "c-restored.png",  # formats that would spoil a face become PNG
        "d.GIF": "d-restored.png",
        "e.JPEG": "e-restored.JPEG",
    }


def test_a_folder_keeps_its_structure(here: Path) -> None:
    put("album/a.jpg", "album/1950/b.png", "album/1950/june/c.jpg", "album/notes.txt", "album/.thumbs/a.jpg", "album/._a.jpg")
    assert targets(plan(["album"], "out")) == {"album/a.jpg": "out/a.jpg"}
    assert targets(plan(["album"], "out", recursive=True)) == {
        "album/a.jpg": "out/a.jpg",
        "album/1950/b.png": "out/1950/b.png",
        "album/1950/june/c.jpg": "out/1950/june/c.jpg",
    }
    assert targets(plan(["album"], recursive=True))["album/1950/b.png"] == "album/1950/b-restored.png"


def test_one_photo_to_a_file_a_folder_or_a_name(here: Path) -> None:
    put("a.jpg", "there/x.txt")
    assert targets(plan(["a.jpg"], "b.png")) == {"a.jpg": "b.png"}
    assert targets(plan(["a.jpg"], "there")) == {"a.jpg": "there/a.jpg"}
    assert targets(plan(["a.jpg"], "new/")) == {"a.jpg": "new/a.jpg"}
    assert targets(plan(["a.jpg"], "new")) == {"a.jpg": "new.jpg"}
    assert targets(plan(["a.jpg"], "-")) == {"a.jpg": "-"}
    with pytest.raises(UsageError, match=r"'\.doc'"):
        plan(["a.jpg"], "b.doc")  # before the work, not after it


def test_streams(here: Path) -> None:
    put("a.jpg", "there/x.txt")
    assert plan(["-"])[0].to_stream and plan(["-"], "-")[0].to_stream
    assert plan(["-"], "x.png")[0].target == Path("x.png")
    assert plan(["-"], "there")[0].stem == Path("there/stdin")
    for photos, output in ((["-", "a.jpg"], None), (["a.jpg", "there"], "-"), (["-", "a.jpg"], "there"), (["there"], "-")):
        with pytest.raises(UsageError, match="carry one photo"):
            plan(photos, output)
    with pytest.raises(UsageError, match="in place"):
        plan(["-"], in_place=True)


def test_in_place(here: Path) -> None:
    put("a.jpg", "b/c.png")
    tasks = plan(["a.jpg", "b"], in_place=True)
    assert targets(tasks) == {"a.jpg": "a.jpg", "b/c.png": "b/c.png"}
    assert all(task.in_place for task in tasks)
    with pytest.raises(UsageError, match="contradict"):
        plan(["a.jpg"], "out", in_place=True)


# What is never overwritten --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["a.jpg", ".", "./", "a", "sub/../a.jpg", "link/a.jpg", "alias.jpg"])
def test_an_original_is_no_target(here: Path, output: str) -> None:
    put("a.jpg", "sub/x.txt")
    Path("link").symlink_to(".")
    Path("alias.jpg").symlink_to("a.jpg")
    with pytest.raises(UsageError, match="one of the photos"):
        plan(["a.jpg"], output)


def test_another_original_is_no_target_either(here: Path) -> None:
    put("x/a.jpg", "y/sub/b.bmp", "sub/b.png")
    with pytest.raises(UsageError, match="one of the photos"):
        plan(["x"], "x")
    with pytest.raises(UsageError, match=r"sub/b\.png is one of the photos"):
        plan(["y", "sub/b.png"], ".", recursive=True)


def test_formats_of_one_name_get_names_of_their_own(here: Path) -> None:
    put("x/a.jpg", "x/a.PNG", "x/a.bmp", "x/b.jpg")
    assert targets(plan(["x"], "out")) == {
        "x/a.jpg": "out/a-jpg.jpg",
        "x/a.PNG": "out/a-png.PNG",
        "x/a.bmp": "out/a-bmp.png",
        "x/b.jpg": "out/b.jpg",
    }
    beside = targets(plan(["x"]))
    assert beside["x/a.bmp"] == "x/a-bmp-restored.png"
    put(*beside.values())
    assert targets(plan(["x"])) == beside  # and are known as results


def test_same_names_from_two_folders_are_refused(here: Path) -> None:
    put("x/a.jpg", "y/a.jpg", "z/p-jpg.png", "z/p.jpg", "z/p.png")
    for photos in (["x", "y"], ["x/a.jpg", "y/a.jpg"], ["*/a.jpg"]):
        with pytest.raises(UsageError, match="would both become out/a") as caught:
            plan(photos, "out")
        assert "--recursive" in caught.value.what_to_do
    assert len(targets(plan(["x", "y"]))) == 2
    with pytest.raises(UsageError, match="would both become"):
        plan(["z"], "out")  # the name that p.jpg would get is taken


def test_a_photo_named_twice_is_restored_once(here: Path) -> None:
    put("x/a.jpg")
    Path("x/b.jpg").symlink_to("a.jpg")
    assert names(plan(["x/a.jpg", "./x/a.jpg", "x", "x/*.jpg"])) == ["x/a.jpg", "x/b.jpg"]
    # two names of one file are one file when it is replaced
    assert names(plan(["x"], in_place=True)) == ["x/a.jpg"]


@given(
    photos=st.lists(
        st.builds(
            "{}/{}.{}".format,
            st.sampled_from(["p", "q", "p/r"]),
            st.sampled_from(["a", "b", "a-jpg", "a-restored"]),
            st.sampled_from(["jpg", "bmp", "png"]),
        ),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    output=st.sampled_from([None, "out", "p", "p/r"]),
    recursive=st.booleans(),
    as_folders=st.booleans(),
)
@settings(deadline=None)  # it makes folders and files
def test_no_result_has_the_place_of_another_or_of_an_original(
    tmp_path_factory: pytest.TempPathFactory, photos: list[str], output: str | None, recursive: bool, as_folders: bool
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    put(*(str(folder / photo) for photo in photos))
    texts = sorted({str((folder / photo).parent) for photo in photos}) if as_folders else [str(folder / photo) for photo in photos]
    try:
        tasks = plan(texts, None if output is None else str(folder / output), recursive=recursive)
    except UsageError:
        return
    doing = [task for task in tasks if task.problem is None]
    found = targets(doing)
    assert len(set(found.values())) == len(doing) == len(found)
    assert not {os.path.realpath(target) for target in found.values()} & {os.path.realpath(task.source or "") for task in doing}
    companions = {str(task.beside("-compare.jpg", Origin(format="PNG"))) for task in doing}
    assert len(companions) == len(doing)


# What is no photo to restore ------------------------------------------------------------------------------------------------------------


def test_results_of_earlier_runs_are_passed_over(here: Path) -> None:
    put("x/a.jpg", "x/a-restored.jpg", "x/a-restored-compare.jpg", "x/a-restored-faces/00-before.png", "x/mine-restored.jpg")
    put("x/b.GIF", "x/b-restored.png")
    expected = ["x/a.jpg", "x/b.GIF", "x/mine-restored.jpg"]
    assert names(plan(["x"])) == names(plan(["x"], recursive=True)) == names(plan(["x/*.*"])) == expected
    # what a shell makes of x/*.jpg
    shell = sorted(str(path) for path in Path("x").glob("*.*") if path.is_file())
    assert names(plan(shell)) == expected
    # named alone, it is meant
    assert names(plan(["x/a-restored.jpg"])) == ["x/a-restored.jpg"]
    (problem,) = plan(["x/a-restored*.jpg"])
    assert isinstance(problem.problem, InputError) and "earlier runs" in problem.problem.why


def test_results_of_every_verb_are_known_to_every_other(here: Path) -> None:
    put("x/a.jpg", "x/a-colorized.jpg", "x/a-colorized-compare.jpg", "x/a-inpainted-faces/00-after.png", "x/a-restored-inpainted.jpg")
    put("x/a-restored.jpg", "x/b-inpainted.png")
    assert names(plan(["x"], recursive=True)) == ["x/a.jpg", "x/b-inpainted.png"]  # of the last the photo is not there
    assert targets(plan(["x/a.jpg"], suffix="-colorized")) == {"x/a.jpg": "x/a-colorized.jpg"}
    assert targets(plan(["x/a-restored.jpg"], suffix="-inpainted")) == {"x/a-restored.jpg": "x/a-restored-inpainted.jpg"}
    (task,) = plan(["x/a.jpg"], in_place=True, suffix="-colorized")
    assert task.beside("-compare.jpg", Origin(format="JPEG")) == Path("x/a-colorized-compare.jpg")
    put("y/c.png", "y/c.bmp")
    assert set(targets(plan(["y"], suffix="-inpainted")).values()) == {"y/c-png-inpainted.png", "y/c-bmp-inpainted.png"}


def test_in_place_companions_are_known_again(here: Path) -> None:
    put("x/a.jpg")
    (task,) = plan(["x"], in_place=True)
    put(str(task.beside("-compare.jpg", Origin(format="JPEG"))), str(task.beside("-faces", Origin(format="JPEG")) / "00-after.png"))
    assert len(list(Path("x").rglob("*.*"))) == 3
    assert names(plan(["x"], recursive=True, in_place=True)) == ["x/a.jpg"]


def test_an_output_folder_inside_is_not_read(here: Path) -> None:
    put("album/a.jpg", "album/out/a.jpg", "album/out/sub/b.jpg")
    assert names(plan(["album"], "album/out", recursive=True)) == ["album/a.jpg"]
    assert len(plan(["album"], "elsewhere", recursive=True)) == 3


def test_patterns_reach_files_folders_and_odd_names(here: Path) -> None:
    put("a1.jpg", "a2.png", "a3.txt", "deep/er/a4.jpg", "b[1].jpg")
    assert names(plan(["a?.*g"])) == ["a1.jpg", "a2.png"]
    assert names(plan(["**/*.jpg"])) == ["a1.jpg", "b[1].jpg", "deep/er/a4.jpg"]
    assert names(plan(["b[1].jpg"])) == ["b[1].jpg"]
    assert names(plan(["d*p"], recursive=True)) == ["deep/er/a4.jpg"]


def test_links_count_as_what_they_point_to(here: Path) -> None:
    put("real/a.jpg", "x/b.jpg")
    Path("x/a.jpg").symlink_to("../real/a.jpg")
    Path("x/dead.jpg").symlink_to("nowhere.jpg")
    Path("x/loop").symlink_to(".")
    assert targets(plan(["x"], "out", recursive=True)) == {"x/a.jpg": "out/a.jpg", "x/b.jpg": "out/b.jpg"}


# Problems -------------------------------------------------------------------------------------------------------------------------------


def test_what_has_no_photos_costs_only_itself(here: Path) -> None:
    put("a.jpg", "empty/notes.txt", "deep/er/b.jpg")
    tasks = plan(["empty", "a.jpg", "no*.jpg", "deep"])
    problems = [task.problem.what if task.problem else None for task in tasks]
    assert problems == ["no photos in empty", None, "nothing matches no*.jpg", "no photos in deep"]
    assert tasks[3].problem is not None and "--recursive" in tasks[3].problem.what_to_do
    assert not any(task.to_stream for task in tasks)
    # a missing file is found out when it is read, like any file that cannot be read
    assert names(plan(["missing.jpg"])) == ["missing.jpg"]


def test_a_folder_that_cannot_be_listed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("x/a.jpg", "b.jpg")

    def refused(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", refused)
    tasks = plan(["x", "b.jpg"])
    assert isinstance(tasks[0].problem, InputError) and "Permission denied" in tasks[0].problem.why
    assert tasks[1].problem is None


def test_many_photos_do_not_fit_a_file(here: Path) -> None:
    put("a.jpg", "b.jpg", "out.txt")
    with pytest.raises(UsageError, match="is a file"):
        plan(["a.jpg", "b.jpg"], "out.txt")


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40) | st.just("x" * 300))
def test_no_text_breaks_it(text: str) -> None:
    try:
        tasks = plan([text], "/nonexistent/folder/")
    except FacewrightError:
        return
    assert len(tasks) >= 1
