"""All rules in the order in which they are tried."""

from __future__ import annotations

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.codeformer import CODEFORMER
from facewright.weights.architectures.dists import DISTS
from facewright.weights.architectures.gfpgan import GFPGAN
from facewright.weights.architectures.identity import IDENTITY
from facewright.weights.architectures.inception import INCEPTION
from facewright.weights.architectures.lpips import LPIPS
from facewright.weights.architectures.mtcnn import MTCNN
from facewright.weights.architectures.parsing import PARSING
from facewright.weights.architectures.realesrgan import REALESRGAN
from facewright.weights.architectures.restoreformer import RESTOREFORMER
from facewright.weights.architectures.retinaface import RETINAFACE
from facewright.weights.architectures.stylegan2 import STYLEGAN2
from facewright.weights.architectures.vgg import VGG
from facewright.weights.architectures.vqfr import VQFR
from facewright.weights.architectures.vqgan import VQGAN
from facewright.weights.architectures.yolov5face import YOLOV5FACE

ARCHITECTURES: tuple[Architecture, ...] = (
    *GFPGAN,
    *STYLEGAN2,
    *RESTOREFORMER,
    *CODEFORMER,
    *VQFR,
    *VQGAN,
    *RETINAFACE,
    *YOLOV5FACE,
    *MTCNN,
    *PARSING,
    *IDENTITY,
    *VGG,
    *REALESRGAN,
    *LPIPS,
    *DISTS,
    *INCEPTION,
)
