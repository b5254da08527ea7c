"""Real-ESRGAN's networks and its enhancer."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import nn

from facewright.nets.realesrgan import RRDBNet, SRVGGNetCompact, interpolated
from facewright.restore.background import Published, Upscaler
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture

NETS: dict[str, type[nn.Module]] = {"RRDBNet": RRDBNet, "SRVGGNetCompact": SRVGGNetCompact}
PROCEDURES = ("dni", "pixel_unshuffle", "realesrganer")


def handles(fixture: Fixture) -> bool:
    return fixture.built in NETS or fixture.procedure in PROCEDURES


def run(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    if fixture.procedure == "dni":
        weight = fixture.call["dni_weight"][0]
        check_results(fixture, {"out": interpolated({"w": inputs["a"]}, {"w": inputs["b"]}, weight)["w"]}, inputs)
    elif fixture.procedure == "pixel_unshuffle":
        check_results(fixture, {"out": F.pixel_unshuffle(inputs["x"], fixture.call["scale"])}, inputs)
    elif fixture.procedure == "realesrganer":
        run_enhance(fixture)
    elif fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    return NETS[fixture.built or ""](**fixture.arguments)


def run_enhance(fixture: Fixture) -> None:
    """RealESRGANer.enhance: pictures are BGR or BGRA there."""
    net = RRDBNet(**fixture.meta["build"]["networks"]["net"]["args"])
    net.load_state_dict({name.removeprefix("net."): value for name, value in fixture.state().items()}, strict=True)
    asked = dict(fixture.call["args_upsampler"])
    scale = asked.pop("scale")
    settings = Published(**asked, alpha_upsampler=fixture.call.get("alpha_upsampler", "realesrgan"))
    upscale = fixture.call.get("outscale", scale)
    picture = fixture.input_arrays()["img"]
    if picture.ndim == 2:
        result = Upscaler(net).enlarge(picture, upscale, published=settings)
    elif picture.shape[2] == 3:
        result = Upscaler(net).enlarge(picture[..., ::-1], upscale, published=settings)[..., ::-1]
    else:
        pixels, alpha = Upscaler(net).enlarge(picture[..., 2::-1], upscale, picture[..., 3], published=settings)
        result = np.dstack([pixels[..., ::-1], alpha])
    fixture.check("img", result)
