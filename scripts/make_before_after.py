"""Make docs/before-after.jpg: the faces of the examples, before above and after below, by the default model.

python scripts/make_before_after.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from facewright.restore import Restorer

ROOT = Path(__file__).resolve().parent.parent
SIDE, GAP = 256, 8


def main() -> None:
    restorer = Restorer()
    columns = []
    for path in sorted((ROOT / "examples").iterdir()):
        if path.suffix == ".md":
            continue
        for result in restorer.restore([path]):
            for face in result.faces:
                if face.crop is not None and face.restored is not None:
                    columns.append(np.concatenate([face.crop, np.ones((GAP, SIDE, 3), np.float32), face.restored]))
                    columns.append(np.ones((2 * SIDE + GAP, GAP, 3), np.float32))
    sheet = np.rint(np.clip(np.concatenate(columns[:-1], axis=1), 0, 1) * 255).astype(np.uint8)
    Image.fromarray(sheet).save(ROOT / "docs" / "before-after.jpg", quality=90)


if __name__ == "__main__":
    main()
