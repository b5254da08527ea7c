"""Damage that depends on name and seed alone, rivals that see what a person would, suites that say what they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake_faces import face
from PIL import Image as Picture

from facewright.degrade import preset, steps
from facewright.errors import InputError, UsageError
from facewright.evaluate import damages, rivals
from facewright.evaluate.damages import DEFAULT, Damaged, generator_of, named
from facewright.evaluate.judges.panel import batched
from facewright.evaluate.methods import open_models, open_rivals, parse_sweep
from facewright.evaluate.prior import deep_image_prior
from facewright.evaluate.published import published
from facewright.evaluate.source import GIVEN
from facewright.evaluate.suites import SUITES, open_suite
from facewright.metrics import psnr
from facewright.restore import Settings


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return steps.from_eight_bits(face(1, 128))


@pytest.mark.parametrize("name", ["none", *DEFAULT, "gfpgan-v1", "old-photo+medium"])
def test_damage_depends_on_name_and_seed_alone(name: str, clean: np.ndarray) -> None:
    damage = named(name, 128)
    once, again = (damage(clean, generator_of("a.png", 7)) for _ in range(2))
    assert np.array_equal(once.picture, again.picture) and np.array_equal(once.truth, again.truth)
    assert once.picture.shape == once.truth.shape == clean.shape
    if name not in ("none", "x4", "x8"):
        assert not np.array_equal(once.picture, damage(clean, generator_of("b.png", 7)).picture)
        assert not np.array_equal(once.picture, damage(clean, generator_of("a.png", 8)).picture)


@pytest.mark.parametrize("name", ["light", "medium", "heavy", "gfpgan-v1"])
def test_a_preset_is_that_of_degrade_to_the_pixel(name: str, clean: np.ndarray) -> None:
    damaged, truth = preset(name).scaled(128)(clean, generator_of("a.png", 7))
    ours = named(name, 128)(clean, generator_of("a.png", 7))
    assert np.array_equal(ours.picture, damaged) and np.array_equal(ours.truth, truth)


def test_an_old_print_is_that_of_degrade_to_the_pixel(clean: np.ndarray) -> None:
    for name in "abcdef":
        damaged, truth = preset("old-photo").scaled(128)(clean, generator_of(name, 7))
        ours = named("old-photo", 128)(clean, generator_of(name, 7))
        assert np.array_equal(ours.picture, damaged) and np.array_equal(ours.truth, truth)


def test_the_small_picture_is_what_the_damaged_one_came_from(clean: np.ndarray) -> None:
    for name in ("light", "heavy", "x4", "x8"):
        found = named(name, 128)(clean, generator_of("a", 7))
        assert np.abs(steps.quantise(steps.resize(found.small, 128, 128)) - found.picture).max() < 1e-6, name
    assert named("x8", 128)(clean, generator_of("a", 7)).small.shape == (16, 16, 3)


def test_an_unknown_damage_is_answered_with_the_nearest_and_one_that_does_not_fit_by_name() -> None:
    with pytest.raises(UsageError, match="there is no damage called 'hevy'") as refused:
        named("hevy", 256)
    assert "heavy" in refused.value.what_to_do
    with pytest.raises(UsageError, match="cannot be evaluated"):
        named("realesrgan-x4", 256)
    with pytest.raises(UsageError, match="x64"):
        named("x64", 256)


def test_rivals_do_better_than_nothing_on_what_they_are_for(clean: np.ndarray) -> None:
    def db(picture: np.ndarray) -> float:
        return float(psnr(batched([picture], torch.device("cpu")), batched([clean], torch.device("cpu"))))

    small = named("x4", 128)(clean, generator_of("a", 7))
    assert db(rivals.bicubic(small)) > db(small.picture)
    noise = steps.quantise(steps.add_noise(clean, generator_of("a", 7).standard_normal(clean.shape, np.float32), 12))
    noisy = Damaged(noise, noise, clean)
    assert db(rivals.denoise_and_sharpen(noisy)) > db(noise)
    assert rivals.lanczos_and_unsharp(small).std() > rivals.bicubic(small).std()


def test_rivals_are_chosen_by_name_and_the_damaged_picture_is_always_there() -> None:
    assert [method.name for method in open_rivals(["denoise+sharpen", "bicubic"])] == ["damaged", "bicubic", "denoise+sharpen"]
    assert [method.name for method in open_rivals(["none"])] == ["damaged"]
    with pytest.raises(UsageError, match="bicubik"):
        open_rivals(["bicubik"])


@pytest.mark.slow
def test_deep_image_prior_takes_away_noise_and_repeats_itself() -> None:
    clean = steps.from_eight_bits(face(2, 64))
    noise = steps.quantise(steps.add_noise(clean, generator_of("a", 7).standard_normal(clean.shape, np.float32), 25))
    restored = deep_image_prior(noise, 64, steps=120)
    assert np.square(restored - clean).mean() < 0.6 * np.square(noise - clean).mean()
    assert np.array_equal(deep_image_prior(noise, 64, steps=3), deep_image_prior(noise, 64, steps=3))


def test_deep_image_prior_enlarges_a_small_picture() -> None:
    restored = deep_image_prior(steps.from_eight_bits(face(2, 16)), 64, steps=2)
    assert restored.shape == (64, 64, 3)
    assert restored.dtype == np.float32 and 0 <= restored.min() <= restored.max() <= 1


def test_a_picture_is_damaged_alike_among_few_and_many(faces_folder: Path) -> None:
    suites = [open_suite("val-faces", open_rivals(["none"]), data=faces_folder, conditions=["medium"], limit=limit) for limit in (None, 2)]
    name = suites[1].cases[-1].name
    shown = [suite.open([case for case in suite.cases if case.name == name]).shown("medium", "damaged")[0] for suite in suites]
    assert len(suites[0].cases) == 8 and len(suites[1].cases) == 2 and np.array_equal(*shown)


def test_an_old_print_has_its_own_truth_and_others_share_the_clean_one(faces_folder: Path) -> None:
    suite = open_suite("val-faces", open_rivals(["none"]), data=faces_folder, conditions=["light", "old-photo"])
    opened = suite.open(suite.cases)
    light, old = opened.truth("light"), opened.truth("old-photo")
    assert light is not None and old is not None and suite.own_truth == {"old-photo"}
    assert all(np.array_equal(picture, each) for picture, each in zip(opened._clean, light, strict=True))
    assert any(not np.array_equal(one, other) for one, other in zip(light, old, strict=True))


def test_a_model_is_run_as_a_user_gets_it_and_a_sweep_shares_it(faces_folder: Path, tiny: str) -> None:
    settings = Settings(aligned=True, device="cpu", precision="fp32")
    plain = open_models([tiny], settings)
    swept = open_models([tiny], settings, parse_sweep("w=0:1:0.5"))
    assert [method.name for method in swept] == ["tiny (w 0)", "tiny (w 0.5)", "tiny (w 1)", "tiny (w auto)"]
    assert len(open_models([tiny], settings, parse_sweep("strength=0,1"))) == 2
    assert swept[0].restorer.network is swept[2].restorer.network  # type: ignore[union-attr]
    assert len({method.stamp for method in [*plain, *swept]}) == 4 and swept[3].stamp == plain[0].stamp
    suite = open_suite("val-faces", [*plain, *swept], data=faces_folder, conditions=["medium"], limit=2)
    opened = suite.open(suite.cases)
    pictures = {method.name: opened.shown("medium", method.name)[0] for method in suite.by_name.values()}
    damaged = opened._damaged("medium")[0].picture
    assert np.array_equal(pictures["tiny (w 1)"], damaged) and np.array_equal(pictures["tiny (w 0)"], pictures["tiny"])
    assert not np.array_equal(pictures["tiny"], damaged)
    half = np.abs(pictures["tiny (w 0.5)"] - (pictures["tiny"] + damaged) / 2)
    assert np.median(half) < 0.004 and suite.models == tuple(method.name for method in [*plain, *swept])


@pytest.mark.parametrize(
    ("text", "values"),
    [("w=0:1:0.25", (0, 0.25, 0.5, 0.75, 1)), ("strength=0.2,0.9", (0.2, 0.9)), ("fidelity=0:0.3:0.1", (0, 0.1, 0.2, 0.3))],
)
def test_a_sweep_is_read_with_both_ends(text: str, values: tuple[float, ...]) -> None:
    assert parse_sweep(text).values == pytest.approx(values)


@pytest.mark.parametrize("text", ["w=0:2:0.5", "w=0:1", "w=a:b:c", "w=1:0:0.1", "w=0:1:0", "w=", "w", "hue=0:1:0.1"])
def test_a_sweep_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_sweep(text)


@pytest.mark.parametrize("name", [name for name, suite in SUITES.items() if not suite.offline])
def test_a_published_set_says_how_its_pictures_have_to_lie(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEWRIGHT_DATA", raising=False)
    for data in (None, tmp_path):
        with pytest.raises(InputError, match=name) as refused:
            open_suite(name, [], data=data)
        assert f"DIR/{name}/damaged/*.png" in refused.value.what_to_do and "--data" in refused.value.what_to_do
        assert (f"DIR/{name}/truth/*.png" in refused.value.what_to_do) == SUITES[name].truth
    with pytest.raises(UsageError, match="--damage"):
        open_suite(name, [], data=tmp_path, conditions=["medium"])


def test_a_published_set_is_read_as_it_lies_and_its_odd_pictures_are_named(tmp_path: Path) -> None:
    for part, numbers in (("damaged", (0, 1, 2)), ("truth", (0, 1, 2))):
        folder = tmp_path / "celeba-test" / part
        folder.mkdir(parents=True)
        for number in numbers:
            Picture.fromarray(face(number + (part == "truth"), 64)).save(folder / f"{number:08}.png")
    suite = open_suite("celeba-test", open_rivals(["none"]), data=tmp_path, size=64)
    opened = suite.open(suite.cases)
    truth = opened.truth(GIVEN)
    assert suite.conditions == (GIVEN,) and truth is not None and len(truth) == 3
    assert np.array_equal(steps.eight_bits(truth[0]), face(1, 64)) and np.array_equal(
        steps.eight_bits(opened.shown(GIVEN, "damaged")[0]), face(0, 64)
    )
    (tmp_path / "celeba-test" / "truth" / "00000002.png").rename(tmp_path / "celeba-test" / "truth" / "other.png")
    with pytest.raises(InputError, match=r"00000002, other"):
        open_suite("celeba-test", [], data=tmp_path)


def test_our_own_faces_say_what_is_missing(tmp_path: Path, faces_folder: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.csv"):
        open_suite("val-faces", [], data=tmp_path)
    with pytest.raises(InputError, match="split 'fair'"):
        open_suite("fair-faces", [], data=faces_folder)
    with pytest.raises(UsageError, match="val-faces"):
        open_suite("val-face", [])


def test_published_numbers_carry_their_source_and_name_only_metrics_there_are() -> None:
    from facewright.evaluate.catalogue import METRICS

    tables = [table for suite in SUITES for table in published(suite)]
    assert len(tables) >= 8 and not published("val-faces")
    for table in tables:
        assert set(table.metrics) <= {*METRICS, "fid"}
        assert bool(table.where) == bool(table.verified)
        for method, metric in table.verified:
            assert metric in table.rows[method]
    first = published("celeba-test")[0]
    assert first.rows["GFP-GAN"]["identity[arcface]"] == 34.60 and ("GFP-GAN", "identity[arcface]") not in first.verified
    assert ("ground truth", "fid") in first.verified and damages.NONE not in DEFAULT
