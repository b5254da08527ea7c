"""YOLOv5-face as CodeFormer's program has it: both key tables, the small network, its letterbox; and the unused waves of its positions."""

from __future__ import annotations

from collections.abc import Callable

import torch

from facewright.faces.yolo import letterbox
from facewright.nets.blocks.positions import sine_positions
from facewright.nets.yolov5face import YoloV5Face
from parity.following import check_keys, check_results
from parity.reading import Fixture

SYSTEMS = ("codeformer",)


def handles(fixture: Fixture) -> bool:
    return check_of(fixture) is not None


def run(fixture: Fixture) -> None:
    check = check_of(fixture)
    assert check is not None
    check(fixture)


def check_of(fixture: Fixture) -> Callable[[Fixture], None] | None:
    if (fixture.built or "").endswith("yolo:Model"):
        return check_table if fixture.is_key_table else check_network
    return next((check for start, check in CHECKS.items() if fixture.case.startswith(start)), None)


def build(fixture: Fixture) -> YoloV5Face:
    return YoloV5Face({"yolov5n.yaml": "n", "yolov5l.yaml": "l"}[fixture.arguments["cfg"]])  # type: ignore[arg-type]


def check_table(fixture: Fixture) -> None:
    check_keys(fixture, lambda: build(fixture))


def check_network(fixture: Fixture) -> None:
    net = build(fixture)
    anchors = {name: value for name, value in net.state_dict().items() if "anchor" in name}  # which the case leaves as they are built
    net.load_state_dict({**anchors, **fixture.state()})
    inputs = fixture.inputs()
    with torch.inference_mode():
        fine, _, coarse = net.eval().maps(inputs["x"])
        check_results(fixture, {"decoded": net(inputs["x"]), "raw_p3": fine, "raw_p5": coarse}, inputs, net)


def check_letterbox(fixture: Fixture) -> None:
    boxed, ratio, grey = letterbox(fixture.input_arrays()["image"], 128)
    fixture.check("letterboxed", boxed)
    fixture.check("ratio", ratio)
    fixture.check("pad", grey)


def check_positions(fixture: Fixture) -> None:
    options = fixture.arguments
    height, width = fixture.input_arrays()["x"].shape[2:]
    waves = sine_positions(
        height,
        width,
        options["num_pos_feats"],
        temperature=options.get("temperature", 10000),
        normalised=options.get("normalize", False),
    )
    fixture.check("out", waves[None])


CHECKS: dict[str, Callable[[Fixture], None]] = {"yolov5_letterbox": check_letterbox, "position_sine": check_positions}
