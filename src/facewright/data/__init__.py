"""Datasets for training and evaluation."""

from facewright.data.aligned import FaceRow, read_manifest
from facewright.data.batches import Batch, PairStream, worked_ahead
from facewright.data.faces import AlignedFaces, Faces, FaceSet, open_faces

__all__ = ["AlignedFaces", "Batch", "FaceRow", "FaceSet", "Faces", "PairStream", "open_faces", "read_manifest", "worked_ahead"]
