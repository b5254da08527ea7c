"""RetinaFace: both networks, priors and decoding, suppression, the published detection, and the training loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from facewright.faces.boxes import suppress
from facewright.faces.retinaface import find_published
from facewright.losses.multibox import match, multibox_loss
from facewright.nets.retinaface import RetinaFace, decode_boxes, decode_landmarks, priors
from parity.following import check_keys, load
from parity.reading import Fixture

BACKBONES = {"resnet50": "resnet50", "mobile0.25": "mobilenet0.25"}


def handles(fixture: Fixture) -> bool:
    return fixture.is_key_table or step(fixture) in STEPS


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        STEPS[step(fixture)](fixture)


def step(fixture: Fixture) -> str:
    return str(fixture.call.get("method") or fixture.case)


def build(fixture: Fixture) -> RetinaFace:
    return RetinaFace(BACKBONES[fixture.arguments["network_name"]])  # type: ignore[arg-type]


def check_forward(fixture: Fixture) -> None:
    """Published, the phase decides over logits or probabilities and the batch norms follow the mode: here both follow the mode."""
    net = load(fixture, build(fixture))
    answer = net.predict if fixture.arguments.get("phase") == "train" else net
    with torch.inference_mode():
        results = answer(fixture.inputs()["image"])
    for name, result in zip(("loc", "conf", "landmarks"), results, strict=True):
        fixture.check(name, result)


def check_detect(fixture: Fixture) -> None:
    call = fixture.call
    size = None if call["use_origin_size"] else (call["target_size"], call["max_size"])
    (picture,) = pictures(fixture)
    found, factor = find_published(
        load(fixture, build(fixture)), picture[..., ::-1], call["conf_threshold"], call["nms_threshold"], resize=size
    )
    fixture.check("detections", found)
    fixture.check("resize", factor)


def check_detect_batch(fixture: Fixture) -> None:
    """Published, no face is an array without a second axis."""
    net = load(fixture, build(fixture))
    for i, picture in enumerate(pictures(fixture)):
        found, _ = find_published(net, picture, fixture.call["conf_threshold"], fixture.call["nms_threshold"])
        fixture.check(f"boxes_{i}", found[:, :5] if len(found) else np.zeros(0))
        fixture.check(f"landmarks_{i}", found[:, 5:] if len(found) else np.zeros(0))


def pictures(fixture: Fixture) -> np.ndarray:
    """N x H x W x 3, channels as stored."""
    return np.rint(fixture.input_arrays()["image"].transpose(0, 2, 3, 1)).astype(np.uint8)


def check_priors(fixture: Fixture) -> None:
    given, anchors = fixture.inputs(), priors(*fixture.call["image_size"])
    fixture.check("priors", anchors)
    fixture.check("boxes", decode_boxes(given["loc"], anchors))
    fixture.check("landmarks", decode_landmarks(given["pre"], anchors).flatten(1))


def check_nms(fixture: Fixture) -> None:
    rows = fixture.input_arrays()["dets"]
    fixture.check("keep", suppress(rows[:, :4], rows[:, 4], fixture.call["nms_threshold"]))


def check_match(fixture: Fixture) -> None:
    given = fixture.inputs()
    anchors = priors(*fixture.call["image_size"])
    matched = match(given["truths"], given["labels"], given["landms"], anchors, fixture.call["threshold"])
    for name, result in zip(("loc_t", "conf_t", "landm_t"), matched, strict=True):
        fixture.check(name, result)


def check_loss(fixture: Fixture) -> None:
    given = fixture.inputs()
    predictions = tuple(given[name].requires_grad_(True) for name in ("loc", "conf", "landm"))
    losses = multibox_loss(predictions, priors(*fixture.call["image_size"]), [given["target0"], given["target1"]])  # type: ignore[arg-type]
    results = {"loss_l": losses["boxes"], "loss_c": losses["classes"], "loss_landm": losses["landmarks"]}
    results["scalar"] = 2 * losses["boxes"] + losses["classes"] + losses["landmarks"]
    for name, result in results.items():
        fixture.check(name, result)
    for name, derivative in zip(("loc", "conf", "landm"), torch.autograd.grad(results["scalar"], predictions), strict=True):
        fixture.check_gradient(name, derivative)


STEPS: dict[str, Any] = {
    "forward": check_forward,
    "detect_faces": check_detect,
    "batched_detect_faces": check_detect_batch,
    "priors_decode": check_priors,
    "nms": check_nms,
    "match": check_match,
    "multibox_loss": check_loss,
}
