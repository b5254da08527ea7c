"""`facewright serve` as its clients have it: a real process, a real socket, the real default model."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from driving import EXAMPLES, Run
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel
from serving import Events, Served, encoded, opened, service, slow_photo, until
from skimage import data

import facewright
from facewright.app import Options, schemas

pytestmark = pytest.mark.xdist_group("service")

KINDS = {
    "astronaut-faded.jpg": "image/jpeg",
    "album-page.png": "image/png",
    "thumbnail.webp": "image/webp",
    "rgb16.png": "image/png",
    "coffee.png": "image/png",
}
"""Photos of the album, and what they are: turned by EXIF; grey, with three faces; small; of 16 bits; without a face."""


@dataclass
class Album:
    folder: Path
    out: Path

    def photo(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def restored(self, name: str) -> bytes:
        """By the command."""
        (found,) = self.out.glob(f"{Path(name).stem}.*")
        return found.read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with service(tmp_path_factory.mktemp("service")) as served:
        yield served
        assert served.stop() == 0
        assert served.errors == "", "nothing of what clients did is worth a word on stderr"


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8], run: Run) -> Album:
    folder, out = tmp_path_factory.mktemp("album"), tmp_path_factory.mktemp("restored")
    for name in ("astronaut-faded.jpg", "album-page.png", "thumbnail.webp"):
        shutil.copy(EXAMPLES / name, folder)
    deep = portrait.astype(np.uint16) * 257 + np.random.default_rng(0).integers(0, 200, portrait.shape, np.uint16)
    cv2.imwrite(str(folder / "rgb16.png"), deep[..., ::-1])
    Image.fromarray(data.coffee()[::2, ::2]).save(folder / "coffee.png")
    ran = run("restore", folder, "-o", out, "--quiet", "--device", "cpu")
    assert ran.code == 0, ran.errors
    return Album(folder, out)


@pytest.fixture(scope="module")
def small(portrait: NDArray[np.uint8]) -> bytes:
    return encoded(portrait, quality=92)


@pytest.fixture(scope="module")
def two(portrait: NDArray[np.uint8]) -> bytes:
    """The same face twice."""
    return encoded(np.hstack([portrait, portrait[:, ::-1]]), quality=92)


@pytest.fixture(scope="module")
def kept(served: Served, two: bytes) -> tuple[str, dict[str, Any]]:
    """A job with one restored photo of two faces, for tests that leave it as it is."""
    job, (photo,) = served.done(("two.jpg", two))
    return job, photo


def refused(answer: httpx.Response, status: int) -> str:
    """The words of an error in the one shape that all have; no place of the server's disk is among them."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = schemas.Refusal.model_validate_json(answer.text).error
    assert error.what and set(answer.json()["error"]) == set(schemas.Problem.model_fields)
    words = f"{error.what}: {error.why}; {error.what_to_do}"
    assert not re.search(r"/(tmp|root|home|usr|work|var)\b|facewright-serve-|[0-9a-f]{32}|Traceback|--[a-z]", words), words
    return words


def fits(schema: type[BaseModel], answer: Any) -> None:
    """Every field of the answer is told in the schema, and none is missing."""
    told = schema.model_validate(answer).model_dump(mode="json", by_alias=True)
    assert told == json.loads(json.dumps(answer))


# One photo ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("way", ["body", "part"])
def test_the_photo_is_the_very_one_that_the_command_writes(served: Served, album: Album, name: str, way: str) -> None:
    if way == "body":
        answer = served.restore(album.photo(name), KINDS[name], name=name)
    else:
        answer = served.client.post("/v1/restore", files={"photo": (name, album.photo(name), KINDS[name])})
    assert answer.status_code == 200, answer.text
    assert answer.content == album.restored(name)
    assert answer.headers["content-type"] == KINDS[name]
    assert f'filename="{Path(name).stem}-restored{Path(name).suffix}"' in answer.headers["content-disposition"]
    assert answer.headers["x-facewright-faces"] == {"album-page.png": "3", "coffee.png": "0"}.get(name, "1")


def test_exif_profile_and_resolution_travel_and_the_photo_stands_upright(served: Served, album: Album) -> None:
    before = opened(album.photo("astronaut-faded.jpg"))
    after = opened(served.restore(album.photo("astronaut-faded.jpg")).content)
    assert (before.getexif()[0x0112], after.getexif().get(0x0112, 1)) == (6, 1)
    assert after.size == before.size[::-1]
    assert after.getexif()[0x010E] == before.getexif()[0x010E]
    assert after.getexif().get_ifd(0x8769)[0x9003] == "1992:07:13 10:30:00"
    assert (after.info["icc_profile"], after.info["dpi"]) == (before.info["icc_profile"], before.info["dpi"])


