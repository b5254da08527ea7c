"""Files that facewright knows by sight but cannot use; people have them lying beside the right one."""

from __future__ import annotations

from facewright.weights.architectures.architecture import Foreign

NOT_A_FACE_MODEL = "not a face model"

FOREIGN: tuple[Foreign, ...] = (
    Foreign("Real-ESRGAN's discriminator", ("conv0.weight", "conv1.weight_orig"), "which only its own training uses"),
    Foreign("an ESRGAN upscaler", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"), NOT_A_FACE_MODEL),
    Foreign("a VQGAN autoencoder", ("encoder.mid.attn_1.norm.weight", "quantize.embedding.weight"), "not a face restorer"),
    Foreign("a VGG with batch normalisation", ("features.0.weight", "features.1.running_mean"), "where the plain VGG-19 is wanted"),
    Foreign("a StyleGAN2 in NVIDIA's layout", ("synthesis.b4.const",)),
    Foreign("a StyleGAN2 in rosinality's layout", ("style.1.weight", "convs.0.conv.modulation.weight")),
    Foreign("a Stable Diffusion checkpoint", ("model.diffusion_model.input_blocks.0.0.weight",), NOT_A_FACE_MODEL),
    Foreign("a language model", ("model.embed_tokens.weight",), NOT_A_FACE_MODEL),
)
