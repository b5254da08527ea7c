"""The export itself: load, convert, write, load again, compare, and only then give the file its name."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch

from facewright.errors import ModelError, UsageError
from facewright.export import onnx, probe, published
from facewright.media.atomic import write_atomically
from facewright.nets.gfpgan import GFPGAN, bilinear_of, clean_of
from facewright.weights import Model, load_model, read_metadata
from facewright.weights.download import file_sha256
from facewright.weights.header import header_of, written
from facewright.weights.recogniser import open_arguments

Format = Literal["safetensors", "pth", "onnx"]
Precision = Literal["fp32", "fp16"]
Form = Literal["clean", "bilinear"]
FORMATS: tuple[Format, ...] = ("safetensors", "pth", "onnx")


@dataclass(frozen=True)
class Exported:
    """What was written. conversion: "" or e.g. "bilinear to clean". compared: "pictures" or "tensors" of the model and of the file that was
    written from it, loaded again; difference: the largest one, None where nothing here can run the file (ONNX).
    """

    path: Path
    format: Format
    precision: Precision
    conversion: str
    bytes: int
    compared: str
    difference: float | None


def export_model(
    model: str | Path,
    output: str | Path,
    *,
    form: Form | None = None,
    precision: Precision = "fp32",
    format: Format | None = None,
) -> Exported:
    """Write a catalog name's or file's network to `output`, which appears whole and checked, or not at all.

    form: a bilinear GFPGAN becomes the clean one that computes the same, or a clean one the bilinear one, which training takes.
    format: told from the name where None.
        safetensors    with the arguments, licence, origin and conversion in its header
        pth            laid out as the publishers do, for their programs
        onnx           one crop in, one out, the noise fixed; needs the extra "export"
    Raises UsageError for what cannot be converted or written so, ModelError for a model that cannot be loaded or a result that is not the
    model, OutputError where the disk refuses.
    """
    output = Path(output).expanduser()
    format = _format(output, format)
    if format == "onnx":
        onnx.check_installed(precision)
    source = load_model(model)
    read = Path(source.info["path"])
    if output.exists() and output.samefile(read):
        raise UsageError(f"cannot write {output}", "it is the file that is exported", "name another one with -o")
    target, conversion = _converted(source, form) if form else (source, "")
    data = _serialised(target, format, precision, f"{read.name}, sha256 {file_sha256(read)}", conversion)
    with _beside(output, data) as part:
        difference = onnx.compare(source, part) if format == "onnx" else _compare(source, target, part)
        compared = "pictures" if probe.can_run(source) else "tensors"
        allowed = probe.ALLOWED[precision if precision == "fp16" else "converted" if conversion or format == "onnx" else "same"]
        if difference is not None and not difference <= allowed:
            raise _not_the_model(source, compared, difference, allowed, precision)
    write_atomically(output, data)
    return Exported(output, format, precision, conversion, len(data), compared, difference)


def _format(output: Path, format: Format | None) -> Format:
    suffix = output.suffix.lower().removeprefix(".")
    if format is None and suffix not in FORMATS:
        raise UsageError(f"cannot tell the format of {output.name}", "", f"let it end in {', '.join('.' + each for each in FORMATS)}")
    if format is not None and suffix in FORMATS and suffix != format:
        raise UsageError(f"cannot write {output.name} as {format}", "its name says another format", f"call it {output.stem}.{format}")
    return format or cast(Format, suffix)


def _converted(model: Model, form: Form) -> tuple[Model, str]:
    """The other form, and how to call the conversion; "" where the model has that form already."""
    net, name = model.net, model.info["name"]
    if not isinstance(net, GFPGAN):
        why = f"it is {model.info['title']}, and only a GFPGAN has such a form"
        raise UsageError(f"cannot make {name} {form}", why, f"leave --{form} out")
    if net.flavour == form:
        return model, ""
    if net.flavour == "original":
        why = "it is of the flavour original, which resamples by FIR filters: it would convert without an error and give wrong pictures"
        raise UsageError(
            f"cannot make {name} {form}", why, f"leave --{form} out; a file that is bilinear is given as FILE:flavour=bilinear"
        )
    converted = (clean_of if form == "clean" else bilinear_of)(net).eval().requires_grad_(False)
    return Model(converted, model.architecture, {**model.arguments, "flavour": form}, model.info), f"{net.flavour} to {form}"


def _serialised(model: Model, format: Format, precision: Precision, origin: str, conversion: str) -> bytes:
    if format == "onnx":
        return onnx.serialised(model)
    state = {name: value.detach().cpu() for name, value in model.net.state_dict().items()}
    if precision == "fp16":
        state = {name: _halved(name, value) if value.is_floating_point() else value for name, value in state.items()}
    if format == "pth":
        return published.serialised(model, state)
    if model.architecture in published.PARTS_OF_A_FILE:
        raise published.no_layout(model)
    # what its training wrote there (steps, size, ...) stays
    said = read_metadata(model.info["path"]) | {"source": origin, "conversion": conversion, "precision": precision}
    for settled in ("facewright", "arguments", "licence"):
        said.pop(settled, None)
    return written(state, header_of(model.architecture, model.arguments, licence=model.info["licence"], **said))


def _halved(name: str, value: torch.Tensor) -> torch.Tensor:
    half = value.half()
    if not half.isfinite().all():
        raise UsageError(f"{name} cannot be held in fp16", f"it goes up to {value.abs().max():.3g}, fp16 to 65,504", "use --fp32")
    return half


def _compare(source: Model, target: Model, part: Path) -> float:
    known = {name: target.arguments[name] for name in open_arguments(target.architecture) if name in target.arguments}
    return probe.difference(source, load_model(part, **known))


def _not_the_model(source: Model, compared: str, difference: float, allowed: float, precision: Precision) -> ModelError:
    why = f"its {compared} differ from the model's by {difference:.2g}, where {allowed:.2g} is allowed; nothing was written"
    return ModelError(
        f"the export of {source.info['name']} is not the model", why, "use --fp32" if precision == "fp16" else "please report it"
    )


@contextmanager
def _beside(output: Path, data: bytes) -> Iterator[Path]:
    """`data` in a file beside the output for as long as it is looked at."""
    part = output.with_name(f".facewright-{secrets.token_hex(8)}{output.suffix}")
    try:
        write_atomically(part, data)
        yield part
    finally:
        with suppress(OSError):
            part.unlink()
