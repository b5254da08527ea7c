"""What a family album is worth: gfpgan-mini fine-tuned on a few people, measured on other photographs of the same people.

    python benchmarks/album.py --work FOLDER [--people 8] [--steps 600]
    python benchmarks/album.py --work FOLDER --sheet sheet.png      # again, from the models that are there

The family are people of the face set with one photograph or two that may be trained on and another that nothing was trained on. Each other
photograph is damaged `--draws` times by the seed, and restored by the model that ships, by the one that knows the family, and by one that
learned as long from other people: what that gains is the training's, what the family's model gains beyond it is the family's. Judges are
those of `quality.py`; those marked * are close to a loss.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from facewright.data import FaceRow, open_faces, read_manifest
from facewright.degrade import preset
from facewright.restore import Restorer
from facewright.train.run import train
from quality import SIZE, Images, Judges, Scores, restored

LEVELS = ("medium", "heavy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FACEWRIGHT_DATA", here.parent / "shared" / "data")) / "faces")
    parser.add_argument("--work", type=Path, required=True, help="where albums and runs go")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--draws", type=int, default=4, help="damages of each photograph")
    parser.add_argument("--sheet", type=Path, help="also write a picture: damaged | shipped | family | truth")
    parser.add_argument("overrides", nargs="*", help="settings of the training, key=value")
    arguments = parser.parse_args()

    family, strangers, held_out = chosen(arguments.data, arguments.people)
    models = {"shipped": "gfpgan-mini"}
    for name, rows in {"strangers": strangers, "family": family}.items():
        album(arguments.work / name, rows)
        run = arguments.work / f"run-{name}"
        overrides = [f"recipe.data={arguments.work / name}", f"run.steps={arguments.steps}", *arguments.overrides]
        models[name] = str(train("gfpgan", "finetune", overrides, run))

    truth = np.repeat(pictures_of(held_out), arguments.draws, axis=0)
    judges = Judges(truth)
    restorers = {name: Restorer(model=model, aligned=True) for name, model in models.items()}
    people = len({row.person for row in held_out})
    print(f"{len(held_out)} photographs of {people} people, {arguments.draws} damages each, {SIZE} px\n")
    print("| damage | model | " + " | ".join(Judges.COLUMNS) + " |\n|" + "---|" * (2 + len(Judges.COLUMNS)))
    sheets = []
    for level in LEVELS:
        damaged = damage(level, truth)
        made = {"damaged": damaged} | {name: restored(damaged, restorer) for name, restorer in restorers.items()}
        scores = {name: judges(images) for name, images in made.items()}
        for name, score in scores.items():
            print(f"| {level} | {name} | " + " | ".join(score.row()) + " |", flush=True)
        print(
            f"| {level} | family better than shipped, of {len(held_out)} | {wins(scores['family'], scores['shipped'], arguments.draws)} |"
        )
        columns = (made["damaged"], made["shipped"], made["family"], truth)
        sheets.append(np.concatenate([np.concatenate(list(images[:: arguments.draws][:8]), axis=0) for images in columns], axis=1))
    if arguments.sheet:
        levels = np.rint(np.clip(np.concatenate(sheets, axis=1), 0, 1) * 255).astype(np.uint8)
        Picture.fromarray(levels).save(arguments.sheet)


def chosen(data: Path, people: int) -> tuple[list[FaceRow], list[FaceRow], list[FaceRow]]:
    """The album's rows, as many of strangers, and the rows of the album's people that nothing was trained on."""
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


def album(folder: Path, rows: list[FaceRow]) -> None:
    """The crops and a manifest of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        shutil.copyfile(row.file, folder / row.file.name)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0].columns))
        writer.writeheader()
        writer.writerows(row.columns for row in rows)


def pictures_of(rows: list[FaceRow]) -> Images:
    wanted = {row.file for row in rows}
    return open_faces(rows[0].file.parent, SIZE, keep=lambda row: row.file in wanted).stacked().astype(np.float32) / np.float32(255)


def damage(level: str, truth: Images) -> Images:
    degradation = preset(level).scaled(SIZE)
    return np.stack([degradation(picture, np.random.default_rng([7, index]))[0] for index, picture in enumerate(truth)])


def wins(ours: Scores, theirs: Scores, draws: int) -> str:
    """On how many photographs each number is better, averaged over its damages."""
    better = {"psnr": 1, "ssim": 1, "identity": -1, "inner": -1, "landmarks": -1, "onet": -1}
    each = {name: sign * (ours.each[name] - theirs.each[name]).reshape(-1, draws).mean(axis=1) for name, sign in better.items()}
    return " | ".join(str(int((values > 0).sum())) for values in each.values()) + " | |"


if __name__ == "__main__":
    main()
