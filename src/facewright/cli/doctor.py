"""facewright doctor: what is installed here, what is missing, and what to do about each."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from facewright import __version__
from facewright.cli.models import columns, megabytes
from facewright.errors import ModelError
from facewright.weights import catalog
from facewright.weights.cache import VARIABLE, cache_folder

REQUIRED = (
    "torch",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "safetensors",
    "pyyaml",
    "typer",
    "rich",
    "httpx",
    "filelock",
    "platformdirs",
)
# What each extra of the package brings, by the module that is imported.
EXTRAS = {
    "heif": ("pillow_heif",),
    "train": ("tensorboard", "webdataset"),
    "video": ("av",),
    "app": ("fastapi", "fastapi_offline", "uvicorn", "python_multipart", "prometheus_client"),
    "export": ("onnx", "onnxruntime"),
    "ray": ("ray",),
}
LITTLE_SPACE = 1_000_000_000


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What is installed here, what is missing, and what to do about each."""
    found = examine()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for line in report(found):
            typer.echo(line)
    if not found["ok"]:
        raise typer.Exit(ModelError.exit_code)


def examine() -> dict[str, Any]:
    """Everything that doctor prints. "ok" is whether the default model can run; "to_do" is a list of what and do."""
    to_do: list[dict[str, str]] = []
    found: dict[str, Any] = {
        "facewright": __version__,
        "python": {"version": platform.python_version(), "executable": sys.executable, "system": platform.platform()},
        "packages": _packages(to_do),
        "extras": {extra: {"missing": [name for name in names if find_spec(name) is None]} for extra, names in EXTRAS.items()},
        "devices": _devices(to_do),
        "cache": _cache(to_do),
        "models": [_model(entry, to_do) for entry in catalog.entries().values() if entry.runs],
        "to_do": to_do,
    }
    found["ok"] = any(model["default"] and model["ok"] for model in found["models"])
    return found


def report(found: dict[str, Any]) -> list[str]:
    """The same as lines for people."""
    python, devices, cache = found["python"], found["devices"], found["cache"]
    lines = [f"facewright {found['facewright']}, Python {python['version']} ({python['executable']}), {python['system']}"]

    lines += ["", "packages"]
    lines += [f"  {line}" for line in columns([(name, version or "MISSING") for name, version in found["packages"].items()])]
    extras = [(name, _extra_said(name, state["missing"])) for name, state in found["extras"].items()]
    lines += ["", "extras", *(f"  {line}" for line in columns(extras))]

    lines += ["", "devices", *(f"  {line}" for line in columns([(name, each["said"]) for name, each in devices.items()]))]
    free = "" if cache["free_bytes"] is None else f", {megabytes(cache['free_bytes'])} free"
    lines += ["", f"cache: {cache['folder']}{free}{'' if cache['writable'] else ', NOT WRITABLE'} ({VARIABLE} names another)"]

    models = [(each["name"], each["state"], megabytes(each["bytes"]), each["do"] or each["title"]) for each in found["models"]]
    lines += ["", "models", *(f"  {line}" for line in columns(models))]

    lines += ["", "all is well" if not found["to_do"] else "to do"]
    return lines + [f"  {each['what']}: {each['do']}" for each in found["to_do"]]


# What there is -------------------------------------------------------------------------------------------------------------------------


