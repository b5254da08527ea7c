"""Workers and orders: who shares, who waits, what one photo's fault costs, and that everybody hears exactly once how it ended."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crew_samples import PATIENCE, Puppets, Sent, order, until

from facewright.app import crew as module
from facewright.app.crew import Crew, Finished
from facewright.app.words import Cancelled, Refused
from facewright.errors import FacewrightError, InputError, OutputError
from facewright.restore import FaceResult

Make = Callable[..., Crew]
Send = Callable[..., Sent]


def names(faces: list[FaceResult]) -> set[str | None]:
    return {each.damage for each in faces}


# A photo's way --------------------------------------------------------------------------------------------------------------------------


def test_a_photo_goes_through_its_steps_and_is_told_of(crew: Make, send: Send) -> None:
    puppets = Puppets()
    sent = send(crew(puppets), "aunt3.png")
    done = sent.finished
    assert list(dict.fromkeys(sent.steps)) == ["reading", "finding faces", "restoring faces", "writing"]
    assert sent.sizes == [(12, 8)]
    assert done.name == "aunt3-restored.png" and done.data.startswith(b"\x89PNG")
    assert done.report["redone"] == {"read": True, "found": True, "computed": 3}
    assert [told["likeness"] for told in done.report["faces"]] == ["not measured"] * 3
    assert sum(len(each) for each in puppets.passes()) == 3
    assert sent.order.job is None and sent.order.restorer is None, "whoever keeps the order does not keep the photo"


def test_a_photo_without_faces_needs_no_network(crew: Make, send: Send) -> None:
    puppets = Puppets()
    assert send(crew(puppets), "sea0.png").finished.report["faces"] == []
    assert puppets.steps == ["prepare", "finish"]


def test_faces_that_are_known_are_not_looked_for(crew: Make, send: Send) -> None:
    puppets = Puppets()
    known = send(crew(puppets), "aunt2.png").finished.faces
    again = send(crew(puppets), "aunt2.png", earlier=known).finished
    assert puppets.steps.count("prepare") == puppets.steps.count("again") == 1
    assert again.report["redone"] == {"read": True, "found": False, "computed": 0}


def test_the_name_and_format_are_the_owners(crew: Make, send: Send) -> None:
    one = crew(Puppets())
    assert send(one, "Aunt 1.jpeg", format="webp").finished.name == "Aunt 1-restored.webp"
    assert send(one, "photo").finished.name == "photo-restored.png"


def test_the_largest_faces_are_taken_and_the_rest_left_alone(crew: Make, send: Send) -> None:
    puppets = Puppets()
    report = send(crew(puppets, faces=2), "choir5.png").finished.report
    assert [told["action"] == "left alone" for told in report["faces"]] == [False, False, True, True, True]
    assert "this service restores 2 faces of a photo, the largest ones" in report["faces"][4]["reasons"]
    assert sum(len(each) for each in puppets.passes()) == 2


# Together -------------------------------------------------------------------------------------------------------------------------------


def test_a_photos_many_faces_are_shared_among_workers(crew: Make, send: Send) -> None:
    meeting = threading.Barrier(4, timeout=PATIENCE)  # it opens only where four workers have a part at the same time
    places = iter([meeting.wait] * 4)
    puppets = Puppets(does={"at_treat": lambda faces: next(places, int)() and None})
    assert send(crew(puppets, 4), "choir8.png").finished.report["redone"]["computed"] == 8
    assert sum(len(each) for each in puppets.passes()) == 8 and max(len(each) for each in puppets.passes()) == 2


def test_on_an_accelerator_faces_of_several_photos_share_a_pass(crew: Make, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 5.0)
    together = threading.Barrier(3, timeout=PATIENCE)
    puppets = Puppets(device="cuda", does={"at_prepare": lambda name: together.wait() and None})
    at_work = crew(puppets, 3)
    sent = [send(at_work, f"{name}2.png") for name in "abc"]
    assert all(isinstance(each.outcome, Finished) for each in sent)
    (shared,) = puppets.passes()
    assert sorted(shared) == ["a2.png", "a2.png", "b2.png", "b2.png", "c2.png", "c2.png"]


def test_a_pass_holds_no_more_than_a_batch(crew: Make, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 5.0)
    together = threading.Barrier(2, timeout=PATIENCE)
    puppets = Puppets(device="cuda", batch=4, does={"at_prepare": lambda name: together.wait() and None})
    at_work = crew(puppets, 2)
    for each in [send(at_work, f"{name}5.png") for name in "ab"]:
        assert each.finished
    assert max(len(each) for each in puppets.passes()) == 4
    assert sorted(name for each in puppets.passes() for name in each) == ["a5.png"] * 5 + ["b5.png"] * 5


def test_a_face_does_not_wait_for_long(crew: Make, send: Send) -> None:
    hold = threading.Event()
    puppets = Puppets(device="cuda", does={"at_prepare": lambda name: name.startswith("slow") and hold.wait(PATIENCE) and None})
    at_work = crew(puppets, 2)
    slow = send(at_work, "slow1.png")
    until(lambda: puppets.steps)
    assert send(at_work, "quick1.png").finished and not slow.ended.is_set()
    hold.set()
    assert slow.finished


@pytest.mark.parametrize("unlike", [{"strength": 0.5}, {"mask": "hull"}, {"fidelity": 0.3}, {"max_identity_drift": 0.4}])
def test_photos_with_other_wishes_do_not_share(crew: Make, send: Send, monkeypatch: pytest.MonkeyPatch, unlike: dict[str, Any]) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    together = threading.Barrier(2, timeout=PATIENCE)
    puppets = Puppets(device="cuda", does={"at_prepare": lambda name: together.wait() and None})
    at_work = crew(puppets, 2)
    for each in [send(at_work, "a2.png"), send(at_work, "b2.png", **unlike)]:
        assert each.finished
    assert sorted(puppets.passes()) == [["a2.png"] * 2, ["b2.png"] * 2]


def test_a_model_of_backgrounds_serves_one_photo_at_a_time(crew: Make, send: Send) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def finish(name: str) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        with lock:
            inside[0] -= 1

    for upscaler, expected in ((object(), 1), (None, 3)):
        most[0] = 0
        at_work = crew(Puppets(upscaler=upscaler, does={"at_finish": finish}), 3)
        for each in [send(at_work, f"{number}x0.png") for number in range(9)]:
            assert each.finished
        assert most[0] == expected


# What goes wrong ------------------------------------------------------------------------------------------------------------------------


def fail(error: Exception, where: str = "bad") -> Callable[[Any], None]:
    def strike(given: Any) -> None:
        if any((name or "").startswith(where) for name in ([given] if isinstance(given, str) else names(given))):
            raise error

    return strike


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_one_bad_photo_does_not_spoil_its_neighbours(crew: Make, send: Send, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(module, "PATIENCE", 5.0)
    together = threading.Barrier(3, timeout=PATIENCE)
    does = {"at_prepare": lambda name: together.wait() and None, "at_treat": fail(RuntimeError("cannot\n compute"))}
    at_work = crew(Puppets(device=device, does=does), 3)
    good, bad, other = (send(at_work, name) for name in ("good2.png", "bad2.png", "other2.png"))
    assert good.finished.report["redone"]["computed"] == other.finished.report["redone"]["computed"] == 2
    assert isinstance(bad.outcome, FacewrightError)
    assert (bad.outcome.what, bad.outcome.why) == ("cannot restore bad2.png", "cannot compute")


@pytest.mark.parametrize("step", ["at_prepare", "at_treat", "at_finish"])
@pytest.mark.parametrize(
    ("problem", "kind", "why"),
    [
        (MemoryError(), InputError, "there is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried"), InputError, "there is not enough memory"),
        (OSError(28, "No space left on device"), OutputError, "No space left on device"),
        (KeyError("x"), FacewrightError, "'x'"),
        (ZeroDivisionError(), FacewrightError, "ZeroDivisionError"),
        (InputError("cannot read it", "torn"), InputError, "torn"),
    ],
)
def test_every_fault_is_told_and_the_next_photo_goes_through(
    crew: Make, send: Send, step: str, problem: Exception, kind: type[FacewrightError], why: str
) -> None:
    at_work = crew(Puppets(does={step: fail(problem)}), 1)
    outcome = send(at_work, "bad1.png").outcome
    assert type(outcome) is kind and outcome.why == why
    assert send(at_work, "next1.png").finished
    until(lambda: (at_work.at_work, at_work.queued) == (0, 0))


def test_a_file_that_is_no_photo_is_told_under_its_owners_name(crew: Make, send: Send, tmp_path: Path) -> None:
    source = tmp_path / "fedcba"
    source.write_bytes(b"a letter to somebody")
    for sent in (send(crew(Puppets()), "aunt.jpg", source=source), send(crew(Puppets()), "uncle.jpg", source=tmp_path / "gone")):
        error = sent.outcome
        assert isinstance(error, FacewrightError)
        words = f"{error} {error.what} {error.why} {error.what_to_do}"
        assert sent.order.name in error.what
        assert "fedcba" not in words.replace(str(error), "") and str(tmp_path) not in f"{error.what} {error.why} {error.what_to_do}"


def test_an_error_that_is_kept_does_not_keep_the_photo(crew: Make, send: Send) -> None:
    outcome = send(crew(Puppets(does={"at_finish": fail(ValueError("no"))})), "bad1.png").outcome
    assert isinstance(outcome, FacewrightError)
    assert outcome.__traceback__ is None and outcome.__context__ is None and outcome.__cause__ is None


def test_two_workers_whose_parts_of_a_photo_fail_end_it_once(crew: Make, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = threading.Barrier(2, timeout=PATIENCE), threading.Barrier(2, timeout=PATIENCE)

    def treat(faces: list[FaceResult]) -> None:
        if names(faces) == {"bad2.png"}:
            inside.wait()
            raise ValueError("both")

    at_work = crew(Puppets(does={"at_treat": treat}), 2)
    go_on = at_work._go_on

    def together(order: Any) -> None:
        if order.failure is not None:
            outside.wait()
        go_on(order)

    monkeypatch.setattr(at_work, "_go_on", together)
    assert isinstance(send(at_work, "bad2.png").outcome, FacewrightError)
    for each in [send(at_work, f"{number}x2.png") for number in range(4)]:
        assert each.finished
    until(lambda: at_work.at_work == 0)
    assert all(thread.is_alive() for thread in at_work._threads)


def test_who_hears_of_the_end_may_fail_and_nobody_else_suffers(crew: Make, send: Send, tiny: Path) -> None:
    at_work = crew(Puppets(), 1)

    def deaf(outcome: Any) -> None:
        raise FileNotFoundError("the folder is gone")

    for number in range(3):
        sent = order(tiny, f"{number}.png")
        sent.order.on_done = deaf
        at_work.submit(sent.order)
    assert send(at_work, "next1.png").finished
    until(lambda: at_work.at_work == 0)


def test_work_takes_its_time_and_no_more(crew: Make, send: Send) -> None:
    at_work = crew(Puppets(does={"at_prepare": lambda name: (name.startswith("slow") and time.sleep(0.3)) or None}), 1, seconds=0.2)
    outcome = send(at_work, "slow1.png").outcome
    assert isinstance(outcome, Refused) and outcome.status == 503
    assert outcome.why == "it took longer than 0.2 seconds"
    assert send(at_work, "quick1.png").finished, "waiting is no work"


# Giving up ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(crew: Make, send: Send) -> tuple[Crew, Puppets, Sent, threading.Event]:
    """A worker that has a photo in hand until the event is set; two may wait."""
    hold = threading.Event()
    puppets = Puppets(does={"at_prepare": lambda name: name.startswith("held") and hold.wait(PATIENCE) and None})
    at_work = crew(puppets, 1, queue=2)
    sent = send(at_work, "held2.png")
    until(lambda: puppets.steps)
    return at_work, puppets, sent, hold


def test_so_many_wait_and_no_more(held: Any, send: Send) -> None:
    at_work, _, first, hold = held
    waiting = [send(at_work, f"{name}1.png") for name in "ab"]
    with pytest.raises(Refused) as refused:
        send(at_work, "c1.png")
    assert refused.value.status == 429 and refused.value.retry and refused.value.retry > 0
    assert at_work.queued == 2 and at_work.at_work == 1
    places = at_work.places()
    assert [places[each.order][0] for each in (first, *waiting)] == [None, 0, 1]
    hold.set()
    assert all(each.finished for each in (first, *waiting))
    assert send(at_work, "c1.png").finished


def test_what_waits_is_cancelled_at_once(held: Any, send: Send) -> None:
    at_work, puppets, first, hold = held
    waiting = send(at_work, "a1.png")
    at_work.cancel(waiting.order)
    assert isinstance(waiting.outcomes[0], Cancelled) and at_work.queued == 0
    at_work.cancel(waiting.order)
    hold.set()
    assert first.finished
    assert ("prepare", "a1.png") not in puppets.seen and len(waiting.outcomes) == 1


def test_what_is_begun_is_cancelled_before_its_next_step(held: Any, send: Send) -> None:
    at_work, puppets, first, hold = held
    at_work.cancel(first.order)
    assert not first.ended.is_set()
    hold.set()
    assert isinstance(first.outcome, Cancelled)
    assert puppets.passes() == [] and "finish" not in puppets.steps
    at_work.cancel(first.order)
    assert send(at_work, "a1.png").finished and len(first.outcomes) == 1


def test_closing_refuses_what_waits_and_finishes_what_is_begun(held: Any, send: Send) -> None:
    at_work, _, first, hold = held
    waiting = [send(at_work, f"{name}1.png") for name in "ab"]
    at_work.close()
    for each in waiting:
        assert isinstance(each.outcome, Refused) and each.outcome.status == 503 and each.outcome.retry
    with pytest.raises(Refused) as refused:
        send(at_work, "late1.png")
    assert refused.value.status == 503
    hold.set()
    at_work.stop()
    assert first.finished and (at_work.at_work, at_work.queued) == (0, 0)
    assert not any(thread.is_alive() for thread in at_work._threads)


def test_times_are_told_as_soon_as_they_are_known(held: Any, send: Send) -> None:
    at_work, _, first, hold = held
    waiting = send(at_work, "a1.png")
    assert at_work.places()[waiting.order] == (0, None)
    hold.set()
    assert first.finished and waiting.finished
    at_work.pace.photo(2.0)
    assert at_work.pace.of_photos(1)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_everybody_hears_exactly_once_whatever_happens(crew: Make, tiny: Path, device: str) -> None:
    chance = random.Random(1)
    rolls = [chance.random() for _ in range(10_000)]
    at = iter(rolls)
    lock = threading.Lock()

    def now_and_then(given: Any) -> None:
        with lock:
            roll = next(at, 0.5)
        if roll < 0.1:
            raise ValueError("by chance")
        if roll > 0.9:
            time.sleep(0.003)

    puppets = Puppets(device=device, batch=3, does=dict.fromkeys(("at_prepare", "at_treat", "at_finish"), now_and_then))
    at_work = crew(puppets, 4, queue=30)
    sent: list[Sent] = []
    refused = [0]

    def client(number: int) -> None:
        own = random.Random(number)
        for turn in range(50):
            each = order(tiny, f"{number}-{turn}x{own.randrange(6)}.png", strength=own.choice((0.5, 1.0)))
            while True:
                try:
                    at_work.submit(each.order)
                    break
                except Refused:
                    refused[0] += 1
                    time.sleep(0.005)
            sent.append(each)
            if own.random() < 0.3:
                time.sleep(own.random() * 0.01)
                at_work.cancel(own.choice(sent).order)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    for order_sent in sent:
        assert order_sent.ended.wait(PATIENCE), order_sent.order.name
    at_work.stop()
    assert len(sent) == 300 and {len(each.outcomes) for each in sent} == {1}
    assert (at_work.at_work, at_work.queued, at_work.places()) == (0, 0, {})
    kinds = {type(each.outcome) for each in sent}
    assert {Finished, Cancelled, FacewrightError} <= kinds, "each of the ways was gone"
    for each in sent:
        assert each.order.job is None and each.order.restorer is None
        if isinstance(each.outcome, Finished):
            assert each.steps[-1] == "writing" and all(result.restored is not None for result in each.outcome.faces)
