"""Who looks at pictures: each judge loads its networks once, looks at a batch, and compares what it saw of two."""

from facewright.evaluate.judges.judge import Judge
from facewright.evaluate.judges.panel import Panel, open_panel

__all__ = ["Judge", "Panel", "open_panel"]