def test_metadata_can_be_left_out(served: Served, album: Album) -> None:
    after = opened(served.restore(album.photo("astronaut-faded.jpg"), metadata="strip").content)
    assert 0x010E not in after.getexif()


def test_sixteen_bits_stay(served: Served, album: Album) -> None:
    answer = served.restore(album.photo("rgb16.png"), "image/png")
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16 and len(np.unique(pixels)) > 256


def test_a_photo_without_faces_comes_back_as_it_was_with_a_word(served: Served, album: Album) -> None:
    assert_array_equal(np.asarray(opened(served.restore(album.photo("coffee.png")).content)), np.asarray(opened(album.photo("coffee.png"))))
    told = served.restore(album.photo("coffee.png"), answer="json").json()
    assert told["faces"] == [] and told["photo"]["report"]["notes"] == ["no face was found"]


def test_json_has_the_faces_and_a_link_that_works(served: Served, album: Album) -> None:
    answer = served.client.post(
        "/v1/restore",
        content=album.photo("album-page.png"),
        headers={"Content-Type": "image/png", "Accept": "application/json"},
        params={"name": "page.png"},
    )
    told = answer.json()
    fits(schemas.Restored, told)
    assert [face["face"] for face in told["faces"]] == [0, 1, 2]
    assert {face["action"] for face in told["faces"]} <= {"restored", "blended"}
    assert told["photo"]["result"]["name"] == "page-restored.png"
    fetched = served.client.get(told["link"])
    assert fetched.content == album.restored("album-page.png") and fetched.headers["content-type"] == "image/png"
    assert len(fetched.content) == told["photo"]["result"]["bytes"]
    assert served.client.delete(f"/v1/jobs/{told['job']}").status_code == 204
    refused(served.client.get(told["link"]), 404)


def test_an_answer_as_a_photo_leaves_nothing_behind(served: Served, small: bytes) -> None:
    before = served.files
    served.restore(small)
    assert served.files == before


def test_options_count_in_the_query_and_as_json(served: Served, small: bytes) -> None:
    plain, half = served.restore(small).content, served.restore(small, strength=0.5)
    assert half.content != plain
    parts = {"photo": ("x.jpg", small), "options": (None, json.dumps({"strength": 0.5}))}
    assert served.client.post("/v1/restore", files=parts).content == half.content
    assert served.client.post("/v1/restore", files={"photo": ("x.jpg", small), "strength": (None, "0.5")}).content == half.content
    # what the part says goes before what the query says
    assert served.client.post("/v1/restore?strength=0.1", files=parts).content == half.content


def test_the_format_can_be_chosen(served: Served, small: bytes) -> None:
    answer = served.restore(small, format="webp", quality=60, name="a.jpg")
    assert answer.headers["content-type"] == "image/webp" and opened(answer.content).format == "WEBP"
    assert 'filename="a-restored.webp"' in answer.headers["content-disposition"]


def test_an_enlarged_photo(served: Served, small: bytes) -> None:
    assert opened(served.restore(small, upscale=2).content).size == (620, 640)


def test_faces_are_chosen(served: Served, two: bytes) -> None:
    faces = served.restore(two, answer="json", faces="1").json()["faces"]
    assert faces[0]["action"] == "left alone" and faces[0]["reasons"][0].startswith("not chosen")
    assert faces[1]["action"] in ("restored", "blended")
    assert "--" not in str(faces), "a client knows no options of the command"


# What cannot be done --------------------------------------------------------------------------------------------------------------------


