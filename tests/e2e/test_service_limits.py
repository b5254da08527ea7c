"""What `facewright serve` does not let happen: too much, too long, from the wrong place; and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from driving import EXAMPLES, Run
from numpy.typing import NDArray
from serving import Events, Served, encoded, service, slow_photo, until

from facewright.app import schemas

pytestmark = pytest.mark.xdist_group("service")

PAGE = "album-page.png"
"""Of the examples: three faces, 0.26 megapixels."""
LARGEST = 0.5
"""Megabytes of a photo."""
DEAD = 2**22 + 1
"""A process that cannot be: the system counts to 2^22."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One worker, room for one photo to wait, four jobs."""
    options = ("--workers", "1", "--queue", "1", "--max-jobs", "4", "--max-megabytes", str(LARGEST))
    with service(tmp_path_factory.mktemp("narrow"), *options) as served:
        yield served
        assert served.stop() == 0
        assert served.errors == ""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Asks for a token, may be called by a friend's pages, and takes two faces, 0.3 megapixels and two megabytes."""
    options = (
        "--token",
        "sesame",
        "--allow-origin",
        "https://friend.example",
        "--max-faces",
        "2",
        "--pixel-limit",
        "0.3",
        "--max-gigabytes",
        "0.002",
    )
    with service(tmp_path_factory.mktemp("guarded"), *options, headers={"Authorization": "Bearer sesame"}) as served:
        yield served
        assert served.stop() == 0
        assert served.errors == "" and "sesame" not in served.address


@pytest.fixture(scope="module")
def small(portrait: NDArray[np.uint8]) -> bytes:
    return encoded(portrait, quality=90)


@pytest.fixture(scope="module")
def slow(portrait: NDArray[np.uint8]) -> bytes:
    """Keeps one worker busy for some seconds."""
    return slow_photo(portrait, 1)


@pytest.fixture
def busy(narrow: Served, slow: bytes) -> Iterator[str]:
    """A job whose photo is being worked on, for some seconds; nothing waits."""
    idle(narrow)
    job = narrow.job(("slow.jpg", slow))["id"]
    until(lambda: narrow.health, lambda health: health["working"] == 1 and health["queue"] == 0)
    yield job
    narrow.client.delete(f"/v1/jobs/{job}")


def idle(served: Served) -> None:
    until(lambda: served.health, lambda health: health["working"] == health["queue"] == 0)


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = schemas.Refusal.model_validate_json(answer.text).error
    words = f"{error.what}: {error.why}; {error.what_to_do}"
    assert not re.search(r"/(tmp|root|home|usr|work|var)\b|facewright-serve-|[0-9a-f]{32}|Traceback", words), words
    return words


