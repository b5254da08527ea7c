"""Datasets for training and evaluation."""

from facewright.data.aligned import AlignedFaces, FaceRow, read_manifest
from facewright.data.batches import Batch, PairStream

__all__ = ["AlignedFaces", "Batch", "FaceRow", "PairStream", "read_manifest"]
