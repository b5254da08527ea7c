"""What the files and the page tell is what was measured, whatever pictures and methods are called."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewright.evaluate import charts, files
from facewright.evaluate.catalogue import METRICS
from facewright.evaluate.evaluation import Choices, Evaluated, Evaluation
from facewright.evaluate.results import NOT_STATED, group_of
from facewright.evaluate.source import Case
from facewright.evaluate.statistics import Interval

EVIL = '<img src=x onerror=alert(1)> & "x" | 50% $\\_'


@pytest.fixture(scope="module")
def suite(faces_folder: Path, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    out = tmp_path_factory.mktemp("out")
    choices = Choices(
        suite="val-faces",
        data=faces_folder,
        models=(tiny,),
        damage=("medium", "x4"),
        rivals=("bicubic",),
        size=64,
        sweep="w=0:1:0.5",
        metrics=("psnr", "ssim", "identity", "features[onet]", "rank1", "sharpness"),
        groups=("group", "age"),
    )
    return Evaluation(choices).run(out)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    root, chance = tmp_path_factory.mktemp("pairs"), np.random.default_rng(5)
    ours, theirs, truth = root / EVIL.replace("/", "-"), root / "theirs", root / "truth"
    for folder in (ours, theirs, truth):
        folder.mkdir()
    for number in range(6):
        picture = chance.integers(20, 230, (32, 40, 3), np.uint8)
        for folder, off in ((truth, 0), (ours, 2), (theirs, 5 + number % 2)):
            Image.fromarray(picture + np.uint8(off)).save(folder / f"{number} <b>.png")
    (ours / "5 <b>.png").write_bytes(b"no picture")
    return Evaluation(Choices(restored=(ours, theirs), truth=truth, metrics=("psnr", "ssim"), beside="celeba-test")).run(root / "out")


class Tags(HTMLParser):
    """Open tags are closed in order, and none of them runs or fetches."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, (tag, self.getpos())


def parsed(done: Evaluated) -> Tags:
    assert done.folder is not None
    tags = Tags()
    tags.feed((done.folder / "index.html").read_text(encoding="utf-8"))
    assert tags.stack == []
    return tags


@pytest.mark.parametrize("which", ["suite", "folders"])
def test_the_page_is_whole_runs_nothing_and_fetches_nothing(which: str, request: pytest.FixtureRequest) -> None:
    tags = parsed(request.getfixturevalue(which))
    assert not any(tag in ("script", "iframe", "object", "form", "input") for tag, _ in tags.seen)
    assert not any(name.startswith("on") for _, attributes in tags.seen for name in attributes)
    for tag, attributes in tags.seen:
        assert "srcset" not in attributes
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)


