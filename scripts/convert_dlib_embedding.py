"""Convert dlib's face embedding to safetensors.

    pip download --no-deps --no-binary :all: face_recognition_models==0.3.0
    tar xzf face_recognition_models-0.3.0.tar.gz
    python scripts/convert_dlib_embedding.py --fp32 .../dlib_face_recognition_resnet_model_v1.dat identity-dlib.safetensors

The .dat is dlib's own serialisation: integers are a control byte (low four bits: bytes that follow; high bit: negative) and that many
little-endian bytes; a tensor is (version 2, samples, k, nr, nc) and raw float32. Layers with weights stand in forward order, each
introduced by the string con_4, affine_ or fc_2.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from facewright.nets.identity import BLOCKS, DlibEmbedding

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
MARKERS = {name: bytes([1, len(name)]) + name.encode() for name in ("con_4", "affine_", "fc_2")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dat", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--fp32", action="store_true", help="keep float32 (22 MB) instead of float16 (11 MB)")
    arguments = parser.parse_args()
    data = arguments.dat.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise SystemExit(f"{arguments.dat} is not the published file: sha256 {found}, not {SHA256}")
    state = named(list(layers(data)))
    DlibEmbedding().load_state_dict(state, strict=True)
    dtype = torch.float32 if arguments.fp32 else torch.float16
    metadata = {
        "facewright": "identity-dlib",
        "source": "dlib_face_recognition_resnet_model_v1.dat",
        "sha256": SHA256,
        "licence": "CC0-1.0",
    }
    save_file({name: tensor.to(dtype).contiguous() for name, tensor in state.items()}, arguments.target, metadata=metadata)


def layers(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """(layer name, flat float32 parameters) in forward order."""
    position = 0
    while True:
        found = [(data.find(marker, position), name) for name, marker in MARKERS.items()]
        found = [(at, name) for at, name in found if at >= 0]
        if not found:
            return
        at, name = min(found)
        position = at + len(MARKERS[name])
        if name == "fc_2":
            _, position = integer(data, position)
            _, position = integer(data, position)
        shape = []
        version, position = integer(data, position)
        if version != 2:
            raise SystemExit(f"tensor version {version} at byte {position}, expected 2")
        for _ in range(4):
            size, position = integer(data, position)
            shape.append(size)
        count = int(np.prod(shape))
        yield name, np.frombuffer(data, "<f4", count, position).copy()
        position += 4 * count


def integer(data: bytes, position: int) -> tuple[int, int]:
    control = data[position]
    length = control & 0x0F
    value = int.from_bytes(data[position + 1 : position + 1 + length], "little")
    return (-value if control & 0x80 else value), position + 1 + length


def named(found: list[tuple[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """The layers under this project's names."""
    convolutions = [values for name, values in found if name == "con_4"]
    affines = [values for name, values in found if name == "affine_"]
    (embed,) = (values for name, values in found if name == "fc_2")
    if len(convolutions) != 29 or len(affines) != 29:
        raise SystemExit(f"found {len(convolutions)} convolutions and {len(affines)} affines, expected 29 of each")
    names = [("stem", "stem_affine")]
    names += [(f"blocks.{b}.conv{i}", f"blocks.{b}.affine{i}") for b in range(len(BLOCKS)) for i in (1, 2)]
    expected = DlibEmbedding().state_dict()
    state: dict[str, torch.Tensor] = {}
    for (conv, affine), weights, scales in zip(names, convolutions, affines, strict=True):
        shape = expected[f"{conv}.weight"].shape
        state[f"{conv}.weight"] = torch.from_numpy(weights[: shape.numel()]).reshape(shape)
        state[f"{conv}.bias"] = torch.from_numpy(weights[shape.numel() :])
        half = len(scales) // 2
        state[f"{affine}.weight"], state[f"{affine}.bias"] = torch.from_numpy(scales[:half]), torch.from_numpy(scales[half:])
    state["embed.weight"] = torch.from_numpy(embed.reshape(256, 128).T.copy())
    return state


if __name__ == "__main__":
    main()
