"""Files good, foreign, damaged and hostile: each is read, or refused in one sentence, and nothing in it is ever run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from facewright.errors import ModelError
from facewright.weights.reader import read_metadata, read_state

WEIGHTS = OrderedDict(first=torch.arange(6, dtype=torch.float32).view(2, 3), second=torch.ones(4, dtype=torch.float16))


class Payload:
    """Pickles to a call of os.system that leaves a marker file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def save(path: Path, content: object, kind: str) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def assert_same(state: dict[str, torch.Tensor]) -> None:
    assert set(state) == set(WEIGHTS)
    for name, value in WEIGHTS.items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value)


both_formats = pytest.mark.parametrize("kind", ["zip", "legacy"])


@both_formats
def test_reads_torch_files(tmp_path: Path, kind: str) -> None:
    assert_same(read_state(save(tmp_path / "plain.pth", WEIGHTS, kind)))


def test_reads_safetensors_and_its_metadata(tmp_path: Path) -> None:
    save_file(dict(WEIGHTS), tmp_path / "own.safetensors", metadata={"licence": "Apache-2.0"})
    assert_same(read_state(tmp_path / "own.safetensors"))
    assert read_metadata(tmp_path / "own.safetensors") == {"licence": "Apache-2.0"}


@both_formats
def test_prefers_averaged_weights_and_takes_the_asked_part(tmp_path: Path, kind: str) -> None:
    worse = {name: value + 1 for name, value in WEIGHTS.items()}
    path = save(tmp_path / "net_g.pth", {"params": worse, "params_ema": WEIGHTS}, kind)
    assert_same(read_state(path))
    assert torch.equal(read_state(path, key="params")["first"], worse["first"])
    with pytest.raises(ModelError, match="it has params, params_ema"):
        read_state(path, key="state_dict")


@both_formats
def test_unwraps_state_dict_and_strips_module(tmp_path: Path, kind: str) -> None:
    wrapped = {"state_dict": {f"module.{name}": torch.nn.Parameter(value) for name, value in WEIGHTS.items()}, "epoch": 3}
    state = read_state(save(tmp_path / "dp.pth", wrapped, kind))
    assert_same(state)
    assert not any(value.requires_grad for value in state.values())


@both_formats
def test_numbers_of_numpy_beside_the_weights_do_no_harm(tmp_path: Path, kind: str) -> None:
    content = {"params": WEIGHTS, "best": np.float64(31.4), "iteration": np.int64(7), "done": np.bool_(True), "note": "x"}
    assert_same(read_state(save(tmp_path / "trained.pth", content, kind)))


@both_formats
def test_hostile_pickle_is_named_and_not_run(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "marker"
    path = save(tmp_path / "evil.pth", {"params_ema": WEIGHTS, "x": Payload(marker)}, kind)
    with pytest.raises(ModelError, match=r"posix\.system|nt\.system") as caught:
        read_state(path)
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    torch.load(path, weights_only=False)  # what a plain unpickle would have done: the payload is a real one
    assert marker.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_bare_hostile_pickle_is_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Payload(marker), protocol=protocol))
    with pytest.raises(ModelError, match=r"would call (posix|nt)\.system"):
        read_state(tmp_path / "evil.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "opcodes"),
    [
        ("builtins.eval", b"cbuiltins\neval\n(S'1'\ntR."),
        ("builtins.getattr", b"cbuiltins\ngetattr\n(S'1'\nS'x'\ntR."),
        ("torch.storage._load_from_bytes", b"ctorch.storage\n_load_from_bytes\n(S'1'\ntR."),
        ("torch.load", b"ctorch\nload\n(S'x'\ntR."),
        ("builtins.eval", b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94\x8c\x011\x94\x85\x94R\x94."),
        ("builtins.eval", b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R."),
    ],
)
def test_less_plain_ways_to_harm_are_named_too(tmp_path: Path, name: str, opcodes: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("archive/data.pkl", opcodes)
        archive.writestr("archive/version", "3\n")
    with pytest.raises(ModelError, match=f"would call {name} on this machine"):
        read_state(tmp_path / "evil.pth")


def test_second_guard_stands_when_the_first_is_fooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewright.weights import reader

    marker = tmp_path / "marker"
    path = save(tmp_path / "evil.pth", {"x": Payload(marker)}, "zip")
    monkeypatch.setattr(reader, "_inspect_zip", lambda path, arrays: set())
    with pytest.raises(ModelError, match="torch does not accept it"):
        read_state(path)
    assert not marker.exists()


@both_formats
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.floats(0, 0.999))
def test_cut_anywhere_is_one_model_error(tmp_path: Path, kind: str, keep: float) -> None:
    whole = save(tmp_path / "whole.pth", {"params": {**WEIGHTS, "big": torch.zeros(5000)}}, kind).read_bytes()
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ModelError) as caught:
        read_state(cut)
    assert "\n" not in str(caught.value) and caught.value.what_to_do


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.floats(0, 0.999))
def test_cut_safetensors_is_one_model_error(tmp_path: Path, keep: float) -> None:
    save_file(dict(WEIGHTS), tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ModelError) as caught:
        read_state(tmp_path / "cut.safetensors")
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_any_bytes_are_one_model_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "noise.pth").write_bytes(data)
    with pytest.raises(ModelError):
        read_state(tmp_path / "noise.pth")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pth", b"", "it is empty"),
        ("a.pth", b"cold facts about\nsome models\n" * 40, "it is a text file"),
        ("a.pth", "Größe der Bilder, naïve".encode() * 9, "it is a text file"),
        ("a.pth", b"<!DOCTYPE html><html>404</html>", "it is a web page"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        ("a.onnx", b"\x08\x07\x12\x07pytorch\x1a", "ONNX"),
        ("a.pth", b"\x08\x07\x12\x07pytorch\x1a", "ONNX"),
        ("a.pth", b"\x89PNG\r\n\x1a\n" + bytes(99), "it is a picture"),
        ("a.pth", bytes(range(128, 256)), "it begins with 80 81"),
        ("a.pth", pickle.dumps({"a": 1}), "it is a pickle, but not one of PyTorch's"),
        ("a.safetensors", (10).to_bytes(8, "little") + b"{not json!" + bytes(9), "header is damaged"),
    ],
)
def test_foreign_file_is_called_what_it_is(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=reason):
        read_state(tmp_path / name)


def test_folder_missing_and_other_archives(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it is a folder"):
        read_state(tmp_path)
    with pytest.raises(ModelError, match="there is no such file"):
        read_state(tmp_path / "none.pth")
    with zipfile.ZipFile(tmp_path / "notes.pth", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    with pytest.raises(ModelError, match="it is a zip archive, but not one of PyTorch's"):
        read_state(tmp_path / "notes.pth")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "program.pt"))
    with pytest.raises(ModelError, match="TorchScript"):
        read_state(tmp_path / "program.pt")


@both_formats
def test_content_without_named_tensors(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match="it holds one Tensor, not named weights"):
        read_state(save(tmp_path / "tensor.pth", torch.ones(3), kind))
    with pytest.raises(ModelError, match="no tensors"):
        read_state(save(tmp_path / "numbers.pth", {"a": 1}, kind))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="a superuser may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = save(tmp_path / "secret.pth", WEIGHTS, "zip")
    path.chmod(0)
    with pytest.raises(ModelError, match="Permission denied"):
        read_state(path)
