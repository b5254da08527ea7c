"""The networks of the recipe `codeformer`: new ones, or those of the stages before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from torch import nn

from facewright.errors import ModelError
from facewright.nets.codeformer import CodeFormer, Task
from facewright.nets.vqgan import VQGAN, PatchDiscriminator
from facewright.train.exporting import fingerprint, save_half
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.weights import Model, load_model

AUTOENCODER = ("img_size", "nf", "ch_mult", "res_blocks", "attn_resolutions", "codebook_size", "emb_dim", "fold")
"""Of the arguments of `VQGAN`, those that `CodeFormer` takes over."""


def new_vqgan(settings: CodeFormerSettings) -> VQGAN:
    s = settings
    quantizer = cast(Literal["nearest", "gumbel"], s.quantizer)
    sizes = (s.size, s.nf, s.ch_mult, quantizer, s.res_blocks, s.attn_resolutions, s.codebook_size, s.emb_dim)
    return VQGAN(*sizes, fold=s.fold)


def new_discriminator(settings: CodeFormerSettings) -> PatchDiscriminator:
    """That of a file, where the settings name one."""
    if settings.start_discriminator:
        model = _loaded(settings.start_discriminator, "vqgan.discriminator", "the discriminator")
        return cast(PatchDiscriminator, model.net.requires_grad_(True).train())
    return PatchDiscriminator(3, settings.ndf, settings.discriminator_layers)


def load_vqgan(name: str) -> Model:
    """The network whose codes are predicted, frozen. Raises ModelError for another one, or one of Gumbel codes."""
    model = _loaded(name, "vqgan", "the prediction of codes")
    if model.arguments["quantizer"] != "nearest":
        raise ModelError(f"the codes of {name} cannot be predicted", "it draws them at random", "train it with recipe.quantizer=nearest")
    return model


def new_codeformer(settings: CodeFormerSettings, vqgan: Model) -> CodeFormer:
    """On the autoencoder of `vqgan`; or the whole one of `settings.start`."""
    if settings.start:
        net = cast(CodeFormer, _loaded(settings.start, "codeformer", "the generator").net)
        return learning(net)
    s, sizes = settings, {name: vqgan.arguments[name] for name in AUTOENCODER}
    net = CodeFormer(s.dim_embd, s.n_head, s.n_layers, connect_list=s.connect_list, task=cast(Task, s.task), **sizes)
    net.load_state_dict(vqgan.net.state_dict(), strict=False)
    return learning(net)


def learning(net: CodeFormer) -> CodeFormer:
    """Codes and painter do not learn, everything else does."""
    net.requires_grad_(True)
    for part in (net.quantize, net.generator):
        part.requires_grad_(False)
    return net.train()


def export(
    network: nn.Module, path: Path, architecture: str, steps: int, settings: CodeFormerSettings, arguments: dict[str, Any] | None = None
) -> None:
    """arguments: what names and shapes leave open."""
    save_half(network.state_dict(), path, architecture, arguments or {}, steps=steps, settings=fingerprint(settings))


def _loaded(name: str, architecture: str, role: str) -> Model:
    model = load_model(name)
    if model.architecture != architecture:
        what_to_do = f"give a file of the architecture {architecture!r}"
        raise ModelError(f"{role} cannot start from {name}", f"it is {model.info['title']}", what_to_do)
    return model
