"""The worst and the best cases, made anew for the page: nothing but their numbers was kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.errors import FacewrightError
from facewright.evaluate.catalogue import Metric
from facewright.evaluate.results import Results
from facewright.evaluate.source import Source

RANKED_BY = (
    "identity[dlib]",
    "features[onet]",
    "lpips[vgg]",
    "lpips[alex]",
    "ssim[rgb]",
    "ssim[y]",
    "psnr[rgb]",
    "niqe[published]",
    "niqe[faces]",
)
SIDE = 168
"""Pixels of a picture on the page."""
EACH = 3
MOST_METHODS = 5


@dataclass(frozen=True)
class Strip:
    """One case: what each method made of it, in the order of the page, and the truth at the end; numbers of `metric` where there are."""

    condition: str
    name: str
    worst: bool
    metric: Metric
    pictures: list[tuple[str, NDArray[np.uint8], float | None]]


def strips(source: Source, results: Results) -> Iterator[Strip]:
    """EACH worst and EACH best of each condition, by the mean over the models (or over all methods, where none is a model)."""
    metric = ranking(results)
    if metric is None or not results.cases:
        return
    judged = list(source.models) or list(source.methods)
    shown = shown_methods(source)
    for condition in source.conditions:
        keys = np.mean([[_key(metric, value) for value in results.scores[condition][method][metric.name]] for method in judged], axis=0)
        order = [int(index) for index in np.argsort(keys, kind="stable") if not np.isnan(keys[index])]
        each = min(EACH, len(order) // 2) or len(order)
        for worst, chosen in ((True, order[:each]), (False, order[::-1][:each] if len(order) > 1 else [])):
            for index in chosen:
                strip = _strip(source, results, condition, index, shown, metric, worst)
                if strip is not None:
                    yield strip


def ranking(results: Results) -> Metric | None:
    """The metric that decides what is worst."""
    there = {metric.name: metric for metric in results.metrics if not metric.whole}
    return next((there[name] for name in RANKED_BY if name in there), next(iter(there.values()), None))


def _key(metric: Metric, value: float) -> float:
    key = metric.worse_first(float(value))
    return key if np.isfinite(key) or np.isnan(key) else float(np.sign(key) * 1e9)


def shown_methods(source: Source, most: int = MOST_METHODS) -> list[str]:
    """The damaged picture and the models; of many (a sweep) so many, evenly spread."""
    models = list(source.models)
    if len(models) > most:
        models = [models[round(index * (len(models) - 1) / (most - 1))] for index in range(most)]
    first = [method for method in source.methods if method == "damaged"]
    return [*first, *(models or [method for method in source.methods if method not in first][:most])]


def _strip(source: Source, results: Results, condition: str, index: int, shown: Sequence[str], metric: Metric, worst: bool) -> Strip | None:
    case = results.cases[index]
    try:
        opened = source.open([case])
        if not opened.cases:
            return None
        pictures: list[tuple[str, NDArray[np.uint8], float | None]] = [
            (method, _small(opened.shown(condition, method)[0]), float(results.scores[condition][method][metric.name][index]))
            for method in shown
        ]
        truth = opened.truth(condition)
    except FacewrightError:
        return None  # its numbers stand; the picture has gone since
    if truth is not None:
        pictures.append(("truth", _small(truth[0]), None))
    return Strip(condition, case.name, worst, metric, pictures)


def _small(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    factor = SIDE / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(np.rint(np.clip(picture, 0, 1) * 255), np.uint8)
