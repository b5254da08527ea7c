"""Files that facewright knows by sight but cannot use; people have them lying beside the right one."""

from __future__ import annotations

from facewright.weights.architectures.architecture import Foreign

NOT_A_FACE_MODEL = "not a face model"

FOREIGN: tuple[Foreign, ...] = (
    Foreign("a Real-ESRGAN upscaler (RRDBNet)", ("conv_first.weight", "body.0.rdb1.conv1.weight"), NOT_A_FACE_MODEL),
    Foreign("an ESRGAN upscaler", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"), NOT_A_FACE_MODEL),
    Foreign("a Real-ESRGAN upscaler (compact)", ("body.0.weight", "body.0.bias", "body.2.weight"), NOT_A_FACE_MODEL),
    Foreign("the face detector RetinaFace", ("ClassHead.0.conv1x1.weight", "LandmarkHead.0.conv1x1.weight"), "not a face restorer"),
    Foreign("the face detector YOLOv5-face", ("model.0.stem_1.conv.weight",), "not a face restorer"),
    Foreign("the face parser ParseNet", ("encoder.0.conv2d.weight", "out_mask_conv.conv2d.weight"), "not a face restorer"),
    Foreign("the face parser BiSeNet", ("cp.resnet.conv1.weight", "ffm.convblk.conv.weight"), "not a face restorer"),
    Foreign("the face embedding ArcFace", ("layer1.0.bn0.weight", "bn4.weight", "fc5.weight"), "not a face restorer"),
    Foreign("the face restorer CodeFormer", ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight")),
    Foreign("the face restorer VQFR", ("encoder.conv_in.weight", "inpfeat_extraction.conv.weight")),
    Foreign("the face restorer VQFR", ("encoder.conv_in.weight", "inpfeat_extraction.weight")),
    Foreign("the face restorer RestoreFormer", ("encoder.conv_in.weight", "decoder.mid.attn_1.proj_out.weight", "post_quant_conv.weight")),
    Foreign("a training file of RestoreFormer", ("vqvae.encoder.conv_in.weight", "vqvae.post_quant_conv.weight")),
    Foreign("a VQGAN autoencoder", ("encoder.blocks.0.weight", "generator.blocks.0.weight"), "not a face restorer"),
    Foreign("a VGG feature network", ("features.0.weight", "features.28.weight"), NOT_A_FACE_MODEL),
    Foreign("a StyleGAN2 in NVIDIA's layout", ("synthesis.b4.const",)),
    Foreign("a StyleGAN2 in rosinality's layout", ("style.1.weight", "convs.0.conv.modulation.weight")),
    Foreign("a Stable Diffusion checkpoint", ("model.diffusion_model.input_blocks.0.0.weight",), NOT_A_FACE_MODEL),
    Foreign("a language model", ("model.embed_tokens.weight",), NOT_A_FACE_MODEL),
)
