"""Which published program belongs to a network, and what it does in a way of its own.

Both look for faces with RetinaFace, cut crops of 8 bits with a grey border, round the network's picture to 8 bits, put each face into a
canvas as large as the photo, and truncate. What they leave to the one who calls them has the values of their command lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from facewright.errors import UsageError
from facewright.faces import published as steps
from facewright.faces.yolo import NAMES as YOLOS
from facewright.nets.codeformer import CodeFormer
from facewright.restore.background import Published
from facewright.restore.settings import Settings
from facewright.weights import Model


@dataclass(frozen=True)
class Program:
    """name: for people. steps: the rules of `faces.published` that it follows. score: RetinaFace's faces must be above it.

    resize: the shorter side at which the detector sees the photo, None for its own size. detectors: of `--detector`, which it can use; the
    first where the person asked for another. background: how the plain one is filled. upsampler: how it sets up Real-ESRGAN.
    enlarges_faces: whether it can send the restored faces through that, too. turns_grey: whether what a grey photo gives becomes grey.
    whole_factors: an --upscale of 1.5 is 1.
    """

    name: str
    steps: steps.Program
    score: float
    resize: int | None
    detectors: tuple[str, ...]
    background: str
    upsampler: Published
    enlarges_faces: bool
    turns_grey: bool
    whole_factors: bool


GFPGAN = Program(
    name="GFPGAN",
    steps="facexlib",
    score=0.97,
    resize=None,
    detectors=("retinaface",),
    background="lanczos",
    upsampler=Published(tile=400, tile_pad=10, pre_pad=0),
    enlarges_faces=False,
    turns_grey=False,
    whole_factors=False,
)
CODEFORMER = Program(
    name="CodeFormer",
    steps="codeformer",
    score=0.8,
    resize=640,
    detectors=("retinaface", *YOLOS),
    background="bilinear",
    upsampler=Published(tile=400, tile_pad=40, pre_pad=0),
    enlarges_faces=True,
    turns_grey=True,
    whole_factors=True,
)


def followed(settings: Settings, model: Model, has_fidelity: bool) -> Program | None:
    """The program that is followed with this model: CodeFormer's for CodeFormer, else GFPGAN's; None unless `settings.as_published`.

    has_fidelity: whether the network takes a w, which its program then lets choose. Raises UsageError for choices that it does not have.
    """
    if not settings.as_published:
        return None
    program = CODEFORMER if isinstance(model.net, CodeFormer) else GFPGAN
    contradictions = {
        "--fidelity": settings.fidelity != "auto" and not has_fidelity,
        f"--detector {settings.detector}": settings.detector in YOLOS and settings.detector not in program.detectors,
        "--face-upsample": settings.face_upsample and not program.enlarges_faces,
    }
    if named := [name for name, given in contradictions.items() if given]:
        raise UsageError(
            f"--as-published and {named[0]} contradict each other", f"{program.name}'s program has no such choice", "leave one out"
        )
    return program