def _packages(to_do: list[dict[str, str]]) -> dict[str, str | None]:
    versions = {name: _version(name) for name in REQUIRED}
    if versions["opencv-python-headless"] is None:
        # Another build of OpenCV serves as well.
        others = ("opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
        versions["opencv-python-headless"] = next((found for found in map(_version, others) if found), None)
    for name, version in versions.items():
        if version is None:
            to_do.append({"what": f"{name} is missing", "do": f"pip install {name}"})
    return versions


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extra_said(name: str, missing: list[str]) -> str:
    if not missing:
        return "installed"
    lack = "not installed" if len(missing) == len(EXTRAS[name]) else f"without {', '.join(missing)}"
    return f'{lack}; if you need it: pip install "facewright[{name}]"'


def _devices(to_do: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        import torch
    except (ImportError, OSError) as error:
        to_do.append({"what": f"torch cannot be imported ({error})", "do": "install it again: pip install --force-reinstall torch"})
        return {"cpu": {"available": False, "cores": cores, "said": f"{cores} cores, but torch cannot be imported"}}

    bf16 = _cpu_bf16()
    speed = {True: "bf16 in hardware", False: "no bf16 in hardware: use --precision fp32", None: "bf16 unknown"}[bf16]
    instructions = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    cpu = {"available": True, "cores": cores, "threads": threads, "instructions": instructions, "bf16": bf16}
    cpu["said"] = f"{cores} cores, torch uses {threads}, {instructions}, {speed}"

    cuda: dict[str, Any] = {"available": torch.cuda.is_available(), "cards": []}
    if cuda["available"]:
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            cuda["cards"].append({"name": card.name, "memory_bytes": card.total_memory, "capability": f"{card.major}.{card.minor}"})
        cuda["bf16"] = torch.cuda.is_bf16_supported()
        cuda["said"] = ", ".join(f"{card['name']} ({card['memory_bytes'] / 2**30:.0f} GiB)" for card in cuda["cards"])
    else:
        cuda["said"] = "none" if torch.version.cuda or torch.version.hip else "none that this torch can use (it is built without CUDA)"
        if shutil.which("nvidia-smi"):
            to_do.append(
                {"what": "there is an NVIDIA card that torch does not use", "do": "install a CUDA build: https://pytorch.org/get-started"}
            )
    mps = {"available": torch.backends.mps.is_available()}
    devices = {"cpu": cpu, "cuda": cuda, "mps": mps | {"said": "Apple GPU" if mps["available"] else "none"}}
    chosen = next(name for name in ("cuda", "mps", "cpu") if devices[name]["available"])
    devices[chosen]["said"] += "  <- --device auto takes this"
    return devices


def _cpu_bf16() -> bool | None:
    """Whether the processor multiplies bf16 itself; None where that cannot be told."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    flags = next((line.partition(":")[2].split() for line in text.splitlines() if line.startswith(("flags", "Features"))), None)
    return None if flags is None else bool({"amx_bf16", "avx512_bf16", "bf16"} & set(flags))


def _cache(to_do: list[dict[str, str]]) -> dict[str, Any]:
    folder = cache_folder()
    # The folder is made at the first download: until then the nearest one above it says what will be possible.
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    writable = there.is_dir() and os.access(there, os.W_OK)
    free = shutil.disk_usage(there).free if there.exists() else None
    if not writable:
        to_do.append({"what": f"the cache {folder} cannot be written", "do": f"let {VARIABLE} name a folder that can"})
    elif free is not None and free < LITTLE_SPACE:
        to_do.append({"what": f"the cache's disk has {megabytes(free)} left", "do": f"make room, or let {VARIABLE} name another disk"})
    return {"folder": str(folder), "exists": folder.is_dir(), "writable": writable, "free_bytes": free}


def _model(entry: catalog.Entry, to_do: list[dict[str, str]]) -> dict[str, Any]:
    """Bundled files are loaded; of a downloaded one only the size is looked at, since its sum takes seconds (models verify)."""
    ok: bool | None = None
    state, do, broken = entry.where + (", default" if entry.default else ""), "", ""
    if entry.where == "missing":
        ok = False if entry.bundled else None
        state, do = ("MISSING" if entry.bundled else "not fetched"), entry.how_to_get
        broken = "it is missing" if entry.bundled else ""
    elif entry.bundled:
        broken = _broken(entry.path)
        ok = not broken
    elif entry.bytes is not None and entry.path.stat().st_size != entry.bytes:
        ok, broken, do = False, "its file has another size than the published one", f"facewright models get --force {entry.name}"
    if broken:
        do = do or "install facewright again"
        state = state if entry.where == "missing" else "BROKEN"
        to_do.append({"what": f"the model {entry.name} cannot be used ({broken})", "do": do})
    facts = {"name": entry.name, "title": entry.title, "default": entry.default, "where": entry.where, "path": str(entry.path)}
    return facts | {"bytes": entry.size, "ok": ok, "state": state, "do": do}


def _broken(path: Path) -> str:
    try:
        from facewright.weights import load_model

        load_model(path)
    except ModelError as error:
        return error.why or str(error)
    except (ImportError, OSError) as error:  # torch itself is broken; said above
        return str(error)
    return ""
