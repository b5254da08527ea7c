"""A photo's way: find its faces, align them, restore them in batches, put them back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import InputError
from facewright.faces import (
    Detector,
    Face,
    align,
    ellipse_mask,
    hold_colour,
    hull_mask,
    match_colour,
    misfit,
    paste,
    select,
    similarity,
)
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.identity import Identity
from facewright.faces.mask import soft_parsed_mask
from facewright.faces.warp import finer, resized, scale_of, transform
from facewright.media import Photo, read, replaced
from facewright.nets.codeformer import Task
from facewright.restore import judge, published
from facewright.restore.fidelity import Rule, choose, rule_of
from facewright.restore.network import FaceNetwork
from facewright.restore.result import FaceResult, Restoration
from facewright.restore.served import Served, serve
from facewright.restore.settings import Settings
from facewright.weights import load_model
from facewright.weights.device import pick_device

Image = NDArray[np.float32]

_NETWORK = ("model", "device", "precision", "seed", "as_published")
"""Settings by which the face network is loaded."""
_BESIDE = ("detector", "mask", "background", "upscale", "face_upsample")
"""Settings by which the networks beside it are loaded, and what is said of them."""


def restore(photo: str | Path | Photo | NDArray[Any], **choices: Any) -> Restoration:
    """Restore the faces of one photo: a path, a `Photo`, or an array (H x W x 3 RGB or H x W, uint8 or uint16).

    choices: the fields of `Settings` (model, strength, faces, ...). Raises InputError, ModelError, UsageError.
    """
    return next(iter(Restorer(**choices).restore([photo])))


@dataclass
class Job:
    """A photo between its faces' detection and their return."""

    original: Photo
    faces: list[FaceResult]
    started: float

    @property
    def waiting(self) -> list[FaceResult]:
        return [face for face in self.faces if face.action != "left alone"]


