"""Numbers that say how good a restoration is.

Pictures are N x 3 x H x W (or N x 1 x H x W, grey), floats in [0, 1] or uint8; a number a picture comes back, in float64. What cannot
be measured is an InputError. Conventions of papers and libraries are named (`CONVENTIONS`), and `label` prints a number with its own:
"psnr[rgb, gfpgan]". Networks that judge are handed in; `facewright.weights.judges` loads them.

With a truth
    psnr, ssim, ms_ssim                     (restored, truth, convention=, channel=, crop=)
    lpips, dists                            (restored, truth, network): distances, lower is better
    lpips_each, dists_each                  the same for several restorations of one truth, which is looked at once
    identity_angle, identity_similarity     of embeddings N x D; mean_angle leaves out equal pairs; arcface_input makes the input
    landmark_distance                       of points N x P x 2
    colourization_auc, colourization_curve  colours in CIE Lab
    flicker                                 of clips T x 3 x H x W; Flicker, along their motion, frame by frame
Without
    niqe                                    (pictures, model): NiqeModel.bundled() is niqe[faces], NiqeModel.read(file) niqe[published]
    fit_niqe                                the model of pristine pictures
    sharpness                               variance of the Laplacian
    damage                                  how damaged a face looks, in parts; of an array
    seam                                    edges along a paste's contour; of arrays
    lbp                                     local binary patterns; of arrays (a module)
Of sets, from features N x D
    inception_input                         pictures as Inception-v3 is shown them
    frechet_distance, Statistics            of means and covariances, read and saved
    kid, mmd, precision_recall, inception_score
    path_lengths, ppl                       of a generator
Gathered as pictures come, each with update, compute and merge
    Fid, Kid, PrecisionRecall, NiqeFit, Mean
"""

from facewright.metrics.colourization import colourization_auc, colourization_curve
from facewright.metrics.conventions import CONVENTIONS, Convention, convention, label
from facewright.metrics.damage import Damage, damage
from facewright.metrics.fid import Fid, Statistics, frechet_distance
from facewright.metrics.flicker import Flicker, flicker
from facewright.metrics.identity import arcface_input, identity_angle, identity_similarity, mean_angle
from facewright.metrics.inception_input import inception_input
from facewright.metrics.inception_score import inception_score
from facewright.metrics.kid import Kid, kid, mmd
from facewright.metrics.landmarks import landmark_distance
from facewright.metrics.mean import Mean
from facewright.metrics.niqe import NiqeFit, NiqeModel, fit_niqe, niqe
from facewright.metrics.perceptual import dists, dists_each, lpips, lpips_each
from facewright.metrics.ppl import path_lengths, ppl
from facewright.metrics.precision_recall import PrecisionRecall, precision_recall
from facewright.metrics.psnr import psnr
from facewright.metrics.seam import seam
from facewright.metrics.sharpness import sharpness
from facewright.metrics.ssim import ms_ssim, ssim

__all__ = [
    "CONVENTIONS",
    "Convention",
    "Damage",
    "Fid",
    "Flicker",
    "Kid",
    "Mean",
    "NiqeFit",
    "NiqeModel",
    "PrecisionRecall",
    "Statistics",
    "arcface_input",
    "colourization_auc",
    "colourization_curve",
    "convention",
    "damage",
    "dists",
    "dists_each",
    "fit_niqe",
    "flicker",
    "frechet_distance",
    "identity_angle",
    "identity_similarity",
    "inception_input",
    "inception_score",
    "kid",
    "label",
    "landmark_distance",
    "lpips",
    "lpips_each",
    "mean_angle",
    "mmd",
    "ms_ssim",
    "niqe",
    "path_lengths",
    "ppl",
    "precision_recall",
    "psnr",
    "seam",
    "sharpness",
    "ssim",
]
