"""The field's judges give the numbers of `facewright.metrics` under the convention asked for, and refuse without their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake_faces import face
from torch import Tensor

from facewright import metrics
from facewright.errors import ModelError
from facewright.evaluate.catalogue import find
from facewright.evaluate.judges import open_panel
from facewright.evaluate.judges.fetched import NIQE_FILE, OPENERS
from facewright.evaluate.judges.field import Arcface, Inception, Lpips, Niqe
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.lpips import LPIPS

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def both() -> tuple[Tensor, Tensor]:
    """(restored, truth), 3 x 3 x 64 x 64; the last pair is the same picture."""
    truth = torch.from_numpy(np.stack([face(number, 64) for number in range(3)])).permute(0, 3, 1, 2) / 255
    restored = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    restored[2] = truth[2]
    return restored, truth


def test_lpips_is_that_of_the_metrics(both: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    network = LPIPS("squeeze").eval()
    judge = Lpips("lpips[squeeze]", network, "restoreformer")
    found = judge.compare(judge.look(both[0]), judge.look(both[1]))["lpips[squeeze]"]
    assert found == pytest.approx(metrics.lpips(*both, network, convention="restoreformer").numpy())
    assert judge.compare(judge.look(both[0]), None) == {}


def test_the_angle_of_arcface_leaves_out_equal_pictures_and_the_cosine_does_not(both: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    network = ResNetArcFace().eval()
    with torch.no_grad():
        embeddings = [network(metrics.arcface_input(each, convention="gfpgan")) for each in both]
    angles = Arcface(network, "gfpgan")
    found = angles.compare(angles.look(both[0]), angles.look(both[1]))["identity[arcface]"]
    expected = metrics.identity_angle(embeddings[0], embeddings[1], convention="gfpgan").numpy()
    assert np.isnan(found[2]) and found[:2] == pytest.approx(expected[:2], rel=1e-4)
    cosines = Arcface(network, "codeformer")
    assert cosines.compare(cosines.look(both[0]), cosines.look(both[1]))["identity[arcface]"][2] == pytest.approx(1)


def looked(judge: Inception, pictures: Tensor) -> list[tuple[str, np.ndarray]]:
    return [(str(number), vector) for number, vector in enumerate(judge.vectors(judge.look(pictures))["inception"])]


def test_fid_compares_with_the_truth_or_with_given_statistics_as_the_convention_says() -> None:
    chance = torch.Generator().manual_seed(0)
    truth, restored = (torch.rand(40, 3, 16, 16, generator=chance) * part for part in (1.0, 0.8))

    def network(shown: Tensor) -> Tensor:
        assert shown.shape[1:] == (3, 299, 299)
        return shown.unfold(2, 150, 149).mean(dim=(3, 4))[:, :, :2].flatten(1)

    against_truth = Inception(network, "difface", None)
    x, y = looked(against_truth, restored), looked(against_truth, truth)
    value = against_truth.whole["fid"].value
    assert value is not None
    gathered = metrics.Fid(fewest=2)
    gathered.update(*(torch.from_numpy(np.stack([vector for _, vector in each])) for each in (x, y)))
    assert value(lambda: x, lambda: y)[0] == pytest.approx(gathered.compute(), rel=1e-6)

    ffhq = metrics.Statistics(torch.zeros(6, dtype=torch.float64), torch.eye(6, dtype=torch.float64))
    told = Inception(network, "gfpgan", ffhq).whole["fid"].value
    assert told is not None
    expected = metrics.frechet_distance(gathered.statistics(gathered.restored), ffhq)
    assert told(lambda: x, lambda: [])[0] == pytest.approx(expected, rel=1e-6)  # the truth is not asked
    assert find(["fid"], "difface")[0].truth and not find(["fid"], "gfpgan")[0].truth

    kernel = against_truth.whole["kid"].value
    assert kernel is not None
    features = [torch.from_numpy(np.stack([vector for _, vector in each])).double() for each in (x, y)]
    assert kernel(lambda: x, lambda: y)[0] == pytest.approx(float(metrics.mmd(*features)), rel=1e-6)


def test_niqe_says_which_and_has_no_number_for_a_flat_picture(both: tuple[Tensor, Tensor]) -> None:
    model = metrics.NiqeModel.bundled()
    judge = Niqe(model, "basicsr")
    pictures = torch.from_numpy(np.stack([face(1, 256), np.full((256, 256, 3), 128, np.uint8)])).permute(0, 3, 1, 2) / 255
    found = judge.compare(judge.look(pictures), None)
    assert list(found) == ["niqe[faces]"] and np.isnan(found["niqe[faces]"][1])
    assert found["niqe[faces]"][0] == pytest.approx(float(metrics.niqe(pictures[:1], model)[0]))
    assert np.isnan(judge.look(both[0])).all()  # 64 pixels hold no block


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("lpips[vgg]", "facewright models get"),
        ("lpips[alex]", "facewright models get"),
        ("identity[arcface]", "facewright models get arcface-resnet18"),
        ("niqe[published]", NIQE_FILE),
        ("fid", "inception_FFHQ_512-f7b384ab.pth"),
    ],
)
def test_without_its_file_each_is_refused_by_name_with_how_to_get_it(
    metric: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as refused:
        open_panel(find([metric], "gfpgan"), "gfpgan", side=512)
    assert str(refused.value).startswith(f"cannot compute {metric}: its judge needs a file")
    assert words in f"{refused.value} {refused.value.what_to_do}"


def test_statistics_of_ffhq_are_those_of_the_pictures_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    for side, part in ((256, "FFHQ_256"), (512, "FFHQ_512"), (None, "FFHQ_512"), (300, "FFHQ_512")):
        with pytest.raises(ModelError, match=part):
            OPENERS["inception"]("basicsr", CPU, side)
    with pytest.raises(ModelError, match="inception-fid"):
        OPENERS["inception"]("difface", CPU, 512)
