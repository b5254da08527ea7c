"""Enlarging a whole photo: tiles against the whole, odd sizes, every kind of picture, memory that runs out, numbers that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from facewright.errors import InputError, ModelError, UsageError
from facewright.nets.realesrgan import Prepared, RRDBNet, SRVGGNetCompact
from facewright.restore import background
from facewright.restore.background import Published, Upscaler
from facewright.restore.memory import free_memory, is_out_of_memory
from facewright.restore.tiles import Axis, lanczos
from parity.reading import filled

UNLEARNED = {"weight": ("fan_in", 1.0), "bias": ("normal", 0.05)}


def network(scale: int = 4, seed_of: str = "", **sizes: Any) -> RRDBNet:
    """A small RRDBNet filled as the reference cases are, its last layer set so that a photo becomes a picture of middle greys."""
    net = RRDBNet(scale=scale, **{"num_feat": 8, "num_block": 1, "num_grow_ch": 4} | sizes)
    state = {}
    for name, value in net.state_dict().items():
        kind, gain = UNLEARNED[name.rpartition(".")[2]]
        state[name] = torch.from_numpy(filled(seed_of + name, tuple(value.shape), kind, gain * (2 if "first" in name else 1)))
    net.load_state_dict(state)
    with torch.no_grad():
        picture = net(torch.from_numpy(photo(32, 32) / 255).permute(2, 0, 1)[None].float())
        std, mean = torch.std_mean(picture, dim=(0, 2, 3))
        net.conv_last.weight.mul_((0.12 / std)[:, None, None, None])
        nn.init.zeros_(net.conv_last.bias).add_(0.5 - (mean - state["conv_last.bias"]) * 0.12 / std)
    return net.eval()


def photo(height: int, width: int, *, depth: type = np.uint8, grey: bool = False, seed: int = 0) -> NDArray[Any]:
    random = np.random.default_rng(seed)
    coarse = random.uniform(0.1, 0.9, (height // 4 + 2, width // 4 + 2, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)
    picture = picture[..., 0] if grey else picture
    return np.asarray(np.rint(picture * np.iinfo(depth).max).astype(depth))


def worst(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference in levels of 255."""
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    return float(np.abs(a.astype(np.float64) - b).max() / np.iinfo(a.dtype).max * 255)


@pytest.fixture(scope="module", params=[2, 4])
def upscaler(request: pytest.FixtureRequest) -> Upscaler:
    return Upscaler(network(request.param))


