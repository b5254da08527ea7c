"""facexlib's and CodeFormer's steps around the restorer: template, fit, alignment, masks, paste, grey. Pictures there are BGR."""

from __future__ import annotations

from typing import Any

import numpy as np

from facewright.faces import published
from facewright.faces.align import PUBLISHED_BORDER, TEMPLATE, THREE_POINT_TEMPLATE, align, inliers, similarity, solve, template
from facewright.faces.arcface import ARCFACE_TEMPLATE, arcface_crop
from facewright.faces.colour import adain, as_grey, is_grey
from facewright.faces.face import Face
from facewright.faces.ffhq import crop_ffhq, padded_by_blur, square_inverse
from facewright.faces.mask import parsed_mask, plain_mask
from facewright.faces.paste import paste, paste_plain, published_affine
from facewright.faces.select import select
from facewright.faces.warp import invert, warp
from parity.reading import Fixture


def handles(fixture: Fixture) -> bool:
    return step(fixture) in STEPS


def run(fixture: Fixture) -> None:
    STEPS[step(fixture)](fixture)


def step(fixture: Fixture) -> str:
    return str(fixture.call.get("method") or fixture.call.get("function"))


def program(fixture: Fixture) -> published.Program:
    return "codeformer" if fixture.case.startswith("cf_") else "facexlib"


def picture(fixture: Fixture, name: str = "image") -> np.ndarray:
    """A float N x 3 x H x W input as the H x W x 3 RGB picture that it stands for."""
    given = fixture.input_arrays()[name]
    return given if given.ndim < 4 else np.rint(given[0].transpose(1, 2, 0)[..., ::-1]).astype(np.uint8)


def check_template(fixture: Fixture) -> None:
    form = THREE_POINT_TEMPLATE if fixture.arguments.get("template_3points") else TEMPLATE
    points, size = template(fixture.arguments.get("face_size", 512), tuple(fixture.arguments.get("crop_ratio", (1, 1))), form)
    fixture.check("template", points)
    fixture.check("size", size)


def check_similarity(fixture: Fixture) -> None:
    given = fixture.input_arrays()
    faces, target = given["landmarks"], given["template"]
    fixture.check("lmeds", [similarity(points, target) for points in faces])
    fixture.check("lmeds_exact64", [similarity(points, target) for points in faces])
    fixture.check("inliers", [inliers(points, target) for points in faces])
    fixture.check("umeyama64", [solve(points.astype(np.float64), target.astype(np.float64)) for points in faces])


def check_align(fixture: Fixture) -> None:
    points, size = template(fixture.arguments["face_size"], tuple(fixture.arguments.get("crop_ratio", (1, 1))))
    if fixture.call.get("pad_blur"):
        check_pad_blur(fixture, points)
        return
    for i, landmarks in enumerate(fixture.input_arrays()["landmarks"]):
        if f"crop_{i}" in fixture.meta["outputs"]:
            affine = similarity(landmarks, points)
            fixture.check(f"affine_{i}", affine)
            crop = align(picture(fixture), affine, size, border=fixture.call.get("border_mode", "constant"), antialias=False)
            fixture.check(f"crop_{i}", crop[..., ::-1] * 255)
            if size == (fixture.arguments["face_size"],) * 2 and "border_mode" not in fixture.call:
                crop, affine = published.cut(picture(fixture), landmarks, size[0])
                fixture.check(f"affine_{i}", affine)
                fixture.check(f"crop_{i}", crop[..., ::-1])


def check_pad_blur(fixture: Fixture, points: np.ndarray) -> None:
    (landmarks,) = fixture.input_arrays()["landmarks"].astype(np.float64)
    padded, moved = padded_by_blur(picture(fixture), landmarks)
    fixture.check("pad_img", padded[..., ::-1])
    fixture.check("landmarks_after", [landmarks + moved])
    affine = similarity(landmarks + moved, points)
    fixture.check("affine_0", affine)
    size = fixture.arguments["face_size"]
    fixture.check("crop_0", warp(padded, affine, (size, size), outside=PUBLISHED_BORDER, antialias=False)[..., ::-1])


def check_ffhq(fixture: Fixture) -> None:
    call, points = fixture.call, fixture.input_arrays()["landmarks"].astype(np.float64)
    facexlib = call["function"] == "align_crop_face_landmarks"
    image = picture(fixture) if facexlib else picture(fixture)[..., ::-1].copy()  # NVIDIA's cases are RGB as stored
    sizes = {"size": call["output_size"], "transform_size": call.get("transform_size")}
    ratio = tuple(call.get("shrink_ratio", (1, 1)))
    crop = crop_ffhq(image, points, **sizes, published="facexlib" if facexlib else "nvidia", ratio=ratio)
    fixture.check("crop", crop[..., ::-1] if facexlib else crop)
    if facexlib:
        fixture.check("inverse", square_inverse(points, call["output_size"], ratio))


def check_face(fixture: Fixture) -> None:
    boxes = fixture.input_arrays()["boxes"]
    faces = [Face(row[:4].astype(np.float64), np.zeros((5, 2)), float(row[4])) for row in boxes]
    spec = "largest" if fixture.call["function"] == "get_largest_face" else "center"
    (index,) = select(faces, spec, (fixture.call["h"], fixture.call["w"]))
    fixture.check("box", boxes[index])
    fixture.check("index", index)


