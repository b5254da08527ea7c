"""The networks of the recipe `gfpgan`: new ones, or those of files, in the form in which they are trained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from facewright.errors import ModelError, UsageError
from facewright.nets.blocks.modulated import Flavour
from facewright.nets.gfpgan import GFPGAN, FacialComponentDiscriminator, bilinear_of, refined
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, channel_table
from facewright.train.channels import by_resolution, in_order
from facewright.train.recipes.gfpgan.settings import PARTS, GfpganSettings
from facewright.weights import Model, load_model


@dataclass
class Networks:
    """by_name: generator, discriminator (where its loss is weighed), and left_eye, right_eye, mouth where the components are.

    settings: as given, and what the files decided. from_clean: the generator's file was of the "clean" flavour, and its export shall be.
    """

    by_name: dict[str, nn.Module]
    settings: GfpganSettings
    from_clean: bool = False


def build(settings: GfpganSettings) -> Networks:
    """Raises ModelError for a file that is missing or of another architecture, UsageError where settings and file contradict each other."""
    settings, from_clean = settings.settled(), False
    if settings.start:
        generator, settings, from_clean = _started(settings)
    elif settings.prior:
        generator, settings = _on_prior(settings)
    else:
        generator = _new(settings)
        if settings.flavour == "clean" and settings.input_skip:
            _start_well(generator)
    if settings.fix_decoder:
        generator.stylegan_decoder.requires_grad_(False)
    networks: dict[str, nn.Module] = {"generator": generator}
    if settings.weights["adversarial"] > 0:
        networks["discriminator"], settings = _discriminator(settings)
    if settings.components:
        for part in PARTS:
            file = settings.start_components.get(part, "")
            network = _loaded(file, "gfpgan.component_discriminator", f"the discriminator of the {part}").net if file else None
            networks[part] = network or FacialComponentDiscriminator()
    for name, network in networks.items():
        network.train()
        if name != "generator":
            network.requires_grad_(True)
    return Networks(networks, settings, from_clean)


def parameter_groups(generator: nn.Module, part: float) -> list[dict[str, Any]]:
    """Parameters by learning rate: scales multiply from level to level, so at the rate of the others the picture explodes.

    part: of the full rate, for what multiplies; 1 is the published training, one group.
    """
    multiplies = re.compile(r"condition_scale|modulation|final_linear|constant_input")
    slow: list[nn.Parameter] = []
    fast: list[nn.Parameter] = []
    for name, parameter in generator.named_parameters():
        if parameter.requires_grad:
            (slow if part != 1 and multiplies.search(name) else fast).append(parameter)
    return [{"params": fast, "part": 1.0}, *([{"params": slow, "part": part}] if slow else [])]


def _new(settings: GfpganSettings, **options: Any) -> GFPGAN:
    return GFPGAN(
        flavour=cast(Flavour, settings.flavour),
        out_size=settings.size,
        num_style_feat=settings.style,
        channels=by_resolution(settings.channels),
        sft_half=True,
        different_w=True,
        input_is_latent=True,
        input_skip=settings.input_skip,
        fold=settings.fold,
        refine=settings.refine,
        **options,
    )


def _started(settings: GfpganSettings) -> tuple[GFPGAN, GfpganSettings, bool]:
    """The generator of `start`, trainable. A plain clean one is trained in the bilinear form; one with our additions as it is."""
    model = _loaded(settings.start, "gfpgan", "the generator", settings.flavour)
    generator = cast(GFPGAN, model.net)
    if settings.refine and generator.refine is None:
        generator = refined(generator, settings.refine)
    file, skip = generator.flavour, generator.input_skip is not None
    trained = settings.flavour or ("bilinear" if file == "clean" and not skip and generator.fold == 1 else file)
    if trained != file and (file, trained) != ("clean", "bilinear"):
        raise UsageError(
            f"recipe.flavour cannot be {trained!r}",
            f"{settings.start} is of the flavour {file!r}, which has no such form",
            f"leave it out, or use {file}",
        )
    settings = settings.following(
        settings.start,
        size=generator.out_size,
        channels=in_order(generator.stylegan_decoder.channels),
        style=generator.num_style_feat,
        fold=generator.fold,
        refine=generator.arguments["refine"],
        input_skip=skip,
        flavour=trained,
    )
    generator = bilinear_of(generator) if trained == "bilinear" else generator
    return generator.requires_grad_(True), settings, file == "clean"


def _on_prior(settings: GfpganSettings) -> tuple[GFPGAN, GfpganSettings]:
    """A new U-Net before the StyleGAN2 of `prior`."""
    model = _loaded(settings.prior, "stylegan2", "the prior", settings.flavour)
    prior = cast(StyleGAN2Generator, model.net)
    settings = settings.following(
        settings.prior,
        size=prior.out_size,
        channels=in_order(prior.channels),
        style=prior.num_style_feat,
        fold=1,
        flavour=prior.flavour,
    )
    generator = _new(settings, num_mlp=model.arguments["num_mlp"])
    generator.stylegan_decoder.load_state_dict(prior.state_dict())
    return generator, settings


def _discriminator(settings: GfpganSettings) -> tuple[nn.Module, GfpganSettings]:
    if not settings.start_discriminator:
        return StyleGAN2Discriminator(settings.crop, channels=by_resolution(settings.discriminator_channels)), settings
    model = _loaded(settings.start_discriminator, "stylegan2.discriminator", "the discriminator")
    told = model.arguments
    channels = channel_table(told["out_size"], told.get("channel_multiplier", 2), told.get("narrow", 1), told.get("channels"))
    settings = settings.following(settings.start_discriminator, crop=told["out_size"], discriminator_channels=in_order(channels))
    return model.net, settings


def _loaded(name: str, architecture: str, role: str, flavour: str = "") -> Model:
    """flavour: what the settings say, for files whose names and shapes leave it open."""
    try:
        model = load_model(name)
    except ModelError:
        if not flavour:
            raise
        model = load_model(name, flavour=flavour)
    if model.architecture != architecture:
        raise ModelError(
            f"{role} cannot start from {name}", f"it is {model.info['title']}", f"give a file of the architecture {architecture!r}"
        )
    return model


def _start_well(generator: GFPGAN) -> None:
    """First weights that let the picture through: variances kept along the U-Net (He et al. 2015), shifts as strong as the
    decoder's own features. PyTorch's defaults lose a factor of ten on the way, and the decoder then learns without the photo for long.
    The decoder's picture starts faint, so that with a skip from the input training begins with the damaged picture.
    """
    for name, module in generator.named_modules():
        if not isinstance(module, nn.Conv2d) or name.startswith(("stylegan_decoder", "input_skip", "refine", "toRGB")):
            continue
        linear = name.endswith(".skip") or name.endswith(".2")
        nn.init.kaiming_normal_(module.weight, a=1.0 if linear else 0.2)
        with torch.no_grad():
            if name.startswith("conv_body") and name.endswith((".conv2", ".skip")):
                module.weight.mul_(0.5**0.5)  # the two are added
            if name.startswith("condition_scale") and linear:
                module.weight.mul_(0.2)
            if module.bias is not None and not (name.startswith("condition_scale") and linear):
                module.bias.zero_()
    with torch.no_grad():
        for name, parameter in generator.stylegan_decoder.named_parameters():
            if "to_rgb" in name and name.endswith("modulated_conv.weight"):
                parameter.mul_(0.05)