class TestTiles:
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        height=st.integers(1, 50),
        width=st.integers(1, 50),
        tile=st.integers(12, 40),
        upscale=st.sampled_from([1, 1.37, 2, 3, 4, 5.5]),
        grey=st.booleans(),
    )
    def test_tiled_equals_whole(self, upscaler: Upscaler, height: int, width: int, tile: int, upscale: float, grey: bool) -> None:
        picture = photo(height, width, depth=np.uint16, grey=grey)
        tiled = upscaler.enlarge(picture, upscale, tile=tile)
        assert tiled.shape[:2] == (int(height * upscale), int(width * upscale))
        assert worst(tiled, upscaler.enlarge(picture, upscale, tile=0)) < 0.05

    def test_less_overlap_shows(self, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that the test above can fail."""
        monkeypatch.setattr(upscaler, "overlap", upscaler.multiple)
        picture = photo(64, 64, depth=np.uint16)
        assert worst(upscaler.enlarge(picture, 2, tile=16), upscaler.enlarge(picture, 2, tile=0)) > 0.5

    def test_a_compact_network_has_all_the_context_that_it_sees(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch.manual_seed(0)
        net, picture = SRVGGNetCompact(num_feat=8, num_conv=3), photo(40, 40, depth=np.uint16)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(1.5)
        compact = Upscaler(net)
        assert worst(compact.enlarge(picture, 4, tile=20), compact.enlarge(picture, 4, tile=0)) <= 1 / 257
        monkeypatch.setattr(compact, "overlap", compact.overlap - 2)
        assert worst(compact.enlarge(picture, 4, tile=20), compact.enlarge(picture, 4, tile=0)) > 1 / 257

    @given(
        length=st.integers(1, 400),
        context=st.integers(0, 40),
        multiple=st.sampled_from([1, 2, 4]),
        tile=st.integers(1, 90),
        even=st.booleans(),
    )
    def test_cores_cover_the_photo_once_and_windows_keep_the_multiple(
        self, length: int, context: int, multiple: int, tile: int, even: bool
    ) -> None:
        axis = Axis.mirrored(length, context, multiple)
        spans = axis.even(tile) if even else axis.spans(tile * multiple)
        covered = [place for span in spans for place in range(span.start, span.stop)]
        assert covered == list(range(len(covered))) and length <= len(covered) < length + multiple
        for span in spans:
            assert span.first % multiple == 0 and span.last % multiple == 0
            assert span.start - span.first >= context and span.last - span.stop >= context
            assert len(axis.window(span)) == span.last - span.first
            inside = [place for place in range(span.first, span.last) if 0 <= place < length]
            assert axis.window(span)[[place - span.first for place in inside]].tolist() == inside
        if even:
            assert max(span.length for span in spans) <= max(tile, multiple) + multiple - 1

    def test_a_photo_is_mirrored_beyond_its_ends(self) -> None:
        axis = Axis.mirrored(4, 6)
        (span,) = axis.spans()
        assert axis.window(span).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3]

    def test_a_mirror_in_the_photo_is_one_in_the_result(self) -> None:
        """The edge gets the same context as the middle: a photo that continues as its own mirror image goes on as the result's."""
        net, half = network(4), photo(20, 24, depth=np.uint16)
        whole = np.concatenate([half[:, :0:-1], half], axis=1)
        alone, within = Upscaler(net).enlarge(half, 4), Upscaler(net).enlarge(whole, 4)
        assert worst(alone[:, 8:], within[:, -alone.shape[1] + 8 :]) < 0.05

    def test_progress_counts_every_tile(self, upscaler: Upscaler) -> None:
        seen: list[tuple[int, int]] = []
        upscaler.enlarge(photo(40, 60), 2, tile=20, on_tile=lambda done, total: seen.append((done, total)))
        assert seen == [(i, 6) for i in range(1, 7)]


class TestPictures:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3), (7, 5), (33, 31)])
    @pytest.mark.parametrize("upscale", [1, 2, 2.5, 4, 8])
    def test_every_size_comes_out_exactly_as_large_as_asked(self, upscaler: Upscaler, shape: tuple[int, int], upscale: float) -> None:
        enlarged = upscaler.enlarge(photo(*shape), upscale)
        assert enlarged.shape == (int(shape[0] * upscale), int(shape[1] * upscale), 3)
        assert enlarged.std() > 0 and enlarged.dtype == np.uint8

    def test_16_bits_are_finer_than_8(self, upscaler: Upscaler) -> None:
        deep = upscaler.enlarge(photo(20, 24, depth=np.uint16), 2)
        shallow = upscaler.enlarge(photo(20, 24), 2)
        assert deep.dtype == np.uint16
        assert (deep % 257 != 0).mean() > 0.9
        assert np.abs(deep / 257 - shallow).max() < 8  # the input differs by its rounding

    def test_grey_stays_grey_and_is_the_luma_of_the_same_photo_in_three_channels(self, upscaler: Upscaler) -> None:
        grey = photo(20, 24, depth=np.uint16, grey=True)
        enlarged = upscaler.enlarge(grey, 2)
        assert enlarged.shape == (40, 48)
        luma = upscaler.enlarge(np.repeat(grey[..., None], 3, axis=2), 2) @ np.array([0.299, 0.587, 0.114])
        assert np.abs(enlarged - luma).max() <= 1.01

    @pytest.mark.parametrize("depth", [np.uint8, np.uint16])
    def test_alpha_comes_along(self, upscaler: Upscaler, depth: type) -> None:
        alpha = np.zeros((20, 24), depth)
        alpha[:, 12:] = np.iinfo(depth).max
        pixels, enlarged = upscaler.enlarge(photo(20, 24, depth=depth), 3, alpha)
        assert pixels.shape == (60, 72, 3) and enlarged.shape == (60, 72) and enlarged.dtype == depth
        assert (enlarged[:, :33] == 0).all() and (enlarged[:, 39:] == np.iinfo(depth).max).all()

    def test_the_photo_is_not_touched(self, upscaler: Upscaler) -> None:
        picture = photo(20, 24)
        before = picture.copy()
        upscaler.enlarge(picture, 2)
        assert (picture == before).all()

    def test_a_plain_network_enlarges_plainly(self) -> None:
        """The compact network with all weights 0 repeats its input, so what comes out is known."""
        net = SRVGGNetCompact(num_feat=4, num_conv=1, upscale=4)
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
        picture = photo(13, 9)
        repeated = picture.repeat(4, axis=0).repeat(4, axis=1)
        assert (Upscaler(net).enlarge(picture, 4, tile=8) == repeated).all()
        resampled = cv2.resize(repeated.astype(np.float32), (9 * 7, 13 * 7), interpolation=cv2.INTER_LANCZOS4)
        ours = Upscaler(net).enlarge(picture, 7, tile=8)[8:-8, 8:-8]  # beyond the photo OpenCV repeats, we mirror
        assert np.abs(ours - resampled[8:-8, 8:-8].clip(0, 255)).max() < 1.5

    def test_a_network_that_overshoots_is_clipped(self) -> None:
        net = network(2)
        with torch.no_grad():
            net.conv_last.weight.mul_(8)
        enlarged = Upscaler(net).enlarge(photo(20, 20), 2)
        assert enlarged.min() == 0 and enlarged.max() == 255
        assert len(np.unique(enlarged)) > 100

    @pytest.mark.parametrize(
        "wrong",
        [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)],
        ids=lambda array: f"{array.dtype}{array.shape}",
    )
    def test_other_arrays_are_refused(self, upscaler: Upscaler, wrong: NDArray[Any]) -> None:
        with pytest.raises(InputError, match="cannot enlarge this array"):
            upscaler.enlarge(wrong, 2)

    def test_alpha_of_another_kind_is_refused(self, upscaler: Upscaler) -> None:
        with pytest.raises(InputError, match="alpha"):
            upscaler.enlarge(photo(8, 8), 2, np.zeros((8, 9), np.uint8))

    @pytest.mark.parametrize("upscale", [0.5, 8.1, float("nan")])
    def test_other_sizes_are_refused(self, upscaler: Upscaler, upscale: float) -> None:
        with pytest.raises(UsageError, match="enlarge"):
            upscaler.enlarge(photo(8, 8), upscale)

    @pytest.mark.parametrize(("step", "count"), [(4 / 3, 30), (0.25, 64), (2.0, 20)])
    def test_lanczos_keeps_flat_pictures_flat_and_ramps_straight(self, step: float, count: int) -> None:
        weights = lanczos(np.arange(count), step, -16, int(count * step) + 16)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        ramp = np.arange(-16, int(count * step) + 16)
        np.testing.assert_allclose(weights @ ramp, (np.arange(count) + 0.5) * step - 0.5, atol=0.03)


