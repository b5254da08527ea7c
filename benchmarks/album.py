"""What a family album is worth: gfpgan-mini fine-tuned on a few people, measured on other photographs of the same people.

    python benchmarks/album.py --work FOLDER [--people 10] [--steps 300] [key=value ...]

The family are people of the face set with one photograph or two that may be trained on and another that nothing was trained on. Each other
photograph is damaged `--draws` times by the seed, and restored by the model that ships, by the one that knows the family, and by one that
learned as long from other people: what that gains is the training's, what the family's model gains beyond it is the family's. The
measuring is `facewright evaluate`'s; FOLDER/evaluation/ has its page. A run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np

from facewright.data import FaceRow, read_manifest
from facewright.evaluate.evaluation import Choices, Evaluation
from facewright.train.run import train

SIZE = 256
COPIES = "{stem}-draw{draw}{suffix}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FACEWRIGHT_DATA", here.parent / "shared" / "data")) / "faces")
    parser.add_argument("--work", type=Path, required=True, help="where albums, runs and the evaluation go")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--draws", type=int, default=4, help="damages of each photograph")
    parser.add_argument("overrides", nargs="*", help="settings of the training, key=value")
    arguments = parser.parse_args()

    family, strangers, held_out = chosen(arguments.data, arguments.people)
    models = []
    for name, rows in {"family": family, "strangers": strangers}.items():
        album(arguments.work / name, rows, split="train")
        overrides = [f"recipe.data={arguments.work / name}", f"run.steps={arguments.steps}", *arguments.overrides]
        exported = train("gfpgan", "finetune", overrides, arguments.work / f"run-{name}")
        models.append(shutil.copyfile(exported, arguments.work / f"{name}.safetensors"))
    print(f"family: {len(family)} photographs of {arguments.people} people; strangers: {len(strangers)} of as many")

    album(arguments.work / "others", held_out, split="val", draws=arguments.draws)
    choices = Choices(
        suite="val-faces",
        models=("gfpgan-mini", *map(str, models)),
        damage=("medium", "heavy"),
        rivals=(),
        data=arguments.work / "others",
    )
    print(Evaluation(choices).run(arguments.work / "evaluation").markdown)


def chosen(data: Path, people: int) -> tuple[list[FaceRow], list[FaceRow], list[FaceRow]]:
    """The album's rows, as many people's of strangers, and the rows of the album's people that nothing was trained on."""
    photos: dict[str, list[FaceRow]] = defaultdict(list)
    for row in read_manifest(data, lambda row: row.split == "train" and row.stored_width >= SIZE):
        photos[row.person].append(row)

    def learned(person: str) -> list[FaceRow]:
        return [row for row in photos[person] if row.use == "train-ok"]

    both = sorted(
        (person for person in photos if learned(person) and len(learned(person)) < len(photos[person])),
        key=lambda person: (-len(photos[person]), person),
    )
    order = [*both[:3], *np.random.default_rng(0).permutation(both[3:])]
    family, strangers = order[:people], order[people : 2 * people]
    held_out = [row for person in family for row in photos[person] if row.use != "train-ok"]
    return [row for person in family for row in learned(person)], [row for person in strangers for row in learned(person)], held_out


def album(folder: Path, rows: list[FaceRow], *, split: str, draws: int = 1) -> None:
    """The crops, `draws` copies of each, and a manifest of their own that says they belong to `split`."""
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for row in rows:
        for draw in range(draws):
            name = COPIES.format(stem=row.file.stem, draw=draw, suffix=row.file.suffix)
            shutil.copyfile(row.file, folder / name)
            told.append({**row.columns, "file": name, "split": split})
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0].columns))
        writer.writeheader()
        writer.writerows(told)


if __name__ == "__main__":
    main()
