"""facewright models and facewright doctor, as a person meets them."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from published_samples import save, torchvision, zeros
from safetensors.torch import save_file
from typer.testing import CliRunner

from facewright.cli import doctor, models
from facewright.errors import ModelError, PartialFailure, UsageError
from facewright.nets.gfpgan import GFPGAN
from facewright.weights import catalog
from facewright.weights.obtain import get, verify

REAL = catalog.HERE / "bundled"

app = typer.Typer()
app.add_typer(models.app, name="models")
app.command()(doctor.doctor)


def run(*arguments: str, code: int = 0) -> str:
    """What the command prints to stdout; facewright's errors pass through, as the entry point shows them."""
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, models.FacewrightError):
        raise result.exception
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def tiny_state() -> dict[str, torch.Tensor]:
    return GFPGAN("clean", 16, 8, narrow=1 / 64, num_mlp=1).state_dict()


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the bundled folder with a tiny default model, and an empty cache."""
    catalog.entries()
    for name in ("mtcnn.safetensors", "mtcnn.md", "identity-dlib.safetensors"):
        (tmp_path / "bundled").mkdir(exist_ok=True)
        (tmp_path / "bundled" / name).symlink_to(REAL / name)
    save_file(tiny_state(), tmp_path / "bundled" / "gfpgan-mini.safetensors")
    (tmp_path / "bundled" / "gfpgan-mini.md").write_text("# gfpgan-mini\nA card.")
    monkeypatch.setattr(catalog, "HERE", tmp_path)
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


class Server:
    def __init__(self) -> None:
        files: dict[str, bytes] = {}
        self.files = files

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def offer(self, name: str, content: bytes) -> str:
        self.files[f"/{name}"] = content
        return f"http://127.0.0.1:{self.http.server_port}/{name}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def published(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, catalog.Entry]]:
    """A catalog whose gfpgan-v1.4 (sha256 pinned) and gfpgan-v1 (not pinned) lie on a server of this machine."""
    torch.save({"params_ema": tiny_state()}, tmp_path / "tiny.pth")
    content = (tmp_path / "tiny.pth").read_bytes()
    known, url = dict(catalog.entries()), server.offer("tiny.pth", content)
    sha256 = hashlib.sha256(content).hexdigest()
    known["gfpgan-v1.4"] = replace(known["gfpgan-v1.4"], url=url, mirrors=(), bytes=len(content), sha256=sha256)
    known["gfpgan-v1"] = replace(known["gfpgan-v1"], url=url, arguments={})
    catalog._names.cache_clear()
    monkeypatch.setattr(catalog, "entries", lambda: known)
    yield known
    catalog._names.cache_clear()


def test_list_says_what_is_here() -> None:
    lines = {line.split()[0]: line for line in run("models", "list").splitlines()}
    assert "bundled, default" in lines["gfpgan-mini"] and "to be fetched" in lines["gfpgan-v1.4"] and "Apache-2.0" in lines["gfpgan-v1.4"]
    assert "S-Lab License 1.0, non-commercial use only" in lines["codeformer"] and "colorize" in lines["codeformer-colorization"]
    told = {each["name"]: each for each in json.loads(run("models", "list", "--json"))}
    assert told["gfpgan-v1.4"]["bytes"] == 348_632_874 and told["gfpgan-v1.4"]["where"] == "missing"


def test_get_fetches_checks_and_names_the_licence(published: dict[str, catalog.Entry], house: Path) -> None:
    said = run("models", "get", "gfpgan-v1.4", "GFPGANv1.pth")
    assert said.count("licence: Apache-2.0") == 2
    assert run("models", "path", "gfpgan-v1.4").strip() == str(house / "cache" / "models" / "GFPGANv1.4.pth")
    assert "sha256 as published; it loads" in run("models", "verify", "gfpgan-v1.4")
    assert "no sha256 is published to compare with; it loads" in run("models", "verify", "gfpgan-v1")
    assert "out_size 16" in run("models", "info", "gfpgan-v1.4")


def test_a_non_commercial_licence_is_told_in_one_line_before_the_file_comes(published: dict[str, catalog.Entry]) -> None:
    published["codeformer"] = replace(
        published["gfpgan-v1.4"],
        **{name: getattr(published["codeformer"], name) for name in ("name", "file", "licence", "commercial", "note")},
    )
    first, second = run("models", "get", "codeformer").splitlines()
    assert first == "codeformer: licence: S-Lab License 1.0, non-commercial use only. Commercial use needs the authors' consent."
    assert second.startswith("codeformer is here: ")
    assert "S-Lab License 1.0, non-commercial use only" in run("models", "info", "codeformer")
    assert run("models", "get", "--quiet", "codeformer") == ""


def test_our_own_weights_carry_no_limit() -> None:
    for entry in catalog.entries().values():
        assert not entry.bundled or (entry.commercial == "yes" and "commercial" not in entry.terms)


def test_get_refuses_what_is_not_the_model(published: dict[str, catalog.Entry], server: Server, house: Path) -> None:
    server.files["/tiny.pth"] = b"<html>please log in</html>"
    with pytest.raises(ModelError, match=r"is not gfpgan-v1: .*it is a web page"):
        run("models", "get", "gfpgan-v1")
    with pytest.raises(ModelError, match="offers 26 bytes"):
        run("models", "get", "gfpgan-v1.4")
    assert {path.suffix for path in (house / "cache" / "models").iterdir()} == {".lock"}


@pytest.mark.parametrize("name", ["gfpgan-v1", "gfpgan-v1.4"])
def test_a_forced_get_that_fails_leaves_the_old_file(published: dict[str, catalog.Entry], server: Server, name: str) -> None:
    path = get(published[name])
    before = path.read_bytes()
    server.files["/tiny.pth"] = bytes(len(before))
    with pytest.raises(ModelError):
        get(published[name], force=True)
    assert path.read_bytes() == before


def test_get_of_several_goes_on_after_a_failure(published: dict[str, catalog.Entry], server: Server) -> None:
    published["gfpgan-v1.3"] = replace(published["gfpgan-v1.3"], url=server.offer("x", b"").replace("/x", "/gone"))
    with pytest.raises(PartialFailure, match="1 of 2 models could not be fetched"):
        run("models", "get", "gfpgan-v1.3", "gfpgan-v1.4")
    assert catalog.find("gfpgan-v1.4").is_file()


def test_get_of_a_bundled_model(house: Path) -> None:
    assert "gfpgan-mini is here" in run("models", "get", "gfpgan-mini")
    (house / "bundled" / "gfpgan-mini.safetensors").unlink()
    with pytest.raises(UsageError, match="it ships inside facewright"):
        run("models", "get", "gfpgan-mini")


def test_verify_finds_damage_and_force_mends_it(published: dict[str, catalog.Entry]) -> None:
    path = get(published["gfpgan-v1.4"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert verify(published["gfpgan-v1.4"]).ok is False
    with pytest.raises(ModelError, match=r"gfpgan-v1\.4 cannot be used") as caught:
        run("models", "verify")
    assert caught.value.what_to_do == "facewright models get --force gfpgan-v1.4"
    run("models", "get", "--force", "gfpgan-v1.4")
    assert verify(published["gfpgan-v1.4"]).ok is True
    assert all(each["ok"] for each in json.loads(run("models", "verify", "--json")))


def test_verify_of_what_is_not_here() -> None:
    with pytest.raises(ModelError, match="is not on this machine"):
        run("models", "verify", "gfpgan-v1.4")


def test_info_of_names_and_files(house: Path) -> None:
    assert "A card." in run("models", "info", "gfpgan-mini")
    told = json.loads(run("models", "info", str(house / "bundled" / "mtcnn.safetensors"), "--json"))
    assert told["parameters"] == 495_850
    assert "to get it: facewright models get gfpgan-v1.3" in run("models", "info", "gfpgan-v1.3")
    with pytest.raises(ModelError, match="there is no such file"):
        run("models", "info", "nothing.pth")
    with pytest.raises(ModelError, match="nearest"):
        run("models", "info", "gfpgan-v9")


# Every kind of model -------------------------------------------------------------------------------------------------------------------


def test_list_says_what_each_serves_and_on_what_terms() -> None:
    lines = {line.split()[0]: line for line in run("models", "list").splitlines()}
    assert "parse " in lines["parsenet"] and "CC BY-NC-SA 4.0, non-commercial use only" in lines["parsenet"]
    assert "background " in lines["realesrgan-x2plus"] and "BSD-3-Clause  " in lines["realesrgan-x2plus"]
    assert "training " in lines["vgg19"] and "ask before commercial use" in lines["vgg19"]
    told = {each["name"]: each for each in json.loads(run("models", "list", "--json", "--all"))}
    assert told["codeformer"]["commercial"] == "no" and told["retinaface-resnet50"]["serves"] == "detect"
    assert ["commercial", "no"] in [line.split() for line in run("models", "info", "codeformer").splitlines()]


@pytest.fixture
def kinds(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, catalog.Entry]]:
    """A catalog whose upscaler, parser and VGG are small ones on a local server; of the VGG's sum only the beginning is known."""
    from facewright.nets.parsenet import ParseNet
    from facewright.nets.realesrgan import SRVGGNetCompact

    torch.manual_seed(0)
    files = {
        "realesrgan-animevideov3": {"params": SRVGGNetCompact(num_feat=4, num_conv=1, upscale=2).state_dict()},
        "parsenet": ParseNet(32, 32, 8, 8, 5, 1, ch_range=(4, 16)).state_dict(),
        "vgg19": zeros(torchvision("vgg19", 8)),
    }
    known = dict(catalog.entries())
    for name, content in files.items():
        data = save(tmp_path / "file.pth", content).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()[: 8 if name == "vgg19" else 64]
        known[name] = replace(known[name], url=server.offer(f"{name}.pth", data), bytes=None, about_bytes=len(data), sha256=sha256)
    catalog._names.cache_clear()
    monkeypatch.setattr(catalog, "entries", lambda: known)
    yield known
    catalog._names.cache_clear()


