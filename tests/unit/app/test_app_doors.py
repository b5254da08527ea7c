"""Who may come in."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from facewright.app.doors import SESSIONS, Doors, is_loopback, names_for
from facewright.app.measures import Measures
from facewright.app.serving import Place
from facewright.errors import UsageError


def ask(doors: Doors, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
    async def all_of_them() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(doors), base_url="http://localhost") as client:
            answers = []
            for method, path, more in requests:
                client.cookies.clear()
                answers.append(await client.request(method, path, **more))
            return answers

    return asyncio.run(all_of_them())


def doors(names: set[str] | None = None, token: str | None = None, origins: tuple[str, ...] = ()) -> Doors:
    measures = Measures(lambda: 0, lambda: 0, lambda: 0, lambda: 0)
    return Doors(PlainTextResponse("inside"), measures, names or set(), token, origins)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("nas.lan", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_is_this_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    assert Place(host).is_open is not loopback
    assert not Place(host, token="sesame").is_open
    assert ("localhost" in names_for(host, ())) is loopback


@pytest.mark.parametrize("token", ["", " ", "\t"])
def test_an_empty_token_is_none(token: str) -> None:
    with pytest.raises(UsageError, match="token"):
        Place(token=token)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8765", 200),
        ("LocalHost:1", 200),
        ("127.0.0.1:8765", 200),
        ("[::1]", 200),
        ("[::1]:8765", 200),
        ("photos.example", 200),
        ("photos.example:443", 200),
        ("Photos.Example", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8765", 421),
        ("evil.example:localhost", 421),
        ("[::2]:8765", 421),
        ("[::1].evil.example", 421),
        ("::1", 421),
        ("", 421),
        ("127.0.0.2", 421),
        ("a@localhost", 421),
    ],
)
def test_names_it_answers_to(host: str, status: int) -> None:
    (answer,) = ask(doors(names_for("127.0.0.1", ["Photos.example"])), ("GET", "/", {"headers": {"Host": host}}))
    assert answer.status_code == status


def test_open_to_the_network_any_name_may_be_its_own() -> None:
    (answer,) = ask(doors(names_for("0.0.0.0", ())), ("GET", "/", {"headers": {"Host": "nas.lan"}}))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8765", 200),
        ("https://localhost:8765", 200),
        ("https://friend.example", 200),
        ("http://localhost", 403),
        ("http://localhost:8766", 403),
        ("http://localhost:8765.evil.example", 403),
        ("https://evil.example/localhost:8765", 403),
        ("https://friend.example.evil.example", 403),
        ("http://friend.example", 403),
        ("null", 403),
        ("http://[::1", 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_whose_pages_may_change_something(origin: str, status: int, method: str) -> None:
    headers = {"Host": "localhost:8765", "Origin": origin}
    change, look = ask(
        doors(origins=("https://friend.example",)), (method, "/x", {"headers": headers}), ("GET", "/x", {"headers": headers})
    )
    assert (change.status_code, look.status_code) == (status, 200)


def test_sessions_are_forgotten_when_there_are_too_many() -> None:
    guard = doors(token="sesame")
    knock = ("POST", "/door", {"data": {"token": "sesame"}})
    first, *_ = ask(guard, *[knock] * (SESSIONS + 1))
    last = ask(guard, knock)[0]
    cookies = [{"headers": {"Cookie": answer.headers["set-cookie"].split(";")[0]}} for answer in (first, last)]
    assert [answer.status_code for answer in ask(guard, *[("GET", "/v1/about", each) for each in cookies])] == [401, 200]


def test_a_session_is_the_services_own() -> None:
    ours, theirs = doors(token="sesame"), doors(token="sesame")
    (answer,) = ask(theirs, ("POST", "/door", {"data": {"token": "sesame"}}))
    cookie = {"headers": {"Cookie": answer.headers["set-cookie"].split(";")[0]}}
    assert ask(ours, ("GET", "/v1/about", cookie))[0].status_code == 401


def test_tokens_of_any_letters_work() -> None:
    guard = doors(token="schlüssel 祖母 &=%")
    right, wrong = ask(
        guard, ("POST", "/door", {"data": {"token": "schlüssel 祖母 &=%"}}), ("POST", "/door", {"content": b"token=" + b"\xff" * 9000})
    )
    assert right.headers["location"] == "/" and wrong.headers["location"] == "/door#wrong"


def test_every_answer_is_counted() -> None:
    guard = doors({"localhost"}, token="sesame")
    ask(guard, ("GET", "/v1/about", {}), ("GET", "/healthz", {}), ("GET", "/", {"headers": {"Host": "evil.example"}}))
    counted = guard.measures.read().decode()
    for status in (401, 200, 421):
        assert f'facewright_requests_total{{route="other",status="{status}"}} 1.0' in counted
