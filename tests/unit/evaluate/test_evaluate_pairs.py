"""Folders pair by name or say which does not; what cannot be measured is counted; a killed evaluation goes on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.errors import InputError, OutputError, UsageError
from facewright.evaluate.catalogue import find
from facewright.evaluate.evaluation import Choices, Evaluation
from facewright.evaluate.journal import FILE, Journal
from facewright.evaluate.judges import Panel, open_panel
from facewright.evaluate.pairs import Folders, names_of
from facewright.evaluate.scoring import TRUTH, amount, score
from facewright.evaluate.source import GIVEN, Case, batches

CPU = torch.device("cpu")


def panel() -> Panel:
    return open_panel(find(["psnr", "ssim"]))


def measured(folder: Path, journal_folder: Path, truth: Path, seen: list[int] | None = None) -> dict[str, float]:
    source = Folders({"ours": folder}, truth)
    with Journal(journal_folder, source.facts) as journal:
        score(source, panel(), journal, CPU, batch=2, advance=lambda count: seen.append(count) if seen is not None else None)
        return {name: numbers["psnr[rgb]"] for name, _, numbers in journal.numbers(GIVEN, "ours")}


def test_pictures_pair_by_name_whatever_their_suffix(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    restored, truth = pairs
    Image.open(restored / "p3.png").save(restored / "p3.bmp")
    (restored / "p3.png").unlink()
    (restored / "notes.txt").write_text("not a picture")
    numbers = measured(restored, tmp_path / "out", truth)
    assert list(numbers) == [f"p{number}" for number in range(6)]
    for number in range(6):  # one level more from one to the next
        assert numbers[f"p{number}"] == pytest.approx(20 * np.log10(255 / (number + 1)), abs=1e-6)


@pytest.mark.parametrize("side", [0, 1])
def test_a_picture_without_a_partner_is_named(pairs: tuple[Path, Path], side: int) -> None:
    (pairs[side] / "p4.png").rename(pairs[side] / "p4_out.png")
    with pytest.raises(InputError, match="p4") as refused:
        Folders({"ours": pairs[0]}, pairs[1])
    assert "p4_out" in str(refused.value) and "by their names" in refused.value.what_to_do
    assert "meant to be" in str(refused.value)


def test_of_many_lonely_pictures_some_are_named_and_all_counted(pairs: tuple[Path, Path]) -> None:
    for number in range(40):
        Image.new("RGB", (40, 32)).save(pairs[0] / f"more{number:02}.png")
    with pytest.raises(InputError, match=r"40 of .*more00, more01, more02, more03, more04 and 35 more"):
        Folders({"ours": pairs[0]}, pairs[1])


def test_two_pictures_of_one_name_are_refused(pairs: tuple[Path, Path]) -> None:
    Image.new("RGB", (40, 32)).save(pairs[0] / "p1.jpg")
    with pytest.raises(InputError, match=r"p1\.jpg and p1\.png"):
        Folders({"ours": pairs[0]}, pairs[1])


@pytest.mark.parametrize("wrong", ["missing", "empty", "file"])
def test_a_folder_that_holds_nothing_is_refused(pairs: tuple[Path, Path], tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / wrong
    if wrong == "empty":
        folder.mkdir()
        (folder / "readme.md").write_text("no pictures yet")
    elif wrong == "file":
        folder.write_text("a file")
    with pytest.raises(InputError, match=wrong):
        Folders({"ours": folder}, pairs[1])


def test_one_unreadable_picture_among_many_is_counted_and_the_others_are_measured(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    restored, truth = pairs
    whole = (restored / "p2.png").read_bytes()
    (restored / "p2.png").write_bytes(whole[:200])  # its head is whole
    (truth / "p5.png").write_bytes(b"this is no picture")
    Image.new("RGB", (41, 32)).save(restored / "p0.png")
    done = Evaluation(Choices(restored=(restored,), truth=truth, metrics=("psnr",))).run(tmp_path / "out")
    why = {failure.name: failure.why for failure in done.results.failures}
    assert why.keys() == {"p0", "p2", "p5"}
    assert "differ in size" in why["p0"] and "41 x 32" in why["p0"] and "40 x 32" in why["p0"]
    assert "p2.png" in why["p2"] and "p5.png" in why["p5"]
    assert [case.name for case in done.results.cases] == ["p1", "p3", "p4"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [line["picture"] for line in lines if "failed" in line] == ["p0", "p2", "p5"]
    # once it is mended the same evaluation takes it in
    (restored / "p2.png").write_bytes(whole)
    again = Evaluation(Choices(restored=(restored,), truth=truth, metrics=("psnr",))).run(tmp_path / "out")
    assert [case.name for case in again.results.cases] == ["p1", "p2", "p3", "p4"]


def test_where_no_pair_can_be_measured_the_first_reason_is_told(pairs: tuple[Path, Path]) -> None:
    for number in range(6):
        Image.new("RGB", (20, 20)).save(pairs[0] / f"p{number}.png")
    with pytest.raises(InputError, match="not one of 6 pairs"):
        Folders({"ours": pairs[0]}, pairs[1])


def test_methods_are_called_by_the_shortest_names_that_differ(tmp_path: Path) -> None:
    assert list(names_of([tmp_path / "a" / "out", tmp_path / "b" / "out"])) == ["a/out", "b/out"]
    assert list(names_of([tmp_path / "a", tmp_path / "truth"])) == ["a", "./truth"]
    with pytest.raises(InputError, match="with itself"):
        names_of([tmp_path, tmp_path])


def test_batches_hold_one_size_each() -> None:
    cases = [Case(str(number), "", "", (64 + 32 * (number % 2), 64)) for number in range(10)]
    found = batches(cases, 4)
    assert [len(batch) for batch in found] == [4, 1, 4, 1] and all(len({case.size for case in batch}) == 1 for batch in found)
    assert sorted(case.name for batch in found for case in batch) == sorted(case.name for case in cases)


# Going on -------------------------------------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


class Counted:
    """A panel that counts what it looks at, and is killed after so many looks."""

    def __init__(self, inner: Panel, until: int) -> None:
        self.inner, self.until, self.looks = inner, until, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def look(self, pictures: torch.Tensor) -> list[object]:
        if self.looks == self.until:
            raise Killed
        self.looks += 1
        return self.inner.look(pictures)


def test_a_killed_evaluation_goes_on_where_it_was(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    source = Folders({"ours": pairs[0]}, pairs[1])
    counted = Counted(panel(), 4)  # two batches of three: the truth and ours each
    with pytest.raises(Killed), Journal(tmp_path / "out", source.facts) as journal:
        score(source, counted, journal, CPU, batch=2, advance=lambda count: None)  # type: ignore[arg-type]
    counted.until, counted.looks, told = -1, 0, []
    with Journal(tmp_path / "out", source.facts) as journal:
        assert len(list(journal.numbers(GIVEN, "ours"))) == 4
        score(source, counted, journal, CPU, batch=2, advance=told.append)  # type: ignore[arg-type]
        found = {name: numbers for name, _, numbers in journal.numbers(GIVEN, "ours")}
    assert counted.looks == 2 and sum(told) == amount(source) == 6
    assert {name: each["psnr[rgb]"] for name, each in found.items()} == measured(pairs[0], tmp_path / "fresh", pairs[1])


def test_a_picture_that_changed_is_measured_again_and_no_other(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    before = measured(pairs[0], tmp_path / "out", pairs[1])
    Image.fromarray(np.asarray(Image.open(pairs[1] / "p3.png")) + np.uint8(60)).save(pairs[0] / "p3.png")
    told: list[int] = []
    after = measured(pairs[0], tmp_path / "out", pairs[1], told)
    assert after["p3"] < before["p3"] - 10 and {**after, "p3": 0} == {**before, "p3": 0}


def test_a_metric_more_is_measured_and_the_others_stay(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    for names in (("psnr",), ("psnr", "ssim")):
        done = Evaluation(Choices(restored=(pairs[0],), truth=pairs[1], metrics=names)).run(tmp_path / "out")
    assert [metric.name for metric in done.results.metrics] == ["psnr[rgb]", "ssim[rgb]"]


def test_another_evaluation_in_the_same_folder_is_refused_by_what_differs(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    with Journal(tmp_path / "out", {"suite": "val-faces", "seed": 7}):
        pass
    with pytest.raises(UsageError, match="its seed is 7, this one's is 8"):
        Journal(tmp_path / "out", {"suite": "val-faces", "seed": 8})


def test_two_evaluations_at_once_and_files_that_are_no_journal_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "out", {}), pytest.raises(OutputError, match="another evaluation"):
        Journal(tmp_path / "out", {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).write_text("these are my notes, and no database at all " * 100)
    with pytest.raises(OutputError, match="no journal"):
        Journal(tmp_path / "other", {})
    (tmp_path / "a file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "a file", {})


def test_a_batch_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    class Poison(dict[str, np.ndarray]):
        def items(self) -> Iterator[tuple[str, np.ndarray]]:  # type: ignore[override]
            yield from [("psnr", np.array([1.0, 2.0]))] if not self.poisoned else []
            if self.poisoned:
                raise sqlite3.OperationalError("disk I/O error")

        poisoned = False

    with Journal(tmp_path / "out", {}) as journal:
        journal.add("c", "m", {"a": "1", "b": "1"}, {"psnr": np.array([1.0, 2.0])}, {"dlib": np.ones((2, 3), np.float32)})
        with pytest.raises(OutputError):
            bad = Poison()
            bad.poisoned = True
            journal.add("c", "m", {"a": "2", "c": "1"}, bad, {})
    with Journal(tmp_path / "out", {}) as journal:
        assert [(name, stamp) for name, stamp, _ in journal.numbers("c", "m")] == [("a", "1"), ("b", "1")]
        assert journal.missing({"a": "1", "b": "2", "c": "1"}, "c", "m", ["psnr"], ["dlib"]) == ["b", "c"]
        assert journal.missing({"a": "1"}, "c", "m", ["psnr", "ssim"], []) == ["a"]
        assert journal.missing({"a": "1"}, "c", "m", ["psnr"], ["lbp"]) == ["a"]
        assert [vector.tolist() for _, vector in journal.vectors("dlib", "c", "m")] == [[1, 1, 1]] * 2


def test_what_the_truth_looks_like_is_kept_once_for_all_conditions_that_share_it(faces_folder: Path, tmp_path: Path) -> None:
    choices = Choices(suite="val-faces", data=faces_folder, damage=("light", "x4", "old-photo"), rivals=("none",), metrics=("rank1",))
    Evaluation(choices).run(tmp_path / "out")
    with sqlite3.connect(tmp_path / "out" / FILE) as base:
        told = base.execute("SELECT condition, count(*) FROM vectors WHERE method = ? GROUP BY condition", (TRUTH,)).fetchall()
    assert sorted(told) == [("", 8), ("old-photo", 8)]


# What is asked for ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({}, "folders or a suite"),
        ({"restored": (Path("a"),), "suite": "val-faces"}, "folders or a suite"),
        ({"restored": (Path("a"),), "models": ("m",)}, "--model does not fit --restored"),
        ({"suite": "val-faces", "truth": Path("a")}, "--truth does not fit --suite"),
        ({"suite": "val-faces", "batch": 0}, "--batch"),
        ({"suite": "val-faces", "convention": "gfpgn"}, "gfpgn"),
        ({"suite": "val-faces", "beside": "lfw"}, "lfw"),
        ({"suite": "val-faces", "metrics": ("nique",)}, "nique"),
    ],
)
def test_choices_that_contradict_each_other_are_refused_before_anything_is_opened(choices: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Choices(**choices)  # type: ignore[arg-type]


def evaluation(**choices: object) -> Evaluation:
    return Evaluation(Choices(**choices))  # type: ignore[arg-type]


def test_a_metric_that_cannot_be_had_is_refused_by_name(pairs: tuple[Path, Path], faces_folder: Path) -> None:
    restored, truth = pairs
    with pytest.raises(UsageError, match=r"psnr\[rgb\] needs true pictures"):
        evaluation(restored=(restored,), metrics=("psnr",))
    with pytest.raises(InputError, match=r"identity\[dlib\] needs aligned face crops: p0 is 40 x 32"):
        evaluation(restored=(restored,), truth=truth, metrics=("identity",))
    with pytest.raises(InputError, match=r"too few pictures for fid\[dlib\]: it needs 129, 8 are there"):
        evaluation(suite="val-faces", data=faces_folder, metrics=("fid[dlib]",))
    with pytest.raises(UsageError, match="there is no column 'colour'"):
        evaluation(suite="val-faces", data=faces_folder, metrics=("psnr",), groups=("colour",))
    with pytest.raises(UsageError, match="deep-image-prior is too slow"):
        evaluation(suite="val-faces", data=faces_folder, rivals=("deep-image-prior",))
    with pytest.raises(UsageError, match="--sweep needs --model"):
        evaluation(suite="val-faces", data=faces_folder, sweep="w=0:1:0.5")


def test_pictures_that_are_no_faces_get_what_any_two_pictures_have(pairs: tuple[Path, Path]) -> None:
    names = [metric.name for metric in evaluation(restored=(pairs[0],), truth=pairs[1]).panel.metrics]
    assert names[:2] == ["psnr[rgb]", "ssim[rgb]"] and not any("dlib" in name or "onet" in name for name in names)


def test_sizes_may_differ_from_picture_to_picture(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    restored, truth = pairs
    for folder in (restored, truth):
        for name in ("p1", "p4"):
            Image.open(folder / f"{name}.png").resize((48, 48)).save(folder / f"{name}.png")
    done = evaluation(restored=(restored,), truth=truth, metrics=("psnr",)).run(tmp_path / "out")
    assert len(done.results.cases) == 6 and not done.results.failures


def all_finite(values: Sequence[float]) -> bool:
    return bool(np.isfinite(values).all())


def test_equal_pictures_have_an_infinite_psnr_that_is_told_as_exact(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    done = evaluation(restored=(pairs[1], pairs[0]), truth=pairs[1], metrics=("psnr", "ssim")).run(tmp_path / "out")
    exact, off = done.results.tables[0].numbers.values()
    assert exact["psnr[rgb]"].mean == np.inf and all_finite([off["psnr[rgb]"].mean])
    assert "**exact**" in done.markdown and done.results.tables[0].alike["psnr[rgb]"] == {"true"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert {line["psnr[rgb]"] for line in lines if line["method"] == "true"} == {"inf"}