def check_grey(fixture: Fixture) -> None:
    image, style = picture(fixture), picture(fixture, "style")
    grey = as_grey(image)
    fixture.check("is_gray", is_grey(image))
    fixture.check("gray", grey)
    fixture.check("is_gray_of_gray", is_grey(grey))
    fixture.check("adain", adain(grey, style)[..., ::-1])


def check_paste(fixture: Fixture) -> None:
    """Twice: the whole frame as published, and face after face in its rectangle; the plain masks are those of the first face."""
    arguments, given = fixture.arguments, fixture.input_arrays()
    upscale, size, affines = arguments["upscale_factor"], arguments["face_size"], given["affine"]
    codeformer = program(fixture) == "codeformer"
    times = upscale if fixture.call.get("face_upsampler") else 1  # its stub repeats each pixel
    faces = [picture(fixture, f"face_{i}").repeat(times, axis=0).repeat(times, axis=1) for i in range(len(affines))]
    upsampled = picture(fixture, "upsample") if "upsample" in given else None
    if upsampled is not None and upsampled.shape[2] == 4:
        upsampled = upsampled[..., [2, 1, 0, 3]]
    canvas = published.background(picture(fixture), upscale, program(fixture), upsampled=upsampled)
    whole = published.paste(
        canvas,
        faces,
        affines,
        upscale=upscale,
        program=program(fixture),
        labels=[given["labels"]] * len(faces) if "labels" in given else None,
        face_upscale=times,
        boxes=bool(fixture.call.get("draw_box")),
    )
    fixture.check("result", np.concatenate([whole[..., 2::-1], whole[..., 3:]], axis=2))
    placed = [published_affine(affine, upscale, face_upscale=times) for affine in affines]
    fixture.check("inverse", [invert(affine) * upscale for affine in affines])
    fixture.check("inverse_after", [invert(affine) for affine in placed])
    if "mask_soft" in fixture.meta["outputs"]:
        check_masks(fixture, canvas.shape, placed[0], size * times, upscale)
    soft = parsed_mask(given["labels"], size * times) if "labels" in given else None
    if "draw_box" in fixture.call:
        return
    for face, affine in zip(faces, placed, strict=True):
        if soft is not None and not codeformer:
            paste(canvas, face.astype(np.float32) / 255, affine, soft, rounding="truncate", antialias=False)
        else:
            paste_plain(canvas, face, affine, upscale=upscale, mask=soft)
    if soft is not None:
        fixture.check("mask_parse", warp(soft, invert(placed[-1]), (canvas.shape[1], canvas.shape[0]), antialias=False))
    fixture.check("result", np.concatenate([canvas[..., 2::-1], canvas[..., 3:]], axis=2))


def check_paste_face_back(fixture: Fixture) -> None:
    canvas = picture(fixture).astype(np.float64)
    paste_plain(canvas, picture(fixture, "face"), invert(fixture.input_arrays()["inverse"]))
    fixture.check("result", canvas[..., ::-1])


def check_read(fixture: Fixture) -> None:
    """An array is a file's pixels as they are; the order of colours is not looked at."""
    given = fixture.input_arrays()["image"]
    read = published.read(picture(fixture) if given.ndim == 4 else given, program(fixture))
    fixture.check("image", read[..., ::-1] if given.ndim == 4 else read)
    if "is_gray" in fixture.meta["outputs"]:
        fixture.check("is_gray", is_grey(read))


def check_landmarks(fixture: Fixture) -> None:
    call, boxes, seen = fixture.call, fixture.input_arrays()["boxes"], []
    keep = "largest" if call.get("only_keep_largest") else "center" if call.get("only_center_face") else "all"

    def stub(shown: np.ndarray) -> np.ndarray:
        seen.append(shown)
        return boxes

    image = published.read(picture(fixture), program(fixture))
    options = {"resize": call.get("resize"), "eye_distance": call.get("eye_dist_threshold")}
    rows = published.find(image, stub, program=program(fixture), keep=keep, **options)  # type: ignore[arg-type]
    fixture.check("count", len(rows))
    fixture.check("landmarks", [published.points(row) for row in rows])
    fixture.check("faces", rows[:, :5] if keep == "all" else rows[0, :5])
    fixture.check("seen", seen[0][..., ::-1])


def check_arcface(fixture: Fixture) -> None:
    fixture.check("reference", ARCFACE_TEMPLATE)
    fixture.check("crop", arcface_crop(picture(fixture), fixture.input_arrays()["landmarks"])[..., ::-1])


def check_masks(fixture: Fixture, shape: tuple[int, ...], affine: np.ndarray, size: int, upscale: float) -> None:
    plain = plain_mask(affine, (size, size), shape, upscale)
    for name in ("eroded", "center", "soft"):
        whole = np.zeros(shape[:2], np.float32)
        whole[plain.rows, plain.columns] = getattr(plain, name)
        fixture.check(f"mask_{name}", whole)


STEPS: dict[str, Any] = {
    "template": check_template,
    "similarity": check_similarity,
    "align": check_align,
    "align_crop_face_landmarks": check_ffhq,
    "ffhq": check_ffhq,
    "get_largest_face": check_face,
    "get_center_face": check_face,
    "gray": check_grey,
    "paste": check_paste,
    "paste_face_back": check_paste_face_back,
    "read": check_read,
    "landmarks": check_landmarks,
    "arcface": check_arcface,
}