def test_every_kind_is_fetched_verified_and_told_of(kinds: dict[str, catalog.Entry]) -> None:
    said = run("models", "get", "realesrgan-animevideov3", "parsenet", "vgg19")
    assert said.count("is here") == 3 and "licence: CC BY-NC-SA 4.0, non-commercial use only. From PSFRGAN" in said
    verdicts = {each["name"]: each for each in json.loads(run("models", "verify", "--json"))}
    assert {"realesrgan-animevideov3", "parsenet", "vgg19"} <= verdicts.keys()
    assert all(each["ok"] and each["said"] in ("sha256 as published; it loads", "bundled; it loads") for each in verdicts.values())
    assert "Real-ESRGAN upscaler (compact), x2" in run("models", "info", "realesrgan-animevideov3")
    told = json.loads(run("models", "info", "vgg19", "--json"))
    assert told["arguments"]["layers"] == ["conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"] and told["noise"] == {}
    states = {each["name"]: each for each in json.loads(run("doctor", "--json"))["models"]}
    assert states["parsenet"]["state"] == "downloaded" and states["arcface-resnet18"]["do"] == "facewright models get arcface-resnet18"


def test_a_sum_of_which_only_the_beginning_is_known_is_held_to(kinds: dict[str, catalog.Entry], server: Server) -> None:
    path = get(kinds["vgg19"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    verdict = verify(kinds["vgg19"])
    assert not verdict.ok and f"the published file's begins with {kinds['vgg19'].sha256}" in verdict.said
    server.files["/vgg19.pth"] = path.read_bytes()
    with pytest.raises(ModelError, match="what came is not the published file"):
        get(kinds["vgg19"], force=True)


def test_verify_finds_another_network_under_a_models_name(kinds: dict[str, catalog.Entry], house: Path) -> None:
    get(kinds["parsenet"])
    torch.save(tiny_state(), kinds["parsenet"].path)
    kinds["parsenet"] = replace(kinds["parsenet"], sha256=None)
    verdict = verify(kinds["parsenet"])
    assert not verdict.ok and "is not parsenet: it is GFPGAN face restorer, clean flavour, 16 px, where parsenet is due" in verdict.said


def test_info_of_a_file_that_cannot_tell_what_it_is(tmp_path: Path) -> None:
    save(tmp_path / "mine.pth", GFPGAN("bilinear", 16, 8, narrow=1 / 64, num_mlp=1).state_dict())
    with pytest.raises(ModelError, match=r"cannot tell what mine\.pth is") as caught:
        run("models", "info", str(tmp_path / "mine.pth"))
    assert "mine.pth:flavour=bilinear" in caught.value.what_to_do
    assert "bilinear flavour, 16 px" in run("models", "info", f"{tmp_path / 'mine.pth'}:flavour=bilinear")


# doctor --------------------------------------------------------------------------------------------------------------------------------


def test_doctor_is_content() -> None:
    told = json.loads(run("doctor", "--json"))
    assert told["ok"] and told["packages"]["torch"] and told["devices"]["cpu"]["available"]
    states = {each["name"]: each for each in told["models"]}
    assert states["gfpgan-mini"]["ok"] is True and states["gfpgan-v1.4"]["do"] == "facewright models get gfpgan-v1.4"
    assert not any("gfpgan-v1" in each["what"] for each in told["to_do"])  # not to have fetched a model is no fault
    said = run("doctor")
    assert "--device auto takes this" in said and "FACEWRIGHT_CACHE" in said


@pytest.mark.parametrize("damage", ["missing", "cut", "another network"])
def test_doctor_fails_without_the_default_model(house: Path, damage: str) -> None:
    path = house / "bundled" / "gfpgan-mini.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        save_file({"linear.weight": torch.ones(2, 2)}, path)
    said = run("doctor", code=4)
    assert "the model gfpgan-mini cannot be used" in said and "install facewright again" in said
    assert json.loads(run("doctor", "--json", code=4))["ok"] is False


def test_doctor_names_what_is_missing(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "httpx" else real(name))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    (house / "cache" / "models").mkdir(parents=True)
    (house / "cache" / "models" / "GFPGANv1.4.pth").write_bytes(b"half")
    to_do = {each["what"]: each["do"] for each in json.loads(run("doctor", "--json"))["to_do"]}
    assert to_do["httpx is missing"] == "pip install httpx"
    assert any("disk has" in what for what in to_do)
    assert to_do["the model gfpgan-v1.4 cannot be used (its file has another size than the published one)"].endswith("--force gfpgan-v1.4")


def test_doctor_says_when_the_cache_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path / "file"))
    assert "cannot be written" in run("doctor")
