"""Judges: in the order that the eye has, of whom they know, and by the name that says who they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake_faces import face

import facewright
from facewright.degrade import preset, steps
from facewright.errors import ModelError, UsageError
from facewright.evaluate.catalogue import METRICS, OFFLINE, WHERE_THERE, find
from facewright.evaluate.distances import SAMPLE, gaussian_distance, kernel_distance, patterns_apart, recognised
from facewright.evaluate.judges import Panel, open_panel, panel
from facewright.evaluate.judges.panel import batched
from facewright.evaluate.ordering import KINDS, ordering, swirled
from facewright.evaluate.separation import embedded, separation
from facewright.evaluate.source import Image
from facewright.faces.identity import Identity
from facewright.metrics import lbp

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def offline() -> Panel:
    return open_panel(find([name for name in OFFLINE if name != "fid[dlib]"]))


@pytest.fixture(scope="module")
def clean() -> list[Image]:
    return [steps.from_eight_bits(face(number, 128)) for number in range(6)]


def looked(judges: Panel, pictures: list[Image]) -> list[object]:
    return judges.look(batched(pictures, CPU))


def test_equal_pictures_are_equal_in_every_eye(offline: Panel, clean: list[Image]) -> None:
    seen = looked(offline, clean)
    numbers = offline.compare(seen, seen)
    assert set(numbers) == {metric.name for metric in offline.single}
    for name, value in numbers.items():
        expected = {"psnr[rgb]": np.inf, "ssim[y]": 1, "sharpness[ratio]": 1}.get(name, 0)
        assert value == pytest.approx([expected] * len(clean), abs=1e-6), name


def test_more_blur_is_worse_in_every_eye(offline: Panel, clean: list[Image]) -> None:
    truth, found = looked(offline, clean), []
    for sigma in (1, 3, 6):
        numbers = offline.compare(looked(offline, [KINDS["blur"][0](each, sigma, "") for each in clean]), truth)
        found.append({metric.name: metric.worse_first(float(numbers[metric.name].mean())) for metric in offline.single})
    for name in found[0]:
        assert found[0][name] > found[1][name] > found[2][name], name


def test_a_batch_is_judged_as_its_pictures_one_by_one(offline: Panel, clean: list[Image]) -> None:
    damaged = [KINDS["noise"][0](each, 20, str(number)) for number, each in enumerate(clean)]
    together = offline.compare(looked(offline, damaged), looked(offline, clean))
    alone = [offline.compare(looked(offline, [one]), looked(offline, [other])) for one, other in zip(damaged, clean, strict=True)]
    for name, values in together.items():
        assert values == pytest.approx([float(each[name][0]) for each in alone], rel=1e-4), name


def test_recognition_is_that_of_the_metric(clean: list[Image]) -> None:
    described = np.stack([lbp.describe(steps.eight_bits(each)) for each in clean])
    blurred = np.stack([lbp.describe(steps.eight_bits(KINDS["blur"][0](each, 8, ""))) for each in clean])
    counts, probes = (np.rint(each * 256).astype(np.uint16) for each in (described, blurred))
    names = [str(number) for number in range(len(clean))]
    found = recognised(patterns_apart, lambda: zip(names, probes, strict=True), lambda: zip(names, counts, strict=True))
    assert np.mean(list(found.values())) == pytest.approx(lbp.rank_one(blurred, described))
    assert all(recognised(patterns_apart, lambda: zip(names, counts, strict=True), lambda: zip(names, counts, strict=True)).values())


def test_in_our_own_embedding_a_stranger_is_further_than_the_same_face_damaged(clean: list[Image]) -> None:
    judges = open_panel(find(["identity[mini]", "rank1[mini]"]))
    truth = looked(judges, clean)
    for level in ("light", "medium", "heavy"):
        damaged = looked(judges, [preset(level).scaled(128)(each, np.random.default_rng(n))[0] for n, each in enumerate(clean)])
        own = judges.compare(damaged, truth)["identity[mini]"]
        strangers = [judges.compare(damaged, [seen.roll(turn, 0) for seen in truth])["identity[mini]"] for turn in range(1, len(clean))]  # type: ignore[attr-defined]
        assert own.mean() < np.mean(strangers)
    names = [str(number) for number in range(len(clean))]
    vectors = judges.vectors(truth)["mini"]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(clean)), abs=1e-5)
    (rank_one,) = judges.whole
    whole = judges.of_sets(rank_one).each
    assert whole is not None
    swapped = [1, 0, *range(2, len(clean))]
    found = whole(lambda: zip(names, vectors[swapped], strict=True), lambda: zip(names, vectors, strict=True))
    assert list(found.values()) == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_what_judges_only_is_named_by_nothing_that_trains() -> None:
    room = Path(facewright.__file__).parent
    for path in [*room.glob("train/**/*.py"), *room.glob("train/presets/*.yaml"), *room.glob("losses/*.py")]:
        assert "identity-mini" not in path.read_text(encoding="utf-8"), path
    assert not METRICS["identity[mini]"].flatters and not METRICS["rank1[mini]"].flatters


@pytest.mark.parametrize("distance", [kernel_distance, gaussian_distance])
def test_distances_of_sets_grow_with_the_shift_and_know_their_uncertainty(distance: object) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(200, 8)).astype(np.float32)
    names = [f"{number:04}" for number in range(200)]
    found = []
    for shift in (0.0, 0.3, 0.6, 1.2):
        moved = truth + shift + random.normal(0, 0.05, truth.shape).astype(np.float32)
        value, low, high = distance(lambda moved=moved: zip(names, moved, strict=True), lambda: zip(names, truth, strict=True))  # type: ignore[operator]
        assert low <= value <= high
        found.append(value)
    assert found == sorted(found) and found[0] < 0.05 * found[1]
    assert found[3] - found[2] > found[1]


def test_a_set_is_no_distance_from_itself() -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    reader = lambda: ((str(number), vector) for number, vector in enumerate(vectors))  # noqa: E731
    assert kernel_distance(reader, reader)[0] == pytest.approx(0, abs=1e-9)
    assert gaussian_distance(reader, reader)[0] == 0


def test_of_a_large_set_a_sample_is_held_and_no_more() -> None:
    held: list[int] = []

    def reader() -> object:
        for number in range(3 * SAMPLE):
            held.append(number)
            yield str(number), np.full(2, number % 7, np.float32)

    value, _, _ = kernel_distance(reader, reader)  # type: ignore[arg-type]
    assert value == pytest.approx(0, abs=1e-9) and len(held) == 4 * 3 * SAMPLE


@pytest.mark.slow
def test_distances_in_dlibs_embedding_rise_with_every_damage(clean: list[Image]) -> None:
    """The proof on real faces is benchmarks/judge.py ordering; this one is on drawn ones, at the middle of each range."""
    identity = Identity.load()
    pictures = np.stack([face(number, 128) for number in range(24)])
    names = [f"{number:02}" for number in range(24)]

    def vectors(images: list[Image]) -> np.ndarray:
        return embedded(np.stack([steps.eight_bits(image) for image in images]), identity.embed)

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return kernel_distance(lambda: zip(names, x, strict=True), lambda: zip(names, y, strict=True))[0]

    told = ordering(pictures, names, vectors, {"kid": distance})
    assert [order.kind for order in told] == list(KINDS)
    assert all(order.rises for order in told if order.kind != "JPEG"), told
    assert not told[0].__class__("blur", "kid", (1, 2), (0.2, 0.1)).rises


def test_a_swirl_turns_the_middle_and_leaves_the_rim() -> None:
    picture = steps.from_eight_bits(face(3, 128))
    turned = swirled(picture, 1.5)
    assert np.abs(turned[0] - picture[0]).max() < 0.02
    assert np.abs(turned[40:88, 40:88] - picture[40:88, 40:88]).mean() > 0.05
    assert swirled(picture, 0) == pytest.approx(picture, abs=0.01)


def test_people_are_told_apart_as_far_as_their_distances_do() -> None:
    random = np.random.default_rng(3)
    middles = random.normal(size=(20, 16)) * 3
    told = separation(np.repeat(middles, 2, axis=0) + random.normal(0, 0.05, (40, 16)), [str(number // 2) for number in range(40)])
    assert len(told.same) == 20 and len(told.different) == 40 * 39 // 2 - 20
    assert told.auc == 1 and told.equal_error[0] == 0 and told.overlap == 0
    assert told.roc((0.01,))[0] == (0.01, 1.0)
    noise = separation(random.normal(size=(200, 16)), [str(number // 2) for number in range(200)])
    assert noise.auc == pytest.approx(0.5, abs=0.08) and noise.equal_error[0] == pytest.approx(0.5, abs=0.08)
    assert noise.overlap > 0.5 and noise.refused(0) == 1 and noise.taken(100) == 1


def test_names_say_who_judges_and_under_whose_rules() -> None:
    assert METRICS["kid[dlib]"].judge == METRICS["fid[dlib]"].judge == "dlib"
    assert "not Inception's" in METRICS["kid[dlib]"].words and "not Inception's" in METRICS["fid[dlib]"].words
    (psnr,) = find(["psnr"], "codeformer")
    assert psnr.label == "psnr[rgb, codeformer]"
    assert [metric.name for metric in find(["lpips"], "pyiqa")] == ["lpips[alex]"]
    assert [metric.name for metric in find(["lpips"], "gfpgan")] == ["lpips[vgg]"]
    (ids,) = find(["identity[arcface]"], "codeformer")
    assert ids.better == "higher" and "cosine" in ids.label


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="identity"):
        find(["identiti"])
    with pytest.raises(UsageError, match=r"psnr\[y\]"):
        find(["psnr[yuv]"])


def test_a_judge_without_its_file_is_refused_by_name_or_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModelError("the model lpips-vgg is not on this machine", "it is not in the cache", "facewright models get lpips-vgg")

    monkeypatch.setitem(panel.JUDGES, "lpips-vgg", missing)
    with pytest.raises(ModelError, match=r"lpips\[vgg\]") as refused:
        open_panel(find(["lpips[vgg]", "psnr"]))
    assert refused.value.what_to_do == "facewright models get lpips-vgg"
    spared = open_panel(find(["lpips[vgg]", "psnr"]), optional=WHERE_THERE)
    assert [metric.name for metric in spared.metrics] == ["psnr[rgb]"] and "models get" in spared.left_out["lpips[vgg]"]


def test_every_metric_has_a_judge() -> None:
    assert {metric.judge for metric in METRICS.values()} <= set(panel.JUDGES)
    assert {*OFFLINE, *WHERE_THERE} <= set(METRICS)
