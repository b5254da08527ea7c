"""Convert the P-, R- and O-Net weights of the `mtcnn` wheel to one safetensors file.

    pip download --no-deps mtcnn==1.0.0
    python scripts/convert_mtcnn.py mtcnn-1.0.0-py3-none-any.whl src/facewright/weights/bundled/mtcnn.safetensors

Needs the package lz4. The members are LZ4 frames around a pickled list of arrays. Nothing is unpickled: the checksum of the decoded
stream is compared, and the raw float32 data are cut out at their known offsets.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from pathlib import Path

import lz4.frame
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from facewright.nets.mtcnn import ONet, PNet, RNet

WHEEL_SHA256 = "0a96b4868e56db9ae984449519642be6dba03240e608a67e928ebb47833e9144"

# net: sha256 of the member, sha256 of the decoded stream, and offset:shape of each array in it
MEMBERS = {
    "pnet": (
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
        "78044d0bcd6d96c2e98f0a3d56e1226302f2969d61561bc572b09b72b6291d10",
        "240:3,3,3,10 1376:10 1472:1,1,10 1568:3,3,10,16 7376:16 7504:1,1,16 7632:3,3,16,32 26112:32 26304:1,1,32 "
        "26496:1,1,32,4 27056:4 27136:1,1,32,2 27440:2",
    ),
    "rnet": (
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
        "1affe37b246ee58ff1eb3f7ffafd9c20427a96d3bece1a481a9511822148c88a",
        "240:3,3,3,28 3312:28 3488:1,1,28 3664:3,3,28,48 52096:48 52352:1,1,48 52608:2,2,48,64 101808:64 102128:1,1,64 "
        "102448:576,128 397408:128 397968:128 398528:128,4 400624:4 400688:128,2 401760:2",
    ),
    "onet": (
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
        "0549ccbdaf116fcebcf1bad1279c1d7d22b2b6c8de356091eb788e2d42f08426",
        "240:3,3,3,32 3744:32 3936:1,1,32 4128:3,3,32,64 77904:64 78224:1,1,64 78544:3,3,64,64 226048:64 226368:1,1,64 "
        "226688:2,2,64,128 357808:128 358384:1,1,128 358960:1152,256 1538656:256 1539728:256 1540816:256,4 1544960:4 "
        "1545040:256,10 1555328:10 1555424:256,2 1557520:2",
    ),
}

# the order of the arrays: (weight, bias, slope) of each layer, then (weight, bias) of each head
LAYERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pnet": (("conv1", "conv2", "conv3"), ("conv4_2", "conv4_1")),
    "rnet": (("conv1", "conv2", "conv3", "dense4"), ("dense5_2", "dense5_1")),
    "onet": (("conv1", "conv2", "conv3", "conv4", "dense5"), ("dense6_2", "dense6_3", "dense6_1")),
}
NETS: dict[str, type[nn.Module]] = {"pnet": PNet, "rnet": RNet, "onet": ONet}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    state: dict[str, torch.Tensor] = {}
    with zipfile.ZipFile(arguments.wheel) as wheel:
        for net, (packed_sha256, decoded_sha256, table) in MEMBERS.items():
            packed = verified(wheel.read(f"mtcnn/assets/weights/{net}.lz4"), packed_sha256, f"{net}.lz4")
            decoded = verified(lz4.frame.decompress(packed), decoded_sha256, f"{net}.lz4, decoded")
            tensors = named(net, arrays(decoded, table))
            NETS[net]().load_state_dict(tensors, strict=True)
            state |= {f"{net}.{name}": tensor for name, tensor in tensors.items()}
    metadata = {
        "facewright": "mtcnn",
        "source": "mtcnn-1.0.0-py3-none-any.whl",
        "sha256": WHEEL_SHA256,
        "licence": "MIT",
        "copyright": "Copyright (c) 2019-2024 Iván de Paz Centeno",
    }
    save_file(state, arguments.target, metadata=metadata)
    arguments.target.chmod(0o644)
    print(f"{arguments.target}: {len(state)} tensors, {sum(tensor.numel() for tensor in state.values())} parameters")


def verified(data: bytes, sha256: str, what: str) -> bytes:
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise SystemExit(f"{what} is not the published file: sha256 {found}, not {sha256}")
    return data


def arrays(decoded: bytes, table: str) -> list[np.ndarray]:
    """The float32 arrays that stand at `offset:shape` in the stream."""
    found = []
    for entry in table.split():
        offset, _, sizes = entry.partition(":")
        shape = tuple(int(size) for size in sizes.split(","))
        found.append(np.frombuffer(decoded, "<f4", count=int(np.prod(shape)), offset=int(offset)).reshape(shape))
    return found


def named(net: str, found: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """TensorFlow's arrays in list order, under torch's names and in torch's layout."""
    layers, heads = LAYERS[net]
    names = [name for layer in layers for name in (f"{layer}.weight", f"{layer}.bias", f"prelu{layer[-1]}.weight")]
    names += [name for head in heads for name in (f"{head}.weight", f"{head}.bias")]
    if len(names) != len(found):
        raise SystemExit(f"{net}: {len(found)} arrays for {len(names)} names")
    return {name: torch.from_numpy(to_torch(name, array).copy()) for name, array in zip(names, found, strict=True)}


def to_torch(name: str, array: np.ndarray) -> np.ndarray:
    if name.startswith("prelu"):
        return array.reshape(-1)
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    return array.T


if __name__ == "__main__":
    main()
