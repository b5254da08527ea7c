"""ONNX: one aligned crop in, the restored one out. Needs the packages of the extra "export"."""

from __future__ import annotations

import io
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facewright.errors import UsageError, missing_extra
from facewright.export import probe
from facewright.nets.gfpgan import GFPGAN
from facewright.weights import Model

OPSET = 17


def check_installed(precision: str) -> None:
    """Raises UsageError before anything is loaded."""
    if find_spec("onnx") is None:
        raise missing_extra("ONNX export", "export")
    if precision != "fp32":
        raise UsageError("ONNX is written in fp32 only", "its runtimes convert it themselves", "leave --fp16 out")


class Crop(nn.Module):
    """A GFPGAN as a function of the crop alone, 1 x 3 x R x R in [-1, 1]: the noise is that of seed 0 (as `restore --seed 0`)."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.net, self.noise = model.net, model.noise("seeded")

    def forward(self, crops: Tensor) -> Tensor:
        restored: Tensor = self.net(crops, return_rgb=False, noise=self.noise)[0]
        return restored


def serialised(model: Model) -> bytes:
    """The input is called "crops", the output "restored". Raises UsageError for what is no GFPGAN."""
    if not isinstance(model.net, GFPGAN):
        raise UsageError(f"cannot write {model.info['name']} as .onnx", "only a GFPGAN can be", "use .safetensors")
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is fixed on purpose; and this exporter, unlike its successor, needs onnx alone
        torch.onnx.export(
            Crop(model).eval(),
            (probe.crop(model.arguments["out_size"]),),
            stream,  # type: ignore[arg-type]
            dynamo=False,
            input_names=["crops"],
            output_names=["restored"],
            opset_version=OPSET,
        )
    return stream.getvalue()


def compare(model: Model, path: Path) -> float | None:
    """The largest difference of the probe's pictures; None where neither onnxruntime nor OpenCV can run the file."""
    crop = probe.crop(model.arguments["out_size"])
    made = _run(path, crop.numpy())
    return None if made is None else probe.apart(probe.picture(model), torch.from_numpy(made))


def _run(path: Path, crop: np.ndarray) -> np.ndarray | None:
    if find_spec("onnxruntime") is not None:
        session = import_module("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
        made: np.ndarray = session.run(None, {"crops": crop})[0]
        return made
    import cv2

    try:
        net = cv2.dnn.readNetFromONNX(str(path))
        net.setInput(crop)
        return np.asarray(net.forward())
    except cv2.error:  # before OpenCV 5 it lacks some of the operations
        return None
