"""The results as files: a line a picture, and tables for a spreadsheet, a README and a paper."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from facewright.errors import OutputError
from facewright.evaluate.catalogue import Metric
from facewright.evaluate.results import Results, Table
from facewright.media import write_atomically


def write_lines(results: Results, path: Path) -> None:
    """results.jsonl: one line a picture, condition and method; infinity is the string "inf". It appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as lines:
            for told in _told(results):
                lines.write(json.dumps(told, ensure_ascii=False) + "\n")
            for failure in results.failures:
                lines.write(json.dumps({"picture": failure.name, "failed": failure.why}, ensure_ascii=False) + "\n")
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}", problem.strerror or str(problem), "name another folder with -o") from problem


def _told(results: Results) -> Iterator[dict[str, Any]]:
    for condition, methods in results.scores.items():
        for method, scores in methods.items():
            for index, case in enumerate(results.cases):
                numbers = {name: _plain(float(values[index])) for name, values in scores.items()}
                yield {"picture": case.name, "damage": condition, "method": method, **numbers}


def write_csv(results: Results, path: Path) -> None:
    """table.csv: one row a condition, method and metric, with the interval and the p against the best."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("damage", "method", "metric", "better", "mean", "low", "high", "pictures", "p_against_best"))
    for each in results.tables:
        for method, row in each.numbers.items():
            for metric in results.metrics:
                told = row[metric.name]
                p = p_against_best(each, metric, method)
                table.writerow(
                    (
                        each.condition,
                        method,
                        metric.label,
                        metric.better,
                        *map(_cell, (told.mean, told.low, told.high)),
                        told.count,
                        _cell(p),
                    )
                )
    write_atomically(path, text.getvalue().encode())


def p_against_best(table: Table, metric: Metric, method: str) -> float:
    best = table.best.get(metric.name)
    pairs = table.p.get(metric.name, {})
    return pairs.get((best or "", method), pairs.get((method, best or ""), float("nan")))


def markdown(results: Results) -> str:
    """All conditions in one table; bold: the best, and what is not told apart from it."""
    heads = ["damage", "method", *(metric.heading for metric in results.metrics)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for table in results.tables:
        for method, row in table.numbers.items():
            cells = []
            for metric in results.metrics:
                shown = metric.shown(row[metric.name].mean)
                cells.append(f"**{shown}**" if method in table.alike.get(metric.name, ()) else shown)
            lines.append(f"| {table.condition} | {_escaped(method)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def group_markdown(results: Results, methods: Sequence[str], metrics: Sequence[Metric]) -> str:
    """One table a column: each group by a few metrics, "damaged → model"."""
    parts = []
    for column in dict.fromkeys(row.column for row in results.groups):
        heads = [column, "faces", "people", "damage", *(metric.heading for metric in metrics)]
        lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        for row in results.groups:
            if row.column != column:
                continue
            cells = [" → ".join(metric.shown(row.numbers[method][metric.name]) for method in methods) for metric in metrics]
            lines.append(f"| {_escaped(row.group)} | {row.count} | {row.people} | {row.condition} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def latex(results: Results) -> str:
    """One booktabs table a condition; needs \\usepackage{booktabs}. Bold: the best, and what is not told apart from it."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    for table in results.tables:
        arrows = {"higher": "$\\uparrow$", "lower": "$\\downarrow$", "near 1": "$\\to 1$"}
        heads = " & ".join(f"{_tex(metric.label)} {arrows[metric.better]}" for metric in results.metrics)
        lines = [
            "\\begin{table}\n  \\centering",
            f"  \\caption{{{_tex(table.condition)}: {len(results.cases)} pictures of {results.people} people.}}",
            f"  \\begin{{tabular}}{{l{'r' * len(results.metrics)}}}\n    \\toprule\n    method & {heads} \\\\\n    \\midrule",
        ]
        for method, row in table.numbers.items():
            cells = []
            for metric in results.metrics:
                shown = metric.shown(row[metric.name].mean).replace("∞", "$\\infty$").replace("–", "--")
                cells.append(f"\\textbf{{{shown}}}" if method in table.alike.get(metric.name, ()) else shown)
            lines.append(f"    {_tex(method)} & " + " & ".join(cells) + " \\\\")
        lines.append("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n")
        parts.append("\n".join(lines))
    return "\n".join(parts)


def summary(results: Results) -> dict[str, Any]:
    """Everything but the single pictures, for JSON."""
    return {
        "pictures": len(results.cases),
        "people": results.people,
        "metrics": {metric.name: {"label": metric.label, "better": metric.better, "words": metric.words} for metric in results.metrics},
        "tables": {
            table.condition: {
                method: {
                    name: {"mean": _plain(each.mean), "low": _plain(each.low), "high": _plain(each.high), "pictures": each.count}
                    for name, each in row.items()
                }
                for method, row in table.numbers.items()
            }
            for table in results.tables
        },
        "p": {
            table.condition: {
                name: [{"methods": list(pair), "p": _plain(p)} for pair, p in pairs.items()] for name, pairs in table.p.items()
            }
            for table in results.tables
        },
        "failures": [vars(failure) for failure in results.failures],
        "notes": results.notes,
    }


def _plain(value: float) -> float | str | None:
    """JSON has neither infinity nor nan."""
    if math.isnan(value):
        return None
    return round(value, 6) if math.isfinite(value) else "inf" if value > 0 else "-inf"


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _tex(text: str) -> str:
    table = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    return "".join(table.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)