class Restorer:
    """Holds the networks; restores any number of photos with the same settings.

    Several threads may prepare, treat and finish at once, unless a model fills the background: that one is for one thread at a time.
    task: what the network has to have learned. `Colorizer` and `Inpainter` go the same way, and differ in `_taken`, `_judge` and `_put`.
    """

    task: Task = "restoration"
    settings: Settings
    served: Served
    detector: Detector

    def __init__(self, settings: Settings | None = None, /, *, detector: Detector | str | None = None, **choices: Any) -> None:
        """choices: fields of `Settings`. detector: one to use, or the name of one."""
        if isinstance(detector, str):
            choices["detector"], detector = detector, None
        self._given = detector
        self._load(settings or Settings(**choices), None)

    def changed(self, **choices: Any) -> Restorer:
        """One with other choices (fields of `Settings`), which shares the networks that both need. Raises what the constructor does."""
        other = copy(self)
        other._load(replace(self.settings, **choices), self)
        return other

    def _load(self, settings: Settings, like: Restorer | None) -> None:
        """What the settings call for. like: of whom this is a copy; what it has already stays."""
        fresh = {name for name, value in settings.asdict().items() if like is None or getattr(like.settings, name) != value}
        self.settings = settings
        if fresh & {*_NETWORK}:
            self.device = pick_device(settings.device)
            self.model = load_model(settings.model, device=self.device)
            self.network = FaceNetwork(self.model, self.device, settings.precision, settings.seed, self.task)
            self.size = self.network.size
            self.program = published.followed(settings, self.model, self.network.has_fidelity)
        if fresh & {*_NETWORK, *_BESIDE}:
            known = self._given
            if like is not None and not fresh & {"detector", "device", "as_published"} and not like.served.notes:
                known = like.detector  # where there are notes, they are to be told again
            self.served = serve(settings, self.device, known, self.program)
            self.detector = self.served.detector
        if "device" in fresh:
            self.identity = Identity.load(str(self.device))

    @property
    def rule(self) -> Rule | None:
        """What gives each face its own w under `--fidelity auto`; None where all take `fidelity`."""
        if self.settings.fidelity != "auto" or self.settings.as_published or self.task != "restoration":
            return None
        return rule_of(self.model.info["name"], "control" if self.network.has_fidelity else "blend")

    @property
    def fidelity(self) -> float:
        """w in [0, 1] without a `rule`: for the network, where it has it, else the part of the photo's own face that stays."""
        asked = self.settings.fidelity
        return self.network.usual_fidelity if asked == "auto" else float(asked)

    def restore(self, photos: Iterable[str | Path | Photo | NDArray[Any]]) -> Iterable[Restoration]:
        """One `Restoration` a photo, in order. Raises at the first photo that cannot be read."""
        for photo in photos:
            job = self.prepare(_as_photo(photo))
            self.run([job])
            yield self.finish(job)

    def prepare(self, photo: Photo, faces: Sequence[Face] | None = None) -> Job:
        """Find and choose the faces, and cut their crops.

        faces: those that are meant, found elsewhere, in this order; one that has an affine keeps it.
        """
        started = time.monotonic()
        if self.settings.aligned:
            return Job(photo, [self._aligned(photo)], started)
        if self.program is not None:
            return Job(photo, published.found(self.program, photo, self.detector, self.settings.faces, self.size), started)
        if faces is not None:
            return Job(photo, self._cut(photo, list(faces), "all"), started)
        found = self.detector.detect(photo.pixels)
        row = float(np.median([face.size for face in found])) if found else 1.0
        found.sort(key=lambda face: (round(face.centre[1] / row), face.centre[0]))  # as one reads: rows, then columns
        return Job(photo, self._cut(photo, found, self.settings.faces), started)

    def again(self, photo: Photo, earlier: Sequence[FaceResult]) -> Job:
        """As `prepare` for a photo that a Restorer, of these or other choices, has been through: its faces are not looked for again, and of
        crops and the network's pictures those are kept that would come out the same.

        earlier: the `faces` of its `Restoration`; not for an aligned photo, nor as published.
        """
        started = time.monotonic()
        results = self._cut(photo, [each.face for each in earlier], self.settings.faces, crops=[each.crop for each in earlier])
        for result, each in zip(results, earlier, strict=True):
            result.restored, result.made_by = each.restored, each.made_by
        return Job(photo, results, started)

    def _cut(self, photo: Photo, found: Sequence[Face], wanted: str, crops: Sequence[Image | None] | None = None) -> list[FaceResult]:
        """Choose among the faces, and align those that are to be restored. crops: those that there are already, of whatever size."""
        chosen = set(select(found, wanted, photo.pixels.shape))
        results = []
        for index, face in enumerate(found):
            if face.affine is None:
                face.affine = similarity(face.landmarks)
            result = FaceResult(index, face, misfit=misfit(face.landmarks), pixels=TEMPLATE_SIZE / scale_of(face.affine))
            if index not in chosen:
                result.left_alone(f"not chosen (--faces {self.settings.faces})")
            else:
                judge.before_network(result, self.size, self.settings.min_face)
            known = crops[index] if crops is not None else None
            if known is not None and len(known) == self.size:
                result.crop = known
            elif result.action != "left alone":
                result.crop = align(photo.pixels, self._affine(result), self.size)
            results.append(result)
        return results

    def run(self, jobs: Sequence[Job]) -> None:
        """Restore the waiting faces of several photos."""
        self.treat([face for job in jobs for face in job.waiting])

    def treat(self, faces: Sequence[FaceResult]) -> None:
        """Restore faces, of whatever photos, `settings.batch` at a time, but those that have this network's picture; then judge each."""
        for start in range(0, len(faces), self.settings.batch):
            batch = faces[start : start + self.settings.batch]
            self._choose(batch)
            self._restore([face for face in batch if face.restored is None or face.made_by != self._maker(face)])
            if self.settings.as_published:
                continue
            if not self.settings.aligned:
                self._outline(batch)
            self._judge(batch)

    def _restore(self, faces: Sequence[FaceResult]) -> None:
        """Through the network."""
        if not faces:
            return
        crops = torch.from_numpy(np.stack([_cropped(face) for face in faces])).permute(0, 3, 1, 2).to(self.device) * 2 - 1
        restored = self.network(crops, self._knob(faces))
        if self.settings.as_published:
            self._take_as_published(faces, restored)
            return
        for face, picture in zip(faces, ((restored + 1) / 2).permute(0, 2, 3, 1).cpu().numpy(), strict=True):
            face.restored, face.made_by = self._taken(face, picture), self._maker(face)

    def finish(self, job: Job) -> Restoration:
        """Put the restored faces back into a copy of the photo."""
        photo, notes = job.original, list[str]()
        if self.program is not None:
            pixels = self._finish_as_published(job, self.program)
            if not self.settings.aligned:
                notes += published.notes(self.program, photo, self.settings.upscale)
            photo = Photo(photo.pixels, None, photo.origin)  # alpha is lost there
        elif self.settings.aligned:
            pixels = self._whole(job)
        else:
            pixels = self._canvas(photo)
            for face in job.waiting:
                self._put(pixels, face, job)
        if not job.faces:
            notes.append("no face was found")
        return Restoration(
            replaced(photo, pixels),
            job.original,
            job.faces,
            self.settings.model,
            time.monotonic() - job.started,
            [*notes, *self.served.notes],
            dict(self.served.by),
        )

    def _taken(self, face: FaceResult, picture: Image) -> Image:
        """What is made of the network's picture of a face; S x S x 3 in [0, 1] both."""
        return match_colour(hold_colour(picture, _cropped(face)), _cropped(face), ellipse_mask(self.size))

    def _choose(self, faces: Sequence[FaceResult]) -> None:
        """Give each face its w; one that it has already been given stays."""
        rule = self.rule
        for face in faces:
            if face.fidelity is not None or self.task != "restoration":  # a network for another task has learned one w
                continue
            if rule is None:
                face.fidelity = self.fidelity
            else:
                face.fidelity, _, face.damage = choose(_cropped(face), rule)

    def _knob(self, faces: Sequence[FaceResult]) -> float | Tensor:
        """The faces' w, for the network."""
        # an unlike w of a neighbour must not change how a face is computed: where each has its own, always as a tensor
        return self.fidelity if self.rule is None else torch.tensor([face.fidelity for face in faces], device=self.device)

    def _maker(self, face: FaceResult) -> tuple[Any, ...]:
        """What the network's picture of the face depends on beside its crop."""
        return (*(getattr(self.settings, name) for name in _NETWORK), face.fidelity if self.network.has_fidelity else None)

    def _take_as_published(self, faces: Sequence[FaceResult], restored: Tensor) -> None:
        """Nothing is held back or matched; the judge only tells."""
        for face, picture in zip(faces, restored, strict=True):
            face.restored = published.taken(face, picture)
            face.identity = self._drift(face, 1.0)
            if words := judge.identity_words(face.identity, face.strength):
                face.because(words)

    def _finish_as_published(self, job: Job, program: published.Program) -> NDArray[Any]:
        if self.settings.aligned:
            return np.asarray(np.rint(_restored(job.faces[0]) * 255), np.uint8)
        return published.pasted(
            program,
            job.original,
            job.faces,
            parser=self.served.parser,
            upscaler=self.served.upscaler,
            upscale=self.settings.upscale,
            size=self.size,
            device=self.device,
            face_upsample=self.settings.face_upsample,
        )

    def _outline(self, faces: Sequence[FaceResult]) -> None:
        """Which part of each restored crop goes into the photo."""
        if self.served.parser is not None:
            pictures = torch.from_numpy(np.stack([_restored(face) for face in faces])).permute(0, 3, 1, 2).to(self.device) * 2 - 1
            for face, labels in zip(faces, self.served.parser.labels(pictures), strict=True):
                face.mask = soft_parsed_mask(labels, self.size)
            return
        for face in faces:
            points = transform(self._affine(face), face.face.landmarks)
            face.mask = hull_mask(points, self.size) if self.settings.mask == "hull" else ellipse_mask(self.size)

    def _judge(self, faces: Sequence[FaceResult]) -> None:
        """Strength, identity and the reasons, for faces fresh from the network."""
        limit = self.settings.max_identity_drift
        for face in faces:
            self._soften(face)
            if face.identity is None or limit is not None:  # one that a face has already been given stays
                face.identity = self._drift(face, face.strength)
            judge.after_network(face)
            if face.action == "left alone":
                continue
            if limit is not None and face.identity > limit:
                self._hold_back(face, limit)
            if face.strength > 0 and (words := judge.identity_words(face.identity, face.strength)):
                face.because(words)
            if face.pixels > 1.5 * self.size:
                face.because(f"larger than the model's {self.size} px: its finest detail is the photo's own")

    def _soften(self, face: FaceResult) -> None:
        """The strength that was asked for, and the part of the photo's own face that w leaves where the network does not know w itself."""
        assert face.fidelity is not None
        blends = not self.network.has_fidelity
        face.strength = self.settings.strength * (1 - face.fidelity if blends else 1)
        if face.damage is None:
            if face.strength < 1:
                face.blended(face.strength, f"strength {face.strength:.2f} as asked")
            return
        told = f"w {face.fidelity:.2f}: {face.damage}"
        if blends and face.fidelity == 1:
            face.left_alone(told)
        elif blends and face.fidelity > 0:
            face.blended(face.strength, told)
        elif not blends:
            face.because(told)
        if self.settings.strength < 1:
            face.blended(face.strength, f"strength {self.settings.strength:.2f} as asked")

    def _hold_back(self, face: FaceResult, limit: float) -> None:
        """Blend back until the identity distance is within the limit, or leave the face alone."""
        asked, drift = face.strength, face.identity
        for part in (0.8, 0.6, 0.4, 0.2):
            distance = self._drift(face, asked * part)
            if distance <= limit:
                face.identity = distance
                face.blended(asked * part, f"held back from identity distance {drift:.2f} to {distance:.2f} (limit {limit:g})")
                return
        face.left_alone(f"identity distance {drift:.2f} is beyond the limit of {limit:g} at any strength")
        face.identity = 0.0

    def distance(self, a: Image, b: Image) -> float:
        """`identity[dlib]` of two aligned crops, S x S x 3 RGB in [0, 1]."""
        first, second = (torch.from_numpy(np.ascontiguousarray(x)).permute(2, 0, 1)[None].to(self.device) * 2 - 1 for x in (a, b))
        return float(self.identity.distance(first, second))

    def _drift(self, face: FaceResult, strength: float) -> float:
        crop = _cropped(face)
        return self.distance(crop, np.asarray(crop + np.float32(strength) * (_restored(face) - crop), np.float32))

    def _affine(self, face: FaceResult) -> NDArray[np.float64]:
        """Network crop <- photo."""
        assert face.face.affine is not None
        return finer(face.face.affine, self.size / TEMPLATE_SIZE)

    @property
    def _on_the_photo(self) -> bool:
        """Whether the faces are pasted onto the photo's own pixels, enlarged or not."""
        return self.served.upscaler is None and (self.settings.background != "none" or self.settings.upscale == 1)

    def _canvas(self, photo: Photo) -> NDArray[Any]:
        """The photo at its output size; at --upscale 1 every pixel as it was, unless a model for the background was named."""
        if self.served.upscaler is not None:
            return np.asarray(self.served.upscaler.enlarge(photo.pixels, self.settings.upscale))
        if self.settings.upscale == 1:
            return np.array(photo.pixels)
        width, height = int(photo.width * self.settings.upscale), int(photo.height * self.settings.upscale)
        if self.settings.background == "none":
            return np.zeros((height, width, *photo.pixels.shape[2:]), photo.pixels.dtype)
        return np.asarray(cv2.resize(photo.pixels, (width, height), interpolation=cv2.INTER_LANCZOS4))

    def _put(self, pixels: NDArray[Any], face: FaceResult, job: Job) -> None:
        """Put a face into the canvas, in place."""
        affine, photo = self._affine(face), job.original
        if pixels.shape[:2] != photo.pixels.shape[:2]:
            affine = resized(affine, (pixels.shape[1] / photo.width, pixels.shape[0] / photo.height))
        # only what the network changed goes back, so that detail finer than its crop stays the photo's own; but not on another background
        assert face.mask is not None
        paste(
            pixels,
            _restored(face),
            affine,
            face.mask * np.float32(face.strength),
            replacing=_cropped(face) if self._on_the_photo else None,
        )

    def _whole(self, job: Job) -> NDArray[Any]:
        """An aligned photo with the network's changes, at its own size times --upscale."""
        (face,), photo = job.faces, job.original
        pixels = photo.pixels
        if self.settings.upscale != 1:
            width, height = int(photo.width * self.settings.upscale), int(photo.height * self.settings.upscale)
            pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LANCZOS4))
        if face.action == "left alone":
            return np.array(pixels)
        change = np.float32(face.strength) * (_restored(face) - _cropped(face))
        shrinking = min(pixels.shape[:2]) < self.size
        size = (pixels.shape[1], pixels.shape[0])
        change = np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC), np.float32)
        if photo.is_grey:
            change = change @ np.array([0.299, 0.587, 0.114], np.float32)
        levels = np.iinfo(pixels.dtype).max
        return np.asarray(np.clip(np.rint(pixels + change * np.float32(levels)), 0, levels).astype(pixels.dtype))

    def _aligned(self, photo: Photo) -> FaceResult:
        from facewright.faces.align import TEMPLATE

        across = np.array([photo.width, photo.height]) / TEMPLATE_SIZE
        face = Face(np.array([0.0, 0, photo.width, photo.height]), (TEMPLATE + 0.5) * across - 0.5, 1.0)
        result = FaceResult(0, face, pixels=float(photo.width))
        if self.program is not None:
            result.crop, result.turns_grey = published.whole(self.program, photo, self.size)
            return result
        levels = np.float32(np.iinfo(photo.pixels.dtype).max)
        rgb = photo.pixels if photo.pixels.ndim == 3 else np.repeat(photo.pixels[..., None], 3, axis=2)
        shrinking = min(photo.width, photo.height) > self.size
        crop = cv2.resize(
            rgb.astype(np.float32) / levels, (self.size, self.size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        )
        result.crop = np.asarray(crop, np.float32)
        return result


def _as_photo(photo: str | Path | Photo | NDArray[Any]) -> Photo:
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, np.ndarray):
        if photo.dtype not in (np.uint8, np.uint16) or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] != 3):
            raise InputError(
                "cannot restore this array", f"it is {photo.dtype} of shape {photo.shape}", "pass H x W x 3 RGB or H x W, uint8 or uint16"
            )
        from facewright.media import Origin

        return Photo(photo, None, Origin())
    return read(Path(photo))


def _cropped(face: FaceResult) -> Image:
    assert face.crop is not None
    return face.crop


def _restored(face: FaceResult) -> Image:
    assert face.restored is not None
    return face.restored
