"""facenet-pytorch's MTCNN with the published weights, and the array parts of ipazc/mtcnn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from facewright import weights
from facewright.faces.boxes import clamp, generate_boxes, place, pyramid, regress, square, suppress
from facewright.faces.cascade import Candidates, Cascade
from facewright.faces.summed import Summed
from facewright.nets.mtcnn import ONet, PNet, RNet
from parity.following import check_keys
from parity.reading import Fixture

NETS: dict[str, type[PNet] | type[RNet] | type[ONet]] = {"pnet": PNet, "rnet": RNet, "onet": ONet}


def handles(fixture: Fixture) -> bool:
    return fixture.is_key_table or "net" in fixture.call or fixture.built in BUILT or fixture.case in FUNCTIONS


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: NETS[fixture.arguments["net"]]())
    elif "net" in fixture.call:
        check_net(fixture, fixture.call["net"])
    else:
        FUNCTIONS.get(fixture.case, BUILT.get(fixture.built or ""))(fixture)  # type: ignore[misc]


def published(name: str) -> dict[str, torch.Tensor]:
    state = load_file(Path(weights.__path__[0]) / "bundled" / "mtcnn.safetensors")
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(name)}


def check_net(fixture: Fixture, name: str) -> None:
    net = NETS[name]()
    net.load_state_dict(fixture.state() or published(name), strict=True)
    with torch.inference_mode():
        answers = net.eval()(fixture.inputs()["x"])
    for output, answer in zip(("box", "points", "prob") if name == "onet" else ("box", "prob"), answers, strict=True):
        fixture.check(output, answer)


def cascade(**options: Any) -> Cascade:
    nets = PNet(), RNet(), ONet()
    for name, net in zip(NETS, nets, strict=True):
        net.load_state_dict(published(name), strict=True)
        net.eval()
    return Cascade(*nets, **options)


def check_cascade(fixture: Fixture) -> None:
    call, image = fixture.call, fixture.input_arrays()["image"]
    stages = cascade(thresholds=tuple(call["thresholds"]), factor=call["factor"])
    levels = pyramid(*image.shape[:2], call["min_face_size"], call["factor"])
    fixture.check("pyramid", [size for _, size in levels])
    table = Summed(image)
    proposals = stages.propose(table, call["min_face_size"])
    fixture.check("proposals_pnet", with_scores(proposals))
    refined = stages.refine(proposals, table)
    fixture.check("proposals_rnet", with_scores(refined))
    found = stages.find(image, call["min_face_size"])
    fixture.check("boxes_0", with_scores(found))
    fixture.check("points_0", found.points)


def with_scores(candidates: Candidates) -> np.ndarray:
    return np.concatenate([candidates.boxes, candidates.scores[:, None]], axis=1)


def check_mtcnn(fixture: Fixture) -> None:
    """MTCNN.detect and forward: the cascade, sorted by falling area; forward cuts the boxes out."""
    image, options = fixture.input_arrays()["image"], fixture.arguments
    found = cascade().find(image)
    area = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    order = np.argsort(-area, kind="stable")
    boxes, scores, points = found.boxes[order], found.scores[order], found.points[order]
    if fixture.call["method"] == "detect":
        fixture.check("boxes", boxes)
        fixture.check("probs", scores)
        fixture.check("points", points)
        return
    size, margin = options["image_size"], options.get("margin", 0)
    crops = np.stack([cut_out(image, box, size, margin, pil=fixture.call.get("pil", True)) for box in boxes]).transpose(0, 3, 1, 2)
    if options.get("post_process", True):
        crops = (crops - 127.5) / 128
    fixture.check("faces", crops if options.get("keep_all") else crops[0])
    fixture.check("probs", scores if options.get("keep_all") else scores[0])


def cut_out(image: np.ndarray, box: np.ndarray, size: int, margin: int, *, pil: bool) -> np.ndarray:
    grow = margin * (box[2:] - box[:2]) / (size - margin)
    x1, y1 = np.maximum(box[:2] - grow / 2, 0).astype(int)
    x2, y2 = np.minimum(box[2:] + grow / 2, (image.shape[1], image.shape[0])).astype(int)
    if pil:
        resized = Image.fromarray(image[y1:y2, x1:x2]).resize((size, size), Image.Resampling.BILINEAR)
    else:
        resized = cv2.resize(image[y1:y2, x1:x2], (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def check_select(fixture: Fixture) -> None:
    image = fixture.input_arrays()["image"]
    found = cascade().find(image)
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    area = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    far = ((centres - np.array([image.shape[1], image.shape[0]]) / 2) ** 2).sum(axis=1)
    over = found.scores > fixture.call["threshold"]
    order = {
        "largest": area,
        "probability": found.scores,
        "center_weighted_size": area - 2 * far,
        "largest_over_threshold": np.where(over, area, -1),
    }
    for method in fixture.call["methods"]:
        fixture.check(f"{method}_box", found.boxes[[int(np.argmax(order[method]))]])


def check_area(fixture: Fixture) -> None:
    image = fixture.input_arrays()["area_in"][0].transpose(1, 2, 0)
    fixture.check("area", Summed(image).whole(tuple(fixture.call["size"])).transpose(2, 0, 1)[None])


def check_generate_boxes(fixture: Fixture) -> None:
    given = fixture.input_arrays()
    parts, index = [], []
    for i, (prob, offsets) in enumerate(zip(given["prob"], given["reg"], strict=True)):
        boxes, scores, moved = generate_boxes(prob, offsets, fixture.call["scale"], fixture.call["thresh"])
        parts.append(np.concatenate([boxes, scores[:, None], moved], axis=1))
        index += [i] * len(boxes)
    fixture.check("boxes", np.concatenate(parts))
    fixture.check("image_inds", index)


def check_suppress(fixture: Fixture) -> None:
    given, threshold = fixture.input_arrays(), fixture.call["threshold"]
    boxes, scores, index = given["nms_boxes"], given["nms_scores"], given["nms_idx"]
    fixture.check("keep_min", suppress(boxes, scores, threshold, measure="min", last_pixel=1))
    fixture.check("keep_union", suppress(boxes, scores, threshold, last_pixel=1))
    apart = boxes + (index * (boxes.max() + 1)).astype(np.float32)[:, None]
    fixture.check("keep_batched", suppress(apart, scores, threshold, measure="min", last_pixel=1))


def check_boxes(fixture: Fixture) -> None:
    given = fixture.input_arrays()
    boxes, scores = given["sq_boxes"][:, :4], given["sq_boxes"][:, 4:]
    fixture.check("rerec", np.concatenate([square(boxes), scores], axis=1))
    fixture.check("bbreg", np.concatenate([regress(boxes, given["sq_reg"]), scores], axis=1))
    x1, y1, x2, y2 = clamp(boxes, fixture.call["h"], fixture.call["w"])
    fixture.check("pad", [y1, y2, x1, x2])


def check_ipazc(fixture: Fixture) -> None:
    """P-Net's boxes are regressed before they are scaled up, and a box goes even when its better is gone too."""
    given, call = fixture.input_arrays(), fixture.call
    for i, (width, height, min_face, factor) in enumerate(call["pyramids"]):
        count = round(-(np.log(min(width, height) / 12) / np.log(factor) + 1))
        fixture.check(f"scales_{i}", 12 / min_face * factor ** np.arange(count))

    found = []
    for i, (answers, offsets) in enumerate(zip(given["cls"], given["reg"], strict=True)):
        corners, scores, moved = generate_boxes(answers[..., 1], offsets.transpose(2, 0, 1), 1, call["threshold"])
        boxes = regress(corners, moved, last_pixel=0)
        found.append(np.concatenate([np.full((len(boxes), 1), i), boxes, scores[:, None]], axis=1))
    proposals = np.concatenate(found)
    proposals = proposals[np.argsort(-proposals[:, 5], kind="stable")]
    fixture.check("proposals", proposals)
    proposals[:, 1:5] /= call["scale"]
    fixture.check("upscaled", proposals)
    proposals = suppress_strictly(proposals, 0.5, "union")
    fixture.check("nms1", proposals)
    proposals[:, 1:5] = square(proposals[:, 1:5])
    fixture.check("square", proposals)

    random, n = np.random.RandomState(7), len(proposals)
    offsets = (0.1 * random.standard_normal((n, 4))).astype(np.float32)
    answers = random.random_sample((n, 2)).astype(np.float32)
    points = random.random_sample((n, 10)).astype(np.float32)
    placed = place(points, proposals[:, 1:5]).transpose(0, 2, 1).reshape(n, 10)
    fixture.check("landmarks", placed)
    final = np.concatenate([proposals[:, :1], regress(proposals[:, 1:5], offsets), answers[:, 1:], placed], axis=1)
    fixture.check("final", suppress_strictly(final[answers[:, 1] > 0.3], 0.7, "min"))


def suppress_strictly(rows: np.ndarray, threshold: float, measure: Literal["union", "min"]) -> np.ndarray:
    """Rows (image, box, score, ...) that no better row of their image overlaps, by image and falling score."""

    def overlaps(a: np.ndarray, b: np.ndarray) -> bool:
        pair = np.stack([a, b])
        return len(suppress(pair[:, 1:5], pair[:, 5], threshold, measure=measure)) < 2

    kept = []
    for row in sorted(rows, key=lambda row: (row[0], -row[5])):
        better = [other for other in rows if other[0] == row[0] and other[5] > row[5]]
        if not any(overlaps(other, row) for other in better):
            kept.append(row)
    return np.stack(kept)


FUNCTIONS = {
    "ipazc_functions": check_ipazc,
    "area_resample": check_area,
    "generate_boxes": check_generate_boxes,
    "nms_min_union": check_suppress,
    "rerec_bbreg_pad": check_boxes,
    "mtcnn_select": check_select,
}
BUILT = {
    "facenet_pytorch.models.utils.detect_face.detect_face": check_cascade,
    "facenet_pytorch.models.mtcnn.MTCNN": check_mtcnn,
}
