"""Suites, pairing, tables, significance, published numbers beside ours."""

from facewright.evaluate.catalogue import METRICS, Metric
from facewright.evaluate.evaluation import Choices, Evaluated, Evaluation
from facewright.evaluate.suites import SUITES

__all__ = ["METRICS", "SUITES", "Choices", "Evaluated", "Evaluation", "Metric"]