def test_a_broken_photo_is_told_in_one_sentence(served: Served, small: bytes) -> None:
    before = served.files
    words = refused(served.restore(small[: len(small) // 3], name="grandma.jpg"), 422)
    assert words.startswith("cannot read grandma.jpg: it ends after") and "salvage" in words
    assert served.restore(small[: len(small) // 3], salvage="true").status_code == 200
    assert served.files == before


@pytest.mark.parametrize(
    ("sent", "why"), [(b"", "it is empty"), (b"Dear aunt, the photo is lost", "text"), (b"%PDF-1.4 ....", "a PDF document")]
)
def test_what_is_no_picture(served: Served, sent: bytes, why: str) -> None:
    assert why in refused(served.restore(sent, name="x.jpg"), 422)
    assert why in refused(served.client.post("/v1/restore", files={"photo": ("x.jpg", sent)}), 422)


def refusals() -> dict[str, tuple[int, str, dict[str, Any]]]:
    """Requests to /v1/restore, by what is wrong with them: status, words of the answer, what is sent."""
    photo = {"photo": ("x.jpg", b"x")}
    return {
        "unknown option": (400, "strength", {"params": {"strenght": "1"}}),
        "unknown option as json": (400, "use: strength", {"files": photo | {"options": (None, '{"strenght": 1}')}}),
        "unknown field": (400, "use: strength", {"files": photo | {"strenght": (None, "0.5")}}),
        "word for a number": (400, "it is a number", {"params": {"strength": "much"}}),
        "truth for a number": (400, "it is a number", {"files": photo | {"options": (None, '{"strength": true}')}}),
        "half a seed": (400, "a whole number", {"params": {"seed": "1.5"}}),
        "out of range": (400, "strength cannot be 2.0", {"params": {"strength": "2"}}),
        "object for a name": (400, "model cannot be", {"files": photo | {"options": (None, '{"model": {"a": 1}}')}}),
        "nothing for a model": (400, "model cannot be nothing", {"files": photo | {"options": (None, '{"model": null}')}}),
        "no number": (400, "strength cannot be", {"files": photo | {"options": (None, '{"strength": NaN}')}}),
        "unknown format": (400, "cannot write a photo as 'xcf'", {"params": {"format": "xcf"}}),
        "wrong faces": (400, "faces", {"params": {"faces": "both"}}),
        "half a character": (400, "faces", {"files": photo | {"options": (None, '{"faces": "\\ud800"}')}}),
        "options are no json": (400, "are no JSON", {"files": photo | {"options": (None, "{strength")}}),
        "options are a list": (400, "no JSON object", {"files": photo | {"options": (None, "[]")}}),
        "unknown answer": (400, "image, json", {"params": {"answer": "xml"}}),
        "unknown model": (409, "gfpgan-mini", {"params": {"model": "gfpgan-minni"}}),
        "model of another kind": (400, "restores no faces", {"params": {"model": "mtcnn"}}),
        "background of another kind": (400, "fills no background", {"params": {"background": "gfpgan-mini"}}),
        "model by path": (409, "no model named", {"params": {"model": "/etc/passwd"}}),
        "model by file": (409, "no model named", {"params": {"model": "x.pth"}}),
        "model by what is said beside it": (409, "no model named", {"params": {"model": "gfpgan-mini:flavour=bilinear"}}),
        "background by path": (409, "no model named", {"params": {"background": "/etc/passwd"}}),
        "two photos": (400, "2 photos came", {"files": [("photo", ("a.jpg", b"x")), ("photo", ("b.jpg", b"x"))]}),
        "no photo": (400, "0 photos came", {"files": {"options": (None, "{}")}}),
        "nothing at all": (400, "0 photos came", {}),
        "unknown part": (400, "'picture'", {"files": {"picture": ("a.jpg", b"x")}}),
        "a photo without a file name": (400, "without a file name", {"data": {"photo": "x"}, "files": {"options": (None, "{}")}}),
        "no multipart at all": (400, "cannot read", {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}),
        "no boundary": (400, "cannot read", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
        "a form": (415, "cannot take application/x-www-form-urlencoded", {"data": {"a": "b"}}),
        "a text": (415, "cannot take text/plain", {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_is_refused(served: Served, case: str) -> None:
    status, said, request = refusals()[case]
    if "params" in request:
        request |= {"content": b"x", "headers": {"Content-Type": "image/jpeg"}}
    before = served.files
    words = refused(served.client.post("/v1/restore", **request), status)
    assert said in words
    assert "path of" not in words, "no client can give a path"
    assert served.files == before


def test_the_nearest_option_is_named_first(served: Served) -> None:
    words = refused(served.restore(b"x", strenght="1"), 400)
    assert words.endswith("use: strength") or "use: strength," in words


def test_a_model_that_is_not_here(served: Served, small: bytes) -> None:
    words = refused(served.restore(small, model="codeformer"), 409)
    assert "codeformer is not" in words and "fetch codeformer first" in words


def test_a_weight_file_in_the_working_folder_is_no_model(tmp_path: Path, small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    # the published name of gfpgan-v1.4: who may write into the folder must not choose what is loaded
    here = tmp_path / "here"
    here.mkdir()
    for name in ("GFPGANv1.4.pth", "gfpgan-v1.4", "realesrgan-x2plus"):
        (here / name).write_bytes(b"this was opened")
    monkeypatch.chdir(here)
    with service(tmp_path) as served:
        for name in ("GFPGANv1.4.pth", "gfpgan-v1.4"):
            assert "gfpgan-v1.4 is not on this machine" in refused(served.restore(small, model=name), 409)
        assert "is not on this machine" in refused(served.restore(small, background="realesrgan-x2plus"), 409)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/jobs/none", "GET", 404),
        ("/v1/jobs/none/events", "GET", 404),
        ("/v1/jobs/none/zip", "GET", 404),
        ("/v1/jobs/none", "DELETE", 404),
        ("/v1/jobs/..%2f..%2fetc", "GET", 404),
        ("/v1/restore", "GET", 405),
        ("/nothing", "GET", 404),
        ("/page/..%2fapi.py", "GET", 404),
        ("/page/%2e%2e/api.py", "GET", 404),
        ("/v1/models/none/fetch", "POST", 409),
        ("/v1/models/..%2fx/fetch", "POST", 404),
    ],
)
def test_what_is_not_there(served: Served, path: str, method: str, status: int) -> None:
    refused(served.client.request(method, path), status)


# Names ----------------------------------------------------------------------------------------------------------------------------------

NAMES = {
    "../../etc/passwd": "passwd",
    "/etc/x.jpg": "x.jpg",
    "C:\\photos\\y.jpg": "y.jpg",
    "..": "photo",
    "": "photo",
    ".hidden.jpg": "hidden.jpg",
    'a"b.jpg': "a_b.jpg",
    "a\r\nb: c.jpg": "ab_ c.jpg",
    "Großmutter 祖母.jpg": "Großmutter 祖母.jpg",
    "e\u0301.jpg": "\u00e9.jpg",
    "moc\u202egpj.exe": "mocgpj.exe",
    "scan 1.1": "scan 1.1",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_never_paths(served: Served, album: Album, name: str) -> None:
    told = served.restore(album.photo("coffee.png"), name=name, answer="json").json()
    clean = NAMES[name]
    assert told["photo"]["name"] == clean
    result = told["photo"]["result"]["name"]
    assert result == f"{clean.removesuffix('.jpg') if clean.endswith('.jpg') else Path(clean).stem}-restored.png"
    disposition = served.client.get(told["link"]).headers["content-disposition"]
    assert re.fullmatch(r"attachment; filename=\"[ -!#-.0-~]+\"; filename\*=UTF-8''[\w.~%-]+", disposition)
    assert httpx.URL(f"http://x/?{disposition.rsplit(chr(39) * 2)[-1].replace('%', '%')}").query.decode()
    served.client.delete(f"/v1/jobs/{told['job']}")


def test_a_name_in_a_part_is_never_a_path(served: Served, album: Album) -> None:
    job = served.job(*[(name, album.photo("coffee.png")) for name in ("../../etc/x.png", "C:\\a\\z.png", "祖母.png")])
    assert [photo["name"] for photo in job["photos"]] == ["x.png", "z.png", "祖母.png"]
    assert all(re.fullmatch("[0-9a-f]{32}", file.name.removesuffix(".part")) for file in served.files)
    served.client.delete(f"/v1/jobs/{job['id']}")


def test_a_very_long_name_is_cut_to_what_a_disk_can_have(served: Served, album: Album) -> None:
    for name in ("x" * 3000 + ".png", "祖" * 1000 + ".png"):
        told = served.restore(album.photo("coffee.png"), name=name, answer="json").json()
        result = told["photo"]["result"]["name"]
        assert result.endswith("-restored.png") and 60 < len(result.encode()) <= 255
        served.client.delete(f"/v1/jobs/{told['job']}")


# Jobs -----------------------------------------------------------------------------------------------------------------------------------


def test_several_photos_and_what_is_told_of_them(served: Served, small: bytes, two: bytes) -> None:
    job = served.job(("one.jpg", small), ("torn.jpg", small[:2000]), ("two.jpg", two), strength=0.8)
    fits(schemas.Job, job)
    assert job["options"]["strength"] == 0.8 and re.fullmatch(r"[\w-]{20,}", job["id"])
    assert 3590 < job["expires_in"] <= 3600
    one, torn, both = served.ended(job["id"])
    for photo in (one, torn, both):
        fits(schemas.Photo, photo)
    assert [photo["state"] for photo in (one, torn, both)] == ["done", "failed", "done"]
    assert (one["width"], one["height"], one["bytes"], one["version"]) == (310, 320, len(small), 1)
    assert one["report"]["redone"] == {"read": True, "found": True, "computed": 1} and one["options"]["strength"] == 0.8
    assert "cannot read torn.jpg" in torn["error"]["what"] and torn["result"] is None
    assert len(both["report"]["faces"]) == 2
    result = served.client.get(f"/v1/jobs/{job['id']}/photos/2/result")
    assert result.content == served.restore(two, strength=0.8).content
    # a photo that comes later, with another wish
    more = served.client.post(f"/v1/jobs/{job['id']}/photos", files={"photo": ("late.jpg", small), "options": (None, '{"faces": "none"}')})
    assert more.status_code == 202
    fits(schemas.Photos, more.json())
    (late,) = more.json()["photos"]
    assert (late["number"], late["options"]["faces"], late["options"]["strength"]) == (3, "none", 0.8)
    assert served.ended(job["id"])[3]["report"]["faces"][0]["action"] == "left alone"


def test_events_tell_a_job_from_its_beginning_to_its_end(served: Served, small: bytes) -> None:
    job = served.job()["id"]
    events = Events(served, job)
    assert events.kind.startswith("text/event-stream")
    served.client.post(f"/v1/jobs/{job}/photos", files={"photo": ("a.jpg", small)})
    served.ended(job)
    served.client.delete(f"/v1/jobs/{job}/photos/0")
    assert events.first("removed") == {"number": 0}
    served.client.delete(f"/v1/jobs/{job}")
    assert events.first("gone")["why"]
    assert events.ended.wait(10), "the stream ends with the job"

    assert events.kinds[0] == "job" and events.kinds[-2:] == ["removed", "gone"]
    assert set(events.kinds[1:-2]) == {"photo"}
    fits(schemas.Job, events.seen[0][1])
    told = events.of(0)
    for photo in told:
        fits(schemas.Photo, photo)
    states = [photo["state"] for photo in told]
    assert states == sorted(states, key=["waiting", "working", "done"].index), states
    steps = list(dict.fromkeys(photo["step"] for photo in told if photo["state"] == "working"))
    assert steps == ["reading", "finding faces", "restoring faces", "writing"]
    assert told[-1]["version"] == 1 and told[-1]["result"]["name"] == "a-restored.jpg"


def test_again_computes_only_what_changed(served: Served, two: bytes) -> None:
    job, _ = served.done(("two.jpg", two))
    path = f"/v1/jobs/{job}/photos/0"

    def again(**options: Any) -> dict[str, Any]:
        answer = served.client.post(f"{path}/again", json=options)
        assert answer.status_code == 202, answer.text
        fits(schemas.Photo, answer.json())
        assert answer.json()["report"] is not None, "what is there stays until the new result is"
        (photo,) = served.ended(job)
        assert photo["state"] == "done" and photo["error"] is None
        return photo

    def result() -> bytes:
        return served.client.get(f"{path}/result").content

    original = result()
    softer = again(strength=0.4)
    assert softer["report"]["redone"] == {"read": True, "found": False, "computed": 0}
    assert (softer["version"], softer["options"]["strength"]) == (2, 0.4)
    assert result() == served.restore(two, strength=0.4).content != original

    without = again(faces="0")
    assert [face["action"] == "left alone" for face in without["report"]["faces"]] == [False, True]
    assert without["report"]["redone"]["computed"] == 0
    assert result() == served.restore(two, strength=0.4, faces="0").content

    bare = again(faces=[])
    assert bare["options"]["faces"] == "none"
    assert {face["action"] for face in bare["report"]["faces"]} == {"left alone"}

    back = again(faces="all", strength=1)
    assert back["report"]["redone"]["found"] is False and back["version"] == 5
    assert result() == original
    # other options of the network, and none of it is kept
    assert again(seed=5)["report"]["redone"] == {"read": True, "found": False, "computed": 2}


def test_again_refuses_what_makes_no_sense_and_keeps_what_is_there(served: Served, kept: tuple[str, dict[str, Any]]) -> None:
    job, before = kept
    path = f"/v1/jobs/{job}/photos/0/again"
    refused(served.client.post(path, json={"strength": 7}), 400)
    assert "use: strength" in refused(served.client.post(path, json={"strenght": 1}), 400)
    refused(served.client.post(path, json={"model": "/etc/passwd"}), 409)
    (after,) = served.show(job)["photos"]
    assert after == before


def test_again_that_fails_keeps_the_earlier_result(served: Served, small: bytes) -> None:
    job, (before,) = served.done(("a.jpg", small))
    data = served.client.get(f"/v1/jobs/{job}/photos/0/result").content
    assert served.client.post(f"/v1/jobs/{job}/photos/0/again", json={"faces": "7"}).status_code == 202
    (after,) = served.ended(job)
    assert after["state"] == "failed" and "face 7" in after["error"]["what"]
    assert (after["report"], after["result"], after["version"]) == (before["report"], before["result"], 1)
    assert served.client.get(f"/v1/jobs/{job}/photos/0/result").content == data
    served.client.post(f"/v1/jobs/{job}/photos/0/again", json={"faces": "0"})
    assert served.ended(job)[0]["error"] is None


def test_what_waits_and_what_is_begun_can_be_cancelled(served: Served, portrait: NDArray[np.uint8], small: bytes) -> None:
    slow = slow_photo(portrait, 2)
    job = served.job(*[(f"slow{n}.jpg", slow) for n in range(6)], ("last.jpg", small))["id"]
    working = until(lambda: [photo for photo in served.show(job)["photos"] if photo["state"] == "working"])[0]["number"]
    waiting = served.client.post(f"/v1/jobs/{job}/photos/6/cancel")
    assert waiting.status_code == 200 and waiting.json()["state"] == "cancelled"
    fits(schemas.Photo, waiting.json())
    refused(served.client.post(f"/v1/jobs/{job}/photos/{working}/again", json={}), 409)
    for number in range(6):
        assert served.client.post(f"/v1/jobs/{job}/photos/{number}/cancel").status_code == 200
    photos = served.ended(job)
    assert {photo["state"] for photo in photos} == {"cancelled"} and {photo["error"] for photo in photos} == {None}
    assert until(lambda: served.health, lambda health: health["working"] == 0)["queue"] == 0
    refused(served.client.get(f"/v1/jobs/{job}/photos/6/result"), 409)
    # it may be taken up again
    assert served.client.post(f"/v1/jobs/{job}/photos/6/again", json={}).status_code == 202
    assert served.ended(job)[6]["state"] == "done"


def test_who_waits_is_told_how_many_are_before(served: Served, portrait: NDArray[np.uint8], small: bytes) -> None:
    slow = slow_photo(portrait, 1)
    job = served.job(*[("slow.jpg", slow)] * 12, ("a.jpg", small), ("b.jpg", small))
    photos = job["photos"]
    assert photos[-1]["ahead"] == photos[-2]["ahead"] + 1 >= 4
    assert photos[-1]["seconds_left"] > 0, "it has seen photos before"
    served.client.delete(f"/v1/jobs/{job['id']}")


def test_a_removed_photo_is_gone_from_the_disk(served: Served, small: bytes) -> None:
    before = set(served.files)
    job, _ = served.done(("a.jpg", small), ("b.jpg", small))
    assert len(set(served.files) - before) == 4
    assert served.client.delete(f"/v1/jobs/{job}/photos/0").status_code == 204
    refused(served.client.get(f"/v1/jobs/{job}/photos/0"), 404)
    assert served.client.get(f"/v1/jobs/{job}/photos/1").json()["name"] == "b.jpg"
    assert len(set(served.files) - before) == 2
    assert served.client.delete(f"/v1/jobs/{job}").status_code == 204
    assert set(served.files) <= before
    for path in ("", "/events", "/zip", "/photos/1", "/photos/1/result", "/photos/1/before.jpg"):
        assert "there is no such job" in refused(served.client.get(f"/v1/jobs/{job}{path}"), 404)


def test_a_job_that_is_removed_while_it_is_worked_on_leaves_nothing(served: Served, portrait: NDArray[np.uint8]) -> None:
    before = served.files
    job = served.job(*[("slow.jpg", slow_photo(portrait, 1))] * 4)["id"]
    until(lambda: served.health["working"])
    assert served.client.delete(f"/v1/jobs/{job}").status_code == 204
    until(lambda: served.health, lambda health: health["working"] == health["queue"] == 0)
    until(lambda: served.files, lambda files: files == before)


def test_the_private_folder_is_private(served: Served) -> None:
    assert served.folder.stat().st_mode & 0o077 == 0


def test_all_results_in_one_archive(served: Served, small: bytes, album: Album) -> None:
    job, _ = served.done(
        ("a.jpg", small), ("A.JPG", small), ("x/a.jpg", small), ("a-restored-2.jpg", small), ("祖母.png", album.photo("coffee.png"))
    )
    before = served.files
    answer = served.client.get(f"/v1/jobs/{job}/zip")
    assert answer.headers["content-type"] == "application/zip" and "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len({name.lower() for name in names}) == 5 and {"a-restored.jpg", "祖母-restored.png"} <= set(names)
        assert archive.read("a-restored.jpg") == served.client.get(f"/v1/jobs/{job}/photos/0/result").content
    until(lambda: served.files, lambda files: files == before)


def test_an_archive_of_nothing_is_refused(served: Served) -> None:
    refused(served.client.get(f"/v1/jobs/{served.job()['id']}/zip"), 409)


@pytest.mark.parametrize("which", ["before", "after"])
def test_previews(served: Served, kept: tuple[str, dict[str, Any]], two: bytes, which: str) -> None:
    path = f"/v1/jobs/{kept[0]}/photos/0/{which}.jpg"
    large, little = served.client.get(path), served.client.get(path, params={"side": 64, "v": 1})
    assert large.headers["content-type"] == little.headers["content-type"] == "image/jpeg"
    assert opened(large.content).size == (620, 320)
    assert opened(little.content).size == (64, 33) and opened(little.content).format == "JPEG"
    full = served.client.get(f"/v1/jobs/{kept[0]}/photos/0/result").content if which == "after" else two
    difference = np.abs(np.asarray(opened(large.content), float) - np.asarray(opened(full), float))
    assert difference.mean() < 4
    for side in (15, 4097, "big"):
        assert "side" in refused(served.client.get(path, params={"side": side}), 400)


def test_a_preview_stands_upright_and_in_srgb(served: Served, album: Album) -> None:
    job, _ = served.done(("faded.jpg", album.photo("astronaut-faded.jpg")))
    picture = opened(served.client.get(f"/v1/jobs/{job}/photos/0/before.jpg").content)
    assert picture.size == (652, 820) and "icc_profile" not in picture.info


def test_no_preview_before_there_is_a_picture(served: Served, portrait: NDArray[np.uint8], small: bytes) -> None:
    job = served.job(*[("slow.jpg", slow_photo(portrait, 1))] * 8, ("a.jpg", small))["id"]
    for which in ("before.jpg", "after.jpg", "result"):
        refused(served.client.get(f"/v1/jobs/{job}/photos/8/{which}"), 409)
    served.client.delete(f"/v1/jobs/{job}")


def test_jobs_do_not_know_of_each_other(served: Served, kept: tuple[str, dict[str, Any]]) -> None:
    other = served.job()["id"]
    assert other != kept[0]
    refused(served.client.get(f"/v1/jobs/{other}/photos/0"), 404)
    refused(served.client.get("/v1/jobs"), 405)


@pytest.mark.parametrize("sent", [{"strenght": 0.5}, {"strength": 9}, {"options": [1]}, {"options": {"strenght": 1}}, {"while": True}])
def test_a_job_with_fields_that_nobody_knows_is_refused(served: Served, sent: dict[str, Any]) -> None:
    refused(served.client.post("/v1/jobs", json=sent), 400)


def test_options_in_the_query_of_a_job_are_not_passed_over(served: Served) -> None:
    answer = served.client.post("/v1/jobs", params={"strength": "0.5"})
    assert answer.status_code == 400 or answer.json()["options"]["strength"] == 0.5


def test_a_photo_that_is_refused_in_a_row_takes_the_others_with_it(served: Served, small: bytes) -> None:
    before = served.files
    parts = [("photo", ("a.jpg", small)), ("photo", ("b.jpg", small)), ("options", (None, '{"strength": 9}'))]
    refused(served.client.post("/v1/jobs", files=parts), 400)
    assert served.files == before


# What the service says of itself --------------------------------------------------------------------------------------------------------


def test_about_and_models(served: Served) -> None:
    about = served.client.get("/v1/about").json()
    fits(schemas.About, about)
    assert about["version"] == facewright.__version__ and about["keep_minutes"] == 60
    assert about["limits"]["bytes"] == 100 * 2**20 and about["limits"]["pixels"] == 100_000_000
    assert Options(**about["options"]) == Options()
    assert {".jpg", ".png", ".webp", ".heic"} <= set(about["formats"])
    models = served.client.get("/v1/models").json()
    fits(schemas.Models, models)
    known = {model["name"]: model for model in models["models"]}
    assert {name for name, model in known.items() if model["default"]} == {"gfpgan-mini"}
    assert known["gfpgan-mini"]["where"] == "bundled" and known["gfpgan-mini"]["usable"]
    assert known["codeformer"]["where"] == "missing" and known["codeformer"]["has_fidelity"] and not known["codeformer"]["usable"]
    assert known["codeformer"]["bytes"] > 3e8 and "non-commercial" in known["codeformer"]["licence"]
    assert known["realesrgan-x2plus"]["has_fidelity"] is None
    assert all(model["fetch"] is None for model in known.values())


def test_nothing_is_fetched_before_its_licence_is_accepted(served: Served) -> None:
    for sent in ({}, {"accept_licence": False}):
        assert "non-commercial" in refused(served.client.post("/v1/models/codeformer/fetch", json=sent), 400)
    models = served.client.get("/v1/models").json()["models"]
    assert next(model for model in models if model["name"] == "codeformer")["fetch"] is None
    here = served.client.post("/v1/models/gfpgan-mini/fetch", json={})
    assert here.status_code == 202
    fits(schemas.Model, here.json())


def test_measures_count(served: Served, small: bytes) -> None:
    kinds = ("facewright_photos_total", "facewright_faces_total", "facewright_photo_seconds_count", "facewright_upload_bytes_total")

    def counts() -> list[float]:
        return [served.measure(kind) for kind in kinds]

    failed = served.measure("facewright_photos_total", outcome="failed")
    requests = served.measure("facewright_requests_total", route="/v1/restore", status="200")
    before = counts()
    served.restore(small)
    assert [after - earlier for earlier, after in zip(before, counts(), strict=True)] == [1, 1, 1, len(small)]
    served.restore(small[:2000])
    assert served.measure("facewright_photos_total", outcome="failed") == failed + 1
    assert served.measure("facewright_requests_total", route="/v1/restore", status="200") == requests + 1
    assert served.measure("facewright_networks") <= 2
    assert served.measure("facewright_resident_bytes") > 1e8
    assert served.measure("facewright_queue_photos") == 0


def test_measures_do_not_grow_with_what_strangers_ask_for(served: Served) -> None:
    def routes() -> set[str]:
        return set(re.findall(r'route="([^"]*)"', served.client.get("/metrics").text))

    before = routes()
    for number in range(20):
        served.client.get(f"/stranger/{number}")
        served.client.get(f"/v1/jobs/{number}")
        served.client.get(f"/page/{number}.js")
    assert len(routes() - before) <= 3 and not any("stranger" in route for route in routes())


def test_openapi_tells_all_that_there_is(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    calls = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert {("post", "/v1/restore"), ("post", "/v1/jobs"), ("get", "/v1/models"), ("get", "/healthz"), ("get", "/metrics")} <= calls
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, f"{reference} leads nowhere"
            found = found[part]
    query = {parameter["name"] for parameter in document["paths"]["/v1/restore"]["post"]["parameters"]}
    assert query == {"name", "answer", *vars(Options())}
    body = document["paths"]["/v1/restore"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/*"} <= set(body)
    answers = document["paths"]["/v1/restore"]["post"]["responses"]
    assert {"200", "413", "422", "429"} <= set(answers)


def test_the_documents_need_nothing_from_elsewhere(served: Served) -> None:
    page = served.client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert links and all(link.startswith("/") and not link.startswith("//") for link in links), links
    for link in links:
        assert served.client.get(link).status_code == 200, link


def test_the_page_is_there(served: Served) -> None:
    page = served.client.get("/")
    assert page.headers["content-type"].startswith("text/html") and "<title>" in page.text
    for link in re.findall(r"""(?:src|href)=["'](/[^"'#]+)""", page.text):
        assert served.client.get(link).status_code == 200, link
    assert served.client.get("/page/").status_code == 404, "a folder is not listed"
