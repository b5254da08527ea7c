"""A batch in parts and over processes is the batch: same gradients, same updates, same random numbers."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest
import torch
from fake_faces import make_faces
from hypothesis import given
from hypothesis import strategies as st
from processes import together
from shared_runs import JudgesFirst, abandoned_run, descent, foreign_run, gfpgan_run, lopsided_run, shared_run, stopped_run
from torch import Tensor
from toy_recipe import ToyRecipe, toy_engine, toy_run
from traces import state_of

from facewright.data import Batch
from facewright.errors import FacewrightError, UsageError
from facewright.train import RunSettings, checkpoint
from facewright.train.guards import Diverged
from facewright.train.parallel import Processes, join
from facewright.train.parts import part_of, samples_in


def close(one: dict[str, Tensor], other: dict[str, Tensor], within: float = 2e-6) -> None:
    assert one.keys() == other.keys()
    far = {name: float((one[name].double() - other[name].double()).abs().max()) for name in one}
    assert not {name: distance for name, distance in far.items() if distance > within}


@pytest.mark.parametrize("recipe", [ToyRecipe, JudgesFirst])
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_of_a_batch_learn_what_the_whole_teaches(tmp_path: Path, recipe: type[ToyRecipe], parts: int) -> None:
    whole = toy_run(tmp_path / "whole", 6, descent(recipe))
    split = toy_run(tmp_path / "split", 6, descent(recipe), accumulate=parts)
    close(state_of(whole), state_of(split))  # with the generator of the noise: parts draw no more than the whole
    one, other = ([json.loads(line) for line in (tmp_path / n / "log.jsonl").read_text().splitlines()] for n in ("whole", "split"))
    assert [line.keys() for line in one] == [line.keys() for line in other] and len(one) == 3
    for mine, theirs in zip(one, other, strict=True):
        assert all(mine[name] == pytest.approx(theirs[name], abs=3e-5) for name in mine if name != "images_per_second")
    assert threading.active_count() < 12  # its threads have gone


def test_parts_go_on_bit_for_bit(tmp_path: Path) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 8, ToyRecipe(batch=4), accumulate=2))
    toy_run(tmp_path / "halves", 4, ToyRecipe(batch=4), accumulate=2)
    torch.manual_seed(99)
    halves = state_of(toy_run(tmp_path / "halves", 8, ToyRecipe(batch=4), accumulate=2))
    assert all(torch.equal(straight[name], halves[name]) for name in straight)


class Uneven(ToyRecipe):
    """Parts that do not do the same."""

    def __init__(self, how: str) -> None:
        super().__init__(batch=4)
        self.how, self.calls, self.unwound = how, 0, 0

    def step(self, batch: Batch) -> None:
        self.calls += 1
        second = self.calls % 2 == 0
        try:
            if second and self.how == "raises":
                raise ZeroDivisionError("by a part")
            if second and self.how == "ends":
                return
            if second and self.how == "other":
                self.learn_to_judge(batch, batch.damaged)
            super().step(batch)
        finally:
            self.unwound += 1


@pytest.mark.parametrize(("how", "error"), [("raises", ZeroDivisionError), ("ends", FacewrightError), ("other", FacewrightError)])
def test_a_part_that_leaves_the_others_ends_the_step(tmp_path: Path, how: str, error: type[Exception]) -> None:
    recipe = Uneven(how)
    with pytest.raises(error):
        toy_run(tmp_path, 4, recipe, accumulate=2)
    assert recipe.unwound == recipe.calls == 2


def test_a_bad_part_is_a_bad_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Bad(ToyRecipe):
        def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
            last = self.engine.step == 1 and self.engine._parts.index == 1
            return super().losses(restored, clean, score) | ({"pixel": restored.mean() * float("nan")} if last else {})

    with pytest.raises(Diverged, match="pixel of generator is not finite"):
        toy_run(tmp_path / "stop", 4, Bad(batch=4), accumulate=2)
    with caplog.at_level(logging.WARNING):
        toy_run(tmp_path / "skip", 4, Bad(batch=4), accumulate=2, on_nan="skip")
    assert caplog.text.count("update left out (1 so far)") == 1


@given(samples=st.integers(1, 6), parts=st.integers(1, 5))
def test_every_sample_is_in_one_part(samples: int, parts: int) -> None:
    count = samples * parts
    batch = {"a": torch.arange(count), "b": (Batch(torch.arange(count), torch.arange(count) * 2), [None, "name", torch.tensor(3.0)])}
    found = [part_of(batch, index, parts) for index in range(parts)]
    assert sorted(torch.cat([part["a"] for part in found]).tolist()) == list(range(count))  # type: ignore[misc]
    assert all(torch.equal(part["b"][0].clean, part["a"] * 2) for part in found)  # type: ignore[union-attr,index,operator]
    assert all(part["b"][1][:2] == [None, "name"] for part in found)  # type: ignore[index]
    assert samples_in(batch) == count and samples_in({"a": 3}) is None


def test_the_discriminator_s_groups_stay_together() -> None:
    """Samples i, i + N / 4, ... are compared with each other, in a part as in the whole."""
    whole = torch.arange(16)
    groups = {frozenset(whole[i :: 16 // 4].tolist()) for i in range(16 // 4)}
    for share in (part_of(whole, index, 2) for index in range(2)):
        assert {frozenset(share[i :: 8 // 4].tolist()) for i in range(8 // 4)} <= groups


def test_what_cannot_be_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.batch cannot be 6") as caught:
        RunSettings(batch=6, accumulate=4)
    assert "run.accumulate" in str(caught.value)
    with pytest.raises(UsageError, match="cannot split a batch of 5"):
        part_of(Batch(torch.zeros(5, 3), torch.zeros(5, 3)), 0, 2)
    with pytest.raises(UsageError, match="3 processes with 2 parts each"):
        RunSettings(batch=8, accumulate=2).check_shares(3)


# Processes --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "changes"), [("toy", {}), ("judges", {"accumulate": 2})])
def test_two_processes_are_one_with_the_joint_batch(tmp_path: Path, kind: str, changes: dict[str, object]) -> None:
    alone = toy_run(tmp_path / "alone", 6, descent(JudgesFirst if kind == "judges" else ToyRecipe))
    shared = tmp_path / "shared"
    # in two goes: what is gone on from is read by one and had by both
    assert together(2, shared_run, shared, kind, 4, changes) == [0, 0]
    assert together(2, shared_run, shared, kind, 6, changes) == [0, 0]
    seen = [torch.load(shared / f"seen-by-{rank}.pt") for rank in range(2)]
    close(seen[0], seen[1], within=0.0)
    close(state_of(alone), seen[0])
    logs = [[json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()] for folder in (tmp_path / "alone", shared)]
    assert [line["step"] for line in logs[1]] == [2, 4, 6]  # one of them writes
    for mine, theirs in zip(*logs, strict=True):
        assert all(mine[name] == pytest.approx(theirs[name], abs=3e-5) for name in mine if name != "images_per_second")


@pytest.mark.slow
@pytest.mark.parametrize("world, parts", [(2, 1), (1, 2)])
def test_gfpgan_in_shares_is_gfpgan(tmp_path: Path, world: int, parts: int) -> None:
    """Every network of the recipe, after the adversarial game has begun, with the lazy penalty and the components."""
    faces = make_faces(tmp_path / "faces")
    assert together(1, gfpgan_run, faces, tmp_path / "alone", 5, {}) == [0]
    assert together(world, gfpgan_run, faces, tmp_path / "shared", 5, {"accumulate": parts}) == [0] * world
    alone = torch.load(tmp_path / "alone" / "seen-by-0.pt")
    # a step of Adam is 5e-4, whose direction for the smallest slopes is that of their rounding
    close(alone, torch.load(tmp_path / "shared" / "seen-by-0.pt"), within=1e-5)
    logs = [json.loads((tmp_path / n / "log.jsonl").read_text().splitlines()[-1]) for n in ("alone", "shared")]
    told = {"generator/left_eye", "generator/component_style", "discriminator/r1", "mouth/logistic", "generator/gradient"}
    assert told < logs[0].keys() == logs[1].keys()
    assert all(logs[0][name] == pytest.approx(logs[1][name], rel=1e-4, abs=1e-4) for name in logs[0] if name != "images_per_second")


@pytest.mark.parametrize("kind", ["stop", "skip", "some"])
def test_a_bad_number_on_one_is_bad_for_both(tmp_path: Path, kind: str) -> None:
    assert together(2, lopsided_run, tmp_path, kind) == [0, 0]
    if kind == "stop":
        told = {(tmp_path / f"told-{rank}").read_text() for rank in range(2)}
        assert told == {"training diverged at step 2: pixel of generator is not finite"}
    else:
        seen = [torch.load(tmp_path / f"seen-by-{rank}.pt") for rank in range(2)]
        close(seen[0], seen[1], within=0.0)


def test_what_the_first_refuses_all_refuse(tmp_path: Path) -> None:
    toy_run(tmp_path, 4, ToyRecipe(batch=4))
    assert together(2, foreign_run, tmp_path) == [0, 0]
    told = {(tmp_path / f"told-{rank}").read_text() for rank in range(2)}
    assert len(told) == 1 and "recipe.width 4 -> 5" in told.pop()


def test_one_that_is_asked_to_stop_stops_all(tmp_path: Path) -> None:
    assert together(2, stopped_run, tmp_path) == [0, 0]
    told = [(tmp_path / f"told-{rank}").read_text() for rank in range(2)]
    assert told[0] == "143 training stopped at step 6: another process was asked to stop, the checkpoint of step 6 is kept"
    assert told[1] == "143 training stopped at step 6: SIGTERM came, the checkpoint of step 6 is kept"
    assert checkpoint.load(tmp_path / "step-00000006.pt")["step"] == 6


def test_a_process_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    assert together(2, abandoned_run, tmp_path) == [0, 9]
    assert (tmp_path / "told").read_text().startswith("LostProcess another process of the run is gone")


def test_an_incomplete_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="RANK is not"):
        join("cpu")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join("cpu") == (Processes(0, 1), torch.device("cpu"))


def test_batches_that_are_not_shared_out_are_refused(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, 4, ToyRecipe(batch=4))
    engine.world = 2
    with pytest.raises(FacewrightError, match="4 samples a step to each of 2"):
        engine._walk(Batch(torch.zeros(4, 3, 8, 8), torch.zeros(4, 3, 8, 8)))


@given(world=st.integers(1, 4), parts=st.integers(1, 4), each=st.integers(1, 3))
def test_a_sample_meets_the_same_noise_however_the_batch_is_shared(world: int, parts: int, each: int) -> None:
    count = world * parts * each
    engine = toy_engine(Path("unused"), 0, ToyRecipe(batch=count), accumulate=parts)

    def noise(of: int) -> Tensor:
        return engine.noise((of, 2), torch.Generator().manual_seed(5))

    joint = torch.randn(count, 2, generator=torch.Generator().manual_seed(5))
    places = torch.arange(count)
    for engine.rank in range(world):
        engine.world = world
        share = part_of(places, engine.rank, world)
        for engine._parts.index in range(parts):
            assert torch.equal(noise(each), joint[part_of(share, engine._parts.index, parts)])