class Starved(nn.Module):
    """A network that says there is no memory for more than so many pixels, in an allocator's words."""

    def __init__(self, net: Prepared, pixels: int, error: BaseException) -> None:
        super().__init__()
        self.net, self.pixels, self.error = net, pixels, error
        self.scale, self.unshuffle, self.bytes_per_pixel = net.scale, net.unshuffle, net.bytes_per_pixel
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(x.shape[2] * x.shape[3])
        if self.sizes[-1] > self.pixels:
            raise self.error
        y: Tensor = self.net(x)
        return y


COMPLAINTS = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
    ),
    RuntimeError("could not create a memory object"),
    MemoryError("Unable to allocate 12.0 GiB for an array"),
]


class TestMemory:
    @pytest.mark.parametrize("error", COMPLAINTS, ids=lambda error: type(error).__name__)
    def test_tiles_are_halved_where_memory_runs_out(self, error: BaseException) -> None:
        net, picture = network(2), photo(150, 130, depth=np.uint16)
        whole, starving = Upscaler(net).enlarge(picture, 2, tile=0), Upscaler(net)
        margin = 2 * starving.overlap
        starving._fast = starved = Starved(starving._fast, (margin + 50) ** 2, error)  # type: ignore[assignment]
        seen: list[tuple[int, int]] = []
        assert worst(starving.enlarge(picture, 2, on_tile=lambda done, total: seen.append((done, total))), whole) < 0.05
        refused = [size for size in starved.sizes if size > starved.pixels]
        assert 1 <= len(refused) <= 3
        assert seen[-1][0] == seen[-1][1] == len(seen) == len(starved.sizes) - len(refused)

        starved.sizes.clear()
        starving.enlarge(picture, 2)
        assert all(size <= starved.pixels for size in starved.sizes), "the next photo starts with tiles that fit"

    def test_below_the_smallest_tile_one_clear_error(self) -> None:
        starving = Upscaler(network(2))
        starving._fast = starved = Starved(starving._fast, 0, COMPLAINTS[0])  # type: ignore[assignment]
        with pytest.raises(ModelError, match="not enough memory on cpu, not even for tiles of 32 px") as caught:
            starving.enlarge(photo(300, 300), 2)
        assert "--background lanczos" in caught.value.what_to_do
        assert len(starved.sizes) < 8

    def test_other_errors_are_not_taken_for_it(self) -> None:
        broken = Upscaler(network(2))
        broken._fast = Starved(broken._fast, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="multiplied"):
            broken.enlarge(photo(30, 30), 2)
        assert not is_out_of_memory(KeyError("out of memory"))

    def test_a_real_allocator_s_words_are_known(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            torch.empty(2**60, dtype=torch.uint8)
        assert is_out_of_memory(caught.value)

    def test_the_tile_follows_the_free_memory(self, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
        sides = []
        for free in (2**20, 2**28, 2**30, 2**50):
            monkeypatch.setattr(background, "free_memory", lambda device, free=free: free)
            sides.append(upscaler._affordable(32))
        assert sides[0] == background.SMALLEST_TILE < sides[1] < sides[2] < sides[3]
        assert all(side % upscaler.multiple == 0 for side in sides)
        assert upscaler._fast.bytes_per_pixel * (sides[2] + 64) ** 2 <= 0.3 * 2**30

    def test_the_system_says_how_much_is_free(self) -> None:
        assert 2**24 < free_memory(torch.device("cpu")) < 2**50


class Failing(nn.Module):
    """Half precision as some graphics cards compute it: `value` somewhere in the picture."""

    def __init__(self, net: Prepared, value: float) -> None:
        super().__init__()
        self.net, self.value, self.calls = net, value, 0
        self.bytes_per_pixel = net.bytes_per_pixel

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y: Tensor = self.net(x)
        if self.calls % 2:
            y[:, :, y.shape[2] // 2] = self.value
        return y


class TestNumbers:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_a_tile_without_numbers_is_made_again_in_fp32(self, value: float, caplog: pytest.LogCaptureFixture) -> None:
        net, picture = network(2), photo(60, 60, depth=np.uint16)
        half = Upscaler(net, precision="bf16")
        half._fast = Failing(half._fast, value)  # type: ignore[assignment]
        result = half.enlarge(picture, 2, tile=30)
        exact = Upscaler(net).enlarge(picture, 2, tile=30)
        assert half._fast.calls == 4 and len(caplog.records) == 2
        assert worst(result[:60, :60], exact[:60, :60]) == 0, "the first tile failed, and was made in fp32"
        assert 0 < worst(result[:60, 60:], exact[:60, 60:]) < 12, "the second did not"

    def test_a_network_of_no_numbers_is_an_error(self) -> None:
        net = network(2)
        with torch.no_grad():
            net.conv_hr.weight[0, 0, 0, 0] = float("nan")
        with pytest.raises(ModelError, match="not numbers"):
            Upscaler(net).enlarge(photo(20, 20), 2)

    def test_half_precision_is_near(self) -> None:
        picture, net = photo(40, 40, depth=np.uint16), network(4)
        exact = Upscaler(net).enlarge(picture, 4)
        assert worst(Upscaler(net, precision="fp16").enlarge(picture, 4), exact) < 2
        assert worst(Upscaler(net, precision="bf16").enlarge(picture, 4), exact) < 16

    def test_an_unknown_precision_is_refused(self) -> None:
        with pytest.raises(UsageError, match="int8"):
            Upscaler(network(2), precision="int8")


class TestPublished:
    def test_ours_and_theirs_agree_in_the_middle(self, upscaler: Upscaler) -> None:
        picture, rim = photo(90, 84, depth=np.uint16), 34 * upscaler.scale
        ours = upscaler.enlarge(picture, upscaler.scale)
        theirs = upscaler.enlarge(picture, upscaler.scale, published=Published())
        assert worst(ours, theirs) > 0.5, "theirs has zeros beyond the photo"
        middle = slice(rim, -rim)
        assert worst(ours[middle, middle], theirs[middle, middle]) < 0.05

    def test_tiles_that_the_published_program_cannot_cut_are_refused(self) -> None:
        with pytest.raises(UsageError, match="tiles of 15 px with 4 px around them do not fit"):
            Upscaler(network(2)).enlarge(photo(40, 40), 2, published=Published(tile=15, tile_pad=4))


class TestLoading:
    def test_a_file_is_told_by_its_keys(self, tmp_path: Path) -> None:
        net = network(2)
        save_file(net.state_dict(), tmp_path / "mine.safetensors")
        loaded, picture = Upscaler.load(tmp_path / "mine.safetensors", "cpu"), photo(20, 20)
        assert (loaded.scale, loaded.name) == (2, "mine")
        assert (loaded.enlarge(picture, 2) == Upscaler(net).enlarge(picture, 2)).all()

    def test_what_enlarges_nothing_is_refused(self) -> None:
        with pytest.raises(ModelError, match="does not enlarge photos"):
            Upscaler.load("gfpgan-mini", "cpu")

    def test_a_file_that_is_not_here_is_an_error(self) -> None:
        with pytest.raises(ModelError):
            Upscaler.load("nowhere/realesrgan.pth", "cpu")