def raw(served: Served, head: dict[str, Any], body: bytes = b"", path: str = "/v1/restore") -> socket.socket:
    """A client of bare bytes, which sends what it is told, and no more."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{served.port}", *[f"{name}: {value}" for name, value in head.items()]]
    client = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    client.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return client


# How much -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("times", [1.01, 60])
def test_what_is_too_large_is_refused(narrow: Served, honest: bool, times: float) -> None:
    before, size = narrow.files, int(LARGEST * 2**20 * times)

    def chunks() -> Iterator[bytes]:
        for _ in range(0, size, 2**16):
            yield bytes(2**16)

    content = bytes(size) if honest else chunks()
    answer = narrow.client.post("/v1/restore?name=big.jpg", content=content, headers={"Content-Type": "image/jpeg"})
    assert "cannot take big.jpg: it is larger than" in refused(answer, 413)
    assert narrow.files == before and narrow.measure("facewright_jobs") == 0


def test_what_is_too_large_as_a_part_is_refused_and_its_neighbours_with_it(narrow: Served, small: bytes) -> None:
    before = narrow.files
    photos = [("photo", ("a.jpg", small)), ("photo", ("big.jpg", bytes(int(LARGEST * 2**20) + 1)))]
    assert "big.jpg" in refused(narrow.client.post("/v1/jobs", files=photos), 413)
    assert narrow.files == before and narrow.measure("facewright_jobs") == 0


def test_the_limit_is_told_with_its_number(narrow: Served) -> None:
    words = refused(narrow.restore(bytes(2**20)), 413)
    assert "0.5 MiB" in words or "512 KiB" in words


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"])
def test_a_length_that_nobody_can_send_is_refused_at_once(narrow: Served, kind: str) -> None:
    with raw(narrow, {"Content-Type": kind, "Content-Length": 10**15}) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_options_have_a_size_too(narrow: Served) -> None:
    sent = json.dumps({"options": {"model": "x" * 2**21}})
    refused(narrow.client.post("/v1/jobs", content=sent, headers={"Content-Type": "application/json"}), 413)


def test_a_full_queue_says_when_to_come_again_and_loses_nothing(narrow: Served, busy: str, small: bytes) -> None:
    waits = narrow.job(("waits.jpg", small))["id"]
    before = narrow.files
    for answer in (
        narrow.restore(small),
        narrow.client.post(f"/v1/jobs/{waits}/photos", files={"photo": ("b.jpg", small)}),
        narrow.client.post("/v1/jobs", files={"photo": ("b.jpg", small)}),
    ):
        assert "waiting" in refused(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
    assert narrow.files == before and len(narrow.show(waits)["photos"]) == 1
    assert [photo["state"] for photo in narrow.ended(busy) + narrow.ended(waits)] == ["done", "done"]
    assert narrow.restore(small).status_code == 200
    narrow.client.delete(f"/v1/jobs/{waits}")


def test_the_first_who_is_refused_is_told_when_to_come_again(tmp_path: Path, slow: bytes) -> None:
    # it has not seen how long a photo takes
    with service(tmp_path, "--workers", "1", "--queue", "1") as served:
        first = served.job(("a.jpg", slow))["id"]
        until(lambda: served.health["working"])
        served.job(("b.jpg", slow))
        answer = served.restore(slow)
        refused(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
        # a second signal ends the service at once, whatever it has in hand
        assert served.show(first)["photos"][0]["state"] == "working"
        served.process.send_signal(signal.SIGTERM)
        until(lambda: served.health, lambda health: health["status"] == "stopping")
        began = time.monotonic()
        assert served.stop() == 0
        assert time.monotonic() - began < 8
        assert not list(tmp_path.glob("facewright-serve-*"))


def test_photos_of_a_request_that_do_not_all_fit_are_not_taken_at_all(narrow: Served, busy: str, small: bytes) -> None:
    before = narrow.files
    refused(narrow.client.post("/v1/jobs", files=[("photo", (f"{n}.jpg", small)) for n in range(5)]), 429)
    assert narrow.files == before and narrow.health["queue"] == 0


def test_there_are_so_many_jobs_and_no_more(narrow: Served) -> None:
    idle(narrow)
    jobs = [narrow.job()["id"] for _ in range(4)]
    answer = narrow.client.post("/v1/jobs", json={})
    assert "4 are open already" in refused(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1
    narrow.client.delete(f"/v1/jobs/{jobs[0]}")
    for job in [*jobs[1:], narrow.job()["id"]]:
        narrow.client.delete(f"/v1/jobs/{job}")


def test_a_disk_that_is_full_is_told_and_freed_again(guarded: Served, portrait: NDArray[np.uint8]) -> None:
    heavy = encoded(portrait) + bytes(1_200_000)
    job = guarded.job(("a.jpg", heavy))["id"]
    for files in ({"photo": ("b.jpg", heavy)}, None):
        answer = guarded.client.post("/v1/jobs", files=files) if files else guarded.restore(heavy)
        assert "disk space is used up" in refused(answer, 507)
        assert int(answer.headers["retry-after"]) >= 1
    guarded.client.delete(f"/v1/jobs/{job}")
    assert guarded.restore(heavy).status_code == 200


def test_megapixels_are_limited(guarded: Served, portrait: NDArray[np.uint8]) -> None:
    words = refused(guarded.restore(slow_photo(portrait, 0.5), name="wide.jpg"), 422)
    assert "wide.jpg" in words and "megapixel" in words and "--" not in words
    # a picture that says that it is large is not unpacked first
    bomb = encoded(np.zeros((9000, 9000), np.uint8), "PNG")
    assert len(bomb) < 2**18
    before = guarded.measure("facewright_resident_bytes")
    refused(guarded.restore(bomb, "image/png"), 422)
    assert guarded.measure("facewright_resident_bytes") - before < 40e6


def test_the_largest_faces_are_restored_and_the_others_are_told_why_not(guarded: Served) -> None:
    answer = guarded.restore((EXAMPLES / PAGE).read_bytes(), "image/png", answer="json")
    faces = answer.json()["faces"]
    alone = [face for face in faces if face["action"] == "left alone"]
    assert len(faces) == 3 and len(alone) == 1
    assert alone[0]["reasons"][-1] == "this service restores 2 faces of a photo, the largest ones"

    def area(face: dict[str, Any]) -> float:
        x1, y1, x2, y2 = face["box"]
        return (x2 - x1) * (y2 - y1)

    assert min(faces, key=area) is alone[0]
    assert guarded.client.get("/v1/about").json()["limits"]["faces"] == 2


# Slow, broken and gone clients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"])
def test_a_client_that_stalls_keeps_nobody_waiting(narrow: Served, small: bytes, kind: str) -> None:
    idle(narrow)
    stalled = [raw(narrow, {"Content-Type": kind, "Content-Length": len(small)}, small[:2000]) for _ in range(30)]
    try:
        began = time.monotonic()
        assert narrow.restore(small).status_code == 200
        assert time.monotonic() - began < 15
        assert narrow.health["queue"] == 0
    finally:
        for client in stalled:
            client.close()


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("path", ["/v1/restore", "/v1/jobs"])
def test_an_upload_that_breaks_off_leaves_nothing(narrow: Served, small: bytes, kind: str, path: str) -> None:
    idle(narrow)
    photos = narrow.measure("facewright_photos_total")
    part = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' if "multipart" in kind else b""
    with raw(narrow, {"Content-Type": kind, "Content-Length": len(small) + 500}, part + small[:-2000], path) as client:
        if "image" in kind:
            until(lambda: narrow.files)
        client.shutdown(socket.SHUT_WR)
    until(lambda: narrow.files, lambda files: not files)
    assert narrow.measure("facewright_photos_total") == photos and narrow.measure("facewright_jobs") == 0


def test_who_goes_away_frees_his_place(narrow: Served, busy: str, small: bytes) -> None:
    with raw(narrow, {"Content-Type": "image/jpeg", "Content-Length": len(small)}, small):
        until(lambda: narrow.health["queue"] == 1)
        refused(narrow.restore(small), 429)
    assert until(lambda: narrow.health, lambda health: health["queue"] == 0)["working"] == 1, "the other photo goes on"
    assert narrow.measure("facewright_jobs") == 1 and len(narrow.files) == 1
    assert narrow.restore(small).status_code == 200


def test_who_goes_away_while_his_photo_is_worked_on_is_worked_for_no_more(narrow: Served, slow: bytes) -> None:
    idle(narrow)
    done = narrow.measure("facewright_photos_total", outcome="done")
    with raw(narrow, {"Content-Type": "image/jpeg", "Content-Length": len(slow)}, slow):
        until(lambda: narrow.health["working"] == 1)
    idle(narrow)
    until(lambda: narrow.files, lambda files: not files)
    assert narrow.measure("facewright_photos_total", outcome="done") == done
    assert narrow.measure("facewright_jobs") == 0


# Who may call ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.", "", "[::2]:{port}"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/about"])
def test_only_its_own_names_are_answered_to(narrow: Served, host: str, path: str) -> None:
    refused(narrow.client.get(path, headers={"Host": host.format(port=narrow.port)}), 421)


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST", "127.0.0.1", "[::1]:{port}"])
def test_names_of_this_machine_are_its_own(narrow: Served, host: str) -> None:
    assert narrow.client.get("/healthz", headers={"Host": host.format(port=narrow.port)}).status_code == 200


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_other_sites_cannot_call(narrow: Served, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/v1/jobs"), ("POST", "/v1/restore"), ("DELETE", "/v1/jobs/x"), ("POST", "/v1/models/codeformer/fetch")):
        refused(narrow.client.request(method, path, headers=headers), 403)


def test_its_own_page_can_call(narrow: Served) -> None:
    for headers in ({"Origin": narrow.address.rstrip("/")}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        answer = narrow.client.post("/v1/jobs", json={}, headers=headers)
        assert answer.status_code == 201
        narrow.client.delete(f"/v1/jobs/{answer.json()['id']}", headers=headers)


def shared(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def test_answers_are_for_its_own_page_alone(narrow: Served) -> None:
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (narrow.client.get("/v1/about", headers=asks), narrow.client.options("/v1/restore", headers=asks)):
        assert shared(answer) == {}
    assert narrow.client.options("/v1/restore", headers=asks).status_code >= 400


def test_a_site_that_is_allowed_can_call(guarded: Served) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    friend, stranger = {"Origin": "https://friend.example"}, {"Origin": "https://evil.example"}
    with httpx.Client(base_url=guarded.address) as nobody:
        allowed = nobody.options("/v1/restore", headers=friend | asks)
        assert allowed.status_code == 200 and shared(allowed)["access-control-allow-origin"] == "https://friend.example"
        assert "access-control-allow-origin" not in shared(nobody.options("/v1/restore", headers=stranger | asks))
        # a friend needs the token all the same, and may read that it does
        without = nobody.post("/v1/jobs", headers=friend)
        assert without.status_code == 401 and shared(without)["access-control-allow-origin"] == "https://friend.example"
    answer = guarded.client.post("/v1/jobs", json={}, headers=friend)
    assert answer.status_code == 201 and shared(answer)["access-control-allow-origin"] == "https://friend.example"
    refused(guarded.client.post("/v1/jobs", json={}, headers=stranger), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "sesame"},
        {"Authorization": "Basic sesame"},
        {"Authorization": "Bearer sesamesesame"},
        {"Authorization": "Bearer s\u00e9same".encode("latin-1")},
        {"Cookie": "facewright=sesame"},
        {"Cookie": "facewright="},
        {"Cookie": 'facewright="\x01; ;;=;"'},
    ],
    ids=str,
)
def test_without_the_token_nothing_but_its_health_is_told(guarded: Served, headers: Any) -> None:
    with httpx.Client(base_url=guarded.address) as nobody:
        for path in ("/metrics", "/docs", "/openapi.json", "/v1/about", "/v1/models", "/v1/jobs/x", "/page/main.js", "/page/index.html"):
            answer = nobody.get(path, headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        refused(nobody.post("/v1/restore", headers=headers), 401)
        refused(nobody.post("/v1/restore?token=sesame", headers=headers), 401)
        assert nobody.get("/healthz").json()["status"] == "ok"


def test_the_token_opens(guarded: Served, small: bytes) -> None:
    assert guarded.restore(small).status_code == 200
    with httpx.Client(base_url=guarded.address, headers={"Authorization": "bearer sesame"}) as client:
        assert client.get("/metrics").status_code == 200


def test_a_person_comes_in_by_the_door(guarded: Served) -> None:
    with httpx.Client(base_url=guarded.address) as person:
        away = person.get("/")
        assert (away.status_code, away.headers["location"]) == (303, "/door")
        door = person.get("/door")
        assert door.status_code == 200
        for link in re.findall(r"""(?:src|href)=["'](/[^"'#]+)""", door.text):
            assert person.get(link).status_code == 200, f"the door needs {link}"
        for wrong in ({"token": "open"}, {"token": ""}, {}):
            answer = person.post("/door", data=wrong)
            assert (answer.status_code, answer.headers["location"]) == (303, "/door#wrong")
            assert "set-cookie" not in answer.headers
        foreign = person.post("/door", data={"token": "sesame"}, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        answer = person.post("/door", data={"token": "sesame"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "sesame" not in cookie
        assert person.get("/").status_code == person.get("/v1/about").status_code == person.get("/page/main.js").status_code == 200
        person.cookies.clear()
        assert person.get("/v1/about").status_code == 401
        link = person.get("/", params={"token": "sesame"})
        assert (link.status_code, link.headers["location"]) == (303, "/"), "the token does not stay in the address"
        assert person.get("/v1/about").status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/v1/about", "/nothing", "/healthz", "/docs"])
def test_browsers_are_told_to_hold_back(narrow: Served, path: str) -> None:
    headers = narrow.client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy and "http" not in policy
    assert "unsafe" not in policy or path == "/docs"
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-store" and "server" not in headers


# How it begins and ends -----------------------------------------------------------------------------------------------------------------


def test_open_to_the_network_it_warns_and_forgets_after_its_time(tmp_path: Path, small: bytes) -> None:
    killed, beside = tmp_path / f"facewright-serve-{DEAD}-x", tmp_path / f"facewright-serve-{os.getpid()}-y"
    for folder in (killed, beside):
        folder.mkdir()
        (folder / "photo").write_bytes(b"private")
    with service(tmp_path, "--host", "0.0.0.0", "--keep-minutes", "0.05", "--api-only") as served:
        assert not killed.exists(), "what a killed service left is removed by the next"
        assert (beside / "photo").is_file(), "a living one keeps its own"
        shutil.rmtree(beside)
        assert served.errors.splitlines() == [
            "facewright: anybody who reaches 0.0.0.0 may use this service",
            "            give it a --token, or listen on 127.0.0.1",
        ]
        assert served.client.get("/healthz", headers={"Host": "our-nas.lan"}).status_code == 200
        away = served.client.get("/")
        assert (away.status_code, away.headers["location"]) == (307, "/docs")
        assert served.client.get("/page/index.html").status_code == 404
        assert served.client.get("/v1/about").json()["keep_minutes"] == pytest.approx(0.05)

        job = served.job(("a.jpg", small))
        assert job["expires_in"] <= 3 and len(served.files) >= 1
        events = Events(served, job["id"])
        assert "0.05 minutes" in events.first("gone")["why"]
        assert events.ended.wait(10)
        refused(served.client.get(f"/v1/jobs/{job['id']}"), 404)
        until(lambda: served.files, lambda files: not files)
        assert served.stop(signal.SIGINT) == 0
        assert len(served.errors.splitlines()) == 2


def test_a_signal_lets_it_finish_what_is_begun_and_nothing_else(tmp_path: Path, slow: bytes, small: bytes) -> None:
    with service(tmp_path, "--workers", "2") as served, ThreadPoolExecutor(8) as clients:
        job = served.job()["id"]
        page = Events(served, job)
        begun = clients.submit(served.restore, slow)
        served.client.post(f"/v1/jobs/{job}/photos", files={"photo": ("slow.jpg", slow)})
        until(lambda: served.health["working"] == 2)
        waiting = [clients.submit(served.restore, small) for _ in range(2)]
        served.client.post(f"/v1/jobs/{job}/photos", files={"photo": ("late.jpg", small)})
        until(lambda: served.health["queue"] == 3)
        served.process.send_signal(signal.SIGTERM)

        for answer in (each.result() for each in waiting):
            assert "being stopped" in refused(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        assert not begun.done()
        health = served.client.get("/healthz")
        assert health.status_code == 503 and health.json()["status"] == "stopping"
        refused(served.restore(small), 503)
        refused(served.client.post("/v1/jobs", json={}), 503)

        assert begun.result().status_code == 200 and begun.result().headers["content-type"] == "image/jpeg"
        # who follows a job is given the time to fetch what became ready
        until(lambda: [photo for photo in page.of(0) if photo["state"] == "done"])
        assert served.client.get(f"/v1/jobs/{job}/photos/0/result").content == begun.result().content
        late = page.of(1)[-1]
        assert late["state"] == "failed" and "being stopped" in late["error"]["why"]
        assert "stopped" in page.first("gone")["why"]

        assert served.process.wait(20) == 0
        assert served.errors == ""
        assert not list(tmp_path.glob("facewright-serve-*"))
        with pytest.raises(httpx.ConnectError):
            served.client.get("/healthz")


def test_a_port_that_is_taken_is_one_sentence(narrow: Served, run: Run) -> None:
    ran = run("serve", "--no-browser", "--port", str(narrow.port))
    assert ran.code == 2 and ran.output == b""
    assert len(ran.complaints) == 1 and f"cannot listen on 127.0.0.1:{narrow.port}" in ran.complaints[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--queue", "0"), 2, "queue"),
        (("--max-megabytes", "0"), 2, "bytes"),
        (("--max-megabytes", "nan"), 2, ""),
        (("--pixel-limit", "inf"), 2, ""),
        (("--keep-minutes", "-1"), 2, "keep"),
        (("--token", ""), 2, "token"),
        (("--host", "999.1.1.1", "--token", "x"), 2, "cannot listen on 999.1.1.1:8765"),
        (("--model", "gfpgan-minni"), 4, "gfpgan-mini"),
        (("--model", "mtcnn"), 2, "restores no faces"),
        (("--model", "/etc/passwd"), 4, "/etc/passwd"),
    ],
    ids=str,
)
def test_what_it_cannot_start_with(call: Run, words: tuple[str, ...], code: int, said: str) -> None:
    ran = call("serve", "--no-browser", *words)
    assert ran.code == code, ran.errors
    assert said in ran.complaints[0] and len(ran.complaints) == 1
    assert ran.output == b""


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    photos = [encoded(np.roll(portrait, shift, axis=1), quality=90) for shift in range(0, 40, 10)]
    with service(tmp_path, "--api-only") as served:

        def restored(count: int) -> float:
            sent = [photos[number % len(photos)] for number in range(count)]
            with ThreadPoolExecutor(8) as clients:
                assert {answer.status_code for answer in clients.map(served.restore, sent)} == {200}
            return served.measure("facewright_resident_bytes")

        early = restored(24)
        late = restored(56)
        assert abs(late - early) < 40e6, f"from {early / 1e6:.0f} to {late / 1e6:.0f} MB"
        assert served.files == [] and served.measure("facewright_jobs") == 0
        assert len(os.listdir(f"/proc/{served.process.pid}/fd")) < 80
