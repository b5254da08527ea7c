"""The fixtures of driving.py, for every test of this folder."""

from driving import call, model, portrait, run, tiny_model

__all__ = ["call", "model", "portrait", "run", "tiny_model"]
