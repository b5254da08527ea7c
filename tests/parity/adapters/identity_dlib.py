"""dlib's own library on two chips, against the embedding that ships."""

from __future__ import annotations

from facewright.weights import load_model
from parity.reading import Fixture


def handles(fixture: Fixture) -> bool:
    return fixture.built == "face_recognition_model_v1"


def run(fixture: Fixture) -> None:
    chips = fixture.inputs()["chips"].round()  # dlib takes 8-bit pixels
    fixture.check("embedding", load_model("identity-dlib").net(chips))