def test_names_are_told_and_not_obeyed(folders: Evaluated) -> None:
    assert folders.folder is not None
    page = (folders.folder / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page and "5 &lt;b&gt;" in page and "onerror=alert(1)&gt;" in page
    assert EVIL.replace("|", "\\|") in folders.markdown
    latex = (folders.folder / "table.tex").read_text(encoding="utf-8")
    assert "50\\% \\$\\textbackslash{}\\_" in latex and "\\& " in latex
    assert page.count("could not be measured and count nowhere") == 1


def test_the_table_for_a_spreadsheet_holds_what_was_measured(suite: Evaluated) -> None:
    assert suite.folder is not None
    with (suite.folder / "table.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 2 * 6 * 6
    for row in rows:
        table = next(table for table in suite.results.tables if table.condition == row["damage"])
        metric = next(metric for metric in suite.results.metrics if metric.label == row["metric"])
        told = table.numbers[row["method"]][metric.name]
        assert float(row["mean"]) == pytest.approx(told.mean, rel=1e-5) and int(row["pictures"]) == 8
        assert row["p_against_best"] == "" or 0 < float(row["p_against_best"]) <= 1
        assert float(row["low"]) <= float(row["mean"]) <= float(row["high"])


def test_every_picture_has_its_line_and_the_means_are_theirs(suite: Evaluated) -> None:
    assert suite.folder is not None
    lines = [json.loads(line) for line in (suite.folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 8 * 2 * 6 and len({(line["picture"], line["damage"], line["method"]) for line in lines}) == len(lines)
    for table in suite.results.tables:
        for method, row in table.numbers.items():
            mine = [line for line in lines if line["damage"] == table.condition and line["method"] == method]
            assert row["identity[dlib]"].mean == pytest.approx(np.mean([line["identity[dlib]"] for line in mine]), abs=1e-5)
            assert row["rank1[lbp]"].mean == pytest.approx(np.mean([line["rank1[lbp]"] for line in mine]))
            logarithms = np.log([line["sharpness[ratio]"] for line in mine])
            assert row["sharpness[ratio]"].mean == pytest.approx(np.exp(logarithms.mean()), rel=1e-3)


def test_the_best_is_marked_and_so_is_what_is_not_told_apart(suite: Evaluated) -> None:
    for table in suite.results.tables:
        for metric in suite.results.metrics:
            best = table.best[metric.name]
            means = {method: metric.worse_first(row[metric.name].mean) for method, row in table.numbers.items()}
            assert means[best] == max(means.values()) and best in table.alike[metric.name]
            for method in means:
                p = files.p_against_best(table, metric, method)
                assert method == best or (method in table.alike[metric.name]) == (not p < 0.05)
    # a model at w = 1 gives back the damaged picture: nothing tells the two apart
    damaged, kept = (suite.results.tables[0].numbers[name]["psnr[rgb]"].mean for name in ("damaged", "tiny (w 1)"))
    assert damaged == kept and suite.results.tables[0].p["psnr[rgb]"]["damaged", "tiny (w 1)"] == 1


def test_groups_hold_their_own_pictures(suite: Evaluated) -> None:
    rows = [row for row in suite.results.groups if row.condition == "medium"]
    # eight pictures, four of each group and one or two of each age: small groups are put together
    assert [(row.column, row.group, row.count) for row in rows][:1] == [("group", "other", 8)]
    assert rows[0].people == 7
    everyone = suite.results.tables[0].numbers["damaged"]["psnr[rgb]"].mean
    assert rows[0].numbers["damaged"]["psnr[rgb]"] == pytest.approx(everyone)


@pytest.mark.parametrize(
    ("age", "band"),
    [("24", "under 25"), ("25", "25 to 39"), ("59.5", "40 to 59"), ("96", "60 and over"), ("", NOT_STATED), ("?", NOT_STATED)],
)
def test_ages_come_in_bands(age: str, band: str) -> None:
    assert group_of(Case("a", "a", "", (1, 1), {"age": age}), "age") == band
    assert group_of(Case("a", "a", "", (1, 1)), "group") == NOT_STATED


def test_the_page_shows_worst_and_best_cases_and_the_trade_off(suite: Evaluated) -> None:
    assert suite.folder is not None
    page = (suite.folder / "index.html").read_text(encoding="utf-8")
    assert page.count('class="which">worst<') == page.count('class="which">best<') == 2
    assert page.count('class="case"') == 2 * 6 and 'class="curve"' in page and "Trade-off over w" in page
    scores = suite.results.scores["medium"]
    mean = np.mean([scores[name]["identity[dlib]"] for name in suite.source.models], axis=0)
    first = re.search(r'class="case"><p>([^<]+)<', page)
    assert first is not None and first[1] == suite.results.cases[int(mean.argmax())].name


def test_published_numbers_stand_beside_ours_and_say_what_was_verified(folders: Evaluated) -> None:
    assert folders.folder is not None
    page = (folders.folder / "index.html").read_text(encoding="utf-8")
    assert '<td class="recalled">34.60</td>' in page and '<td class="seen">0.6777</td>' in page
    assert '<tr class="ours">' in page and "Not comparable with ours" in page
    ours = re.search(r'<tr class="ours"><th scope=row>theirs.*?</tr>', page)
    assert ours is not None and ours[0].count("not measured") == 4


@pytest.mark.slow
def test_a_second_run_writes_the_same_files(suite: Evaluated, tmp_path: Path) -> None:
    again = Evaluation(suite.choices).run(tmp_path / "again")
    assert suite.folder is not None and again.folder is not None
    for name in ("results.jsonl", "table.csv", "table.md", "table.tex", "index.html"):
        assert (suite.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


def test_a_strip_puts_the_better_to_the_right() -> None:
    for metric, better in ((METRICS["psnr[rgb]"], 1), (METRICS["identity[dlib]"], -1)):
        drawn = charts.strip(metric, {"a": Interval(1, 0.9, 1.1, 9), "b": Interval(2, 1.8, 2.2, 9)}, {"a": 0, "b": 1})
        a, b = (float(x) for x in re.findall(r'<circle[^>]* cx="([\d.]+)"', drawn))
        assert (b - a) * better > 50
    assert charts.strip(METRICS["psnr[rgb]"], {"a": Interval(float("inf"), float("nan"), float("nan"), 1)}, {"a": 0}) == ""


def test_a_curve_goes_through_its_points_and_has_round_ticks() -> None:
    points = [charts.Point(w, Interval(30 - 5 * w, 0, 0, 9), Interval(0.5 - 0.3 * w, 0, 0, 9)) for w in (0.0, 0.5, 1.0)]
    drawn = charts.curve({"m": points}, METRICS["psnr[rgb]"], METRICS["identity[dlib]"], "w", {"m": 0})
    marks = [tuple(map(float, each)) for each in re.findall(r'<circle[^>]* cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert marks[0][0] > marks[1][0] > marks[2][0] and marks[0][1] > marks[1][1] > marks[2][1]
    ticks = [float(each) for each in re.findall(r'text-anchor="end">([\d.]+)<', drawn)]
    assert len(ticks) >= 3 and np.allclose(np.diff(ticks), np.diff(ticks)[0])
