"""The page: one HTML file with everything in it, which needs no network, runs nothing and can be sent to somebody."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

import facewright
from facewright.evaluate import charts, statistics
from facewright.evaluate.cases import Strip, shown_methods
from facewright.evaluate.catalogue import METRICS, Metric
from facewright.evaluate.files import p_against_best
from facewright.evaluate.methods import AUTO
from facewright.evaluate.published import Printed
from facewright.evaluate.results import ALIKE, LEAST_GROUP, GroupRow, Results, Table
from facewright.evaluate.source import Source
from facewright.evaluate.statistics import Interval
from facewright.evaluate.sweeping import Swept, courses

FEW = ("identity[dlib]", "identity[arcface]", "lpips[vgg]", "lpips[alex]", "landmarks[onet]", "features[onet]", "ssim[y]", "psnr[rgb]")
GROUP_METRICS, GROUP_METHODS = 4, 3
FAILURES_SHOWN = 20


@dataclass
class Told:
    """What the page tells beside the results. settings: label to text. left_out: metric to why. asked_beside: nobody knows whether the
    pictures are those of the published numbers."""

    title: str
    words: str
    settings: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    published: Sequence[Printed] = ()
    asked_beside: bool = False
    swept: Swept | None = None


def page(source: Source, results: Results, strips: Iterable[Strip], told: Told) -> str:
    """The whole page as text."""
    text = (files("facewright") / "evaluate" / "page.html").read_text(encoding="utf-8")
    colours = _colours(source, told.swept)
    sections = [
        _glance(results, colours),
        _trade_off(results, told.swept, colours),
        *(_condition(number, table, results, source, colours) for number, table in enumerate(results.tables)),
        _groups(results, source),
        _cases(strips),
        _published(results, told),
        _measured(results, told),
    ]
    slots = {
        "title": escape(told.title),
        "words": escape(told.words),
        "summary": _summary(results, source),
        "alerts": _alerts(results),
        "nav": _nav(sections),
        "sections": "\n".join(section.html for section in sections if section.html),
        "footer": f"facewright {facewright.__version__}",
    }
    return re.sub(r"<!--(title|words|summary|alerts|nav|sections|footer)-->", lambda slot: slots[slot[1]], text)


@dataclass(frozen=True)
class _Section:
    anchor: str
    title: str
    html: str


def _section(anchor: str, title: str, body: str, words: str = "") -> _Section:
    lead = f'<p class="lead">{words}</p>' if words else ""
    return _Section(anchor, title, f'<section id="{anchor}"><h2>{escape(title)}</h2>{lead}{body}</section>' if body else "")


# The head -------------------------------------------------------------------------------------------------------------------------------


def _summary(results: Results, source: Source) -> str:
    parts = [
        _many(len(results.cases), "picture"),
        _many(results.people, "person", "people") if results.people < len(results.cases) else "",
        _many(len(source.conditions), "kind of damage", "kinds of damage") if len(source.conditions) > 1 else "",
        _many(len(source.methods), "method"),
    ]
    return " · ".join(part for part in parts if part)


def _alerts(results: Results) -> str:
    if not results.failures:
        return ""
    some = results.failures[:FAILURES_SHOWN]
    items = "".join(f"<li><b>{escape(each.name)}</b>: {escape(each.why)}</li>" for each in some)
    more = (
        f"<li>and {len(results.failures) - len(some):,} more; results.jsonl lists them all</li>"
        if len(some) < len(results.failures)
        else ""
    )
    total = len(results.failures) + len(results.cases)
    head = f"{len(results.failures):,} of {_many(total, 'picture')} could not be measured and count nowhere on this page."
    return f'<div class="alert"><p>{head}</p><ul>{items}{more}</ul></div>'


def _nav(sections: Sequence[_Section]) -> str:
    return "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in sections if section.html)


# Tables ---------------------------------------------------------------------------------------------------------------------------------


def _glance(results: Results, colours: Mapping[str, int]) -> _Section:
    """Who is best where."""
    if len(results.tables) * len(results.metrics) == 0 or len(colours) < 2:
        return _section("glance", "At a glance", "")
    heads = _heads(results.metrics)
    rows = []
    for number, table in enumerate(results.tables):
        cells = []
        for metric in results.metrics:
            best = table.best.get(metric.name)
            if best is None:
                cells.append("<td class=none>–</td>")
                continue
            alike = [method for method in colours if method in table.alike[metric.name] and method != best]
            cells.append(f"<td>{''.join(_dot(method, colours) for method in [best, *alike])}</td>")
        rows.append(f'<tr><th scope=row><a href="#c{number}">{escape(table.condition)}</a></th>{"".join(cells)}</tr>')
    words = "The best method for each damage and each judge. Small dots are methods not told apart from it: the difference could be chance."
    keys = "".join(f"<li>{_chip(method, colours)}</li>" for method in colours)
    return _section("glance", "At a glance", f'<ul class="keys">{keys}</ul>{_table("glance", heads, rows)}', words)


def _condition(number: int, table: Table, results: Results, source: Source, colours: Mapping[str, int]) -> _Section:
    heads = _heads(results.metrics)
    rows = []
    for method, row in table.numbers.items():
        cells = "".join(_cell(metric, row[metric.name], table, method) for metric in results.metrics)
        kind = "model" if method in source.models else "rival"
        rows.append(f'<tr class="{kind}"><th scope=row>{_chip(method, colours)}</th>{cells}</tr>')
    body = _table("numbers", heads, rows)
    drawn = []
    for metric in results.metrics:
        picture = charts.strip(metric, {method: row[metric.name] for method, row in table.numbers.items()}, colours)
        if picture and len(table.numbers) > 1:
            drawn.append(f"<figure><figcaption>{_name(metric)}<span>better →</span></figcaption>{picture}</figure>")
    if drawn:
        body += f'<div class="strips"><div class="grid">{"".join(drawn)}</div></div>'
    body += _pairs(table, results)
    return _section(f"c{number}", table.condition, body)


def _table(kind: str, heads: str, rows: Sequence[str]) -> str:
    return f'<div class="wide"><table class="{kind}"><thead><tr><td></td>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _heads(metrics: Sequence[Metric]) -> str:
    return "".join(f"<th scope=col>{_name(metric)}</th>" for metric in metrics)


def _cell(metric: Metric, told: Interval, table: Table, method: str) -> str:
    marks = "best" if table.best.get(metric.name) == method else "alike" if method in table.alike.get(metric.name, ()) else ""
    span = f"<small>{metric.shown(told.low)}–{metric.shown(told.high)}</small>" if math.isfinite(told.low) else ""
    p = p_against_best(table, metric, method)
    title = f' title="against the best: p = {p:.2g}"' if not math.isnan(p) else ""
    return f'<td class="{marks}"{title}>{metric.shown(told.mean)}{span}</td>'


def _pairs(table: Table, results: Results) -> str:
    """All pairs of methods, folded away."""
    metrics = [metric for metric in results.metrics if metric.name in table.p]
    pairs = list(dict.fromkeys(pair for metric in metrics for pair in table.p[metric.name]))
    if not pairs or len(pairs) > 60:
        return ""
    heads = _heads(metrics)
    rows = []
    for one, other in pairs:
        cells = []
        for metric in metrics:
            p = table.p[metric.name][one, other]
            ahead = metric.worse_first(table.numbers[one][metric.name].mean) > metric.worse_first(table.numbers[other][metric.name].mean)
            sign = "–" if math.isnan(p) else f"{'&gt;' if ahead else '&lt;'} {_p(p)}" if p < ALIKE else f"≈ {_p(p)}"
            cells.append(f'<td class="{"sure" if p < ALIKE else ""}">{sign}</td>')
        rows.append(f"<tr><th scope=row>{escape(one)} : {escape(other)}</th>{''.join(cells)}</tr>")
    return f"<details><summary>Every pair of methods: who is better, and how sure (p)</summary>{_table('pairs', heads, rows)}</details>"


def _groups(results: Results, source: Source) -> _Section:
    """Each group: the damaged picture and each model, for a few judges, one table a column and damage."""
    there = {metric.name: metric for metric in results.metrics if results.groups and metric.name in _first(results.groups[0].numbers)}
    metrics = [there[name] for name in FEW if name in there][:GROUP_METRICS] or list(there.values())[:GROUP_METRICS]
    methods = shown_methods(source, GROUP_METHODS)
    parts = []
    for column in dict.fromkeys(row.column for row in results.groups):
        rows = [row for row in results.groups if row.column == column]
        if len({row.group for row in rows}) < 2:
            continue
        tables = []
        for number, condition in enumerate(dict.fromkeys(row.condition for row in rows)):
            shown = _group_table([row for row in rows if row.condition == condition], metrics, methods)
            opened = " open" if number == 0 else ""
            tables.append(f"<details{opened}><summary>{escape(condition)}</summary>{shown}</details>")
        parts.append(f"<h3>{escape(column)}</h3>{''.join(tables)}")
    words = (
        f"Means over the pictures of each group. Groups of fewer than {LEAST_GROUP} pictures are put together. Small groups have wide "
        "uncertainty: read a difference of a few hundredths between groups of twenty as none."
    )
    return _section("groups", "By group", "".join(parts), words)


def _group_table(rows: Sequence[GroupRow], metrics: Sequence[Metric], methods: Sequence[str]) -> str:
    heads = "".join(f'<th scope=colgroup colspan="{len(methods)}">{_name(metric)}</th>' for metric in metrics)
    below = "".join(f"<th scope=col>{escape(method)}</th>" for _ in metrics for method in methods)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{metric.shown(row.numbers[method][metric.name])}</td>" for metric in metrics for method in methods)
        people = f"{row.count:,}" + (f" <small>of {_many(row.people, 'person', 'people')}</small>" if row.people != row.count else "")
        lines.append(f"<tr><th scope=row>{escape(row.group)}</th><td>{people}</td>{cells}</tr>")
    return (
        f'<div class="wide"><table class="groups"><thead><tr><td></td><th scope=col rowspan=2>pictures</th>{heads}</tr>'
        f"<tr><td></td>{below}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


# Pictures -------------------------------------------------------------------------------------------------------------------------------


def _trade_off(results: Results, swept: Swept | None, colours: Mapping[str, int]) -> _Section:
    if swept is None:
        return _section("sweep", "Trade-off", "")
    parts = []
    for table in results.tables:
        lines = {
            model: [
                charts.Point(value, table.numbers[method][swept.across.name], table.numbers[method][swept.up.name])
                for value, method in values.items()
            ]
            for model, values in swept.methods.items()
        }
        beside = {
            model: charts.Point(AUTO, table.numbers[method][swept.across.name], table.numbers[method][swept.up.name])
            for model, method in swept.auto.items()
        }
        own = {model: number for number, model in enumerate(swept.methods)}
        keys = "".join(f"<li>{_chip(model, own)}</li>" for model in swept.methods)
        drawn = charts.curve(lines, swept.across, swept.up, swept.symbol, own, beside)
        caption = f'<figcaption><b>{escape(table.condition)}</b><ul class="keys">{keys}</ul></figcaption>'
        parts.append(f'<figure class="sweep">{caption}{drawn}</figure>')
    words = (
        f"Each dot is one value of {escape(swept.symbol)}; better is to the right and to the top. "
        f"Across: {escape(swept.across.words)}. Upwards: {escape(swept.up.words)}."
    )
    if swept.auto:
        words += f" The diamond is auto: each face has its own {escape(swept.symbol)}."
    return _section("sweep", f"Trade-off over {swept.symbol}", f"{''.join(parts)}{_courses(results, swept)}", words)


def _courses(results: Results, swept: Swept) -> str:
    """Each number along the sweep, and which way it goes."""
    found = courses(results, swept)
    heads = ["model", "", *(f"{escape(swept.symbol)} {value:g}" for value in found[0].values)] if found else []
    heads += [*(["auto"] if swept.auto else []), f"as {escape(swept.symbol)} rises"]
    rows = []
    for course in found:
        numbers = [*course.means, *([course.auto] if course.auto is not None else [])]
        cells = "".join(f"<td>{course.metric.shown(number)}</td>" for number in numbers)
        names = f"<th scope=row>{escape(course.condition)}</th><td>{escape(course.model)}</td><td>{escape(course.metric.heading)}</td>"
        rows.append(f"<tr>{names}{cells}<td>{escape(course.words)}</td></tr>")
    return _table("courses", "".join(f"<th scope=col>{head}</th>" for head in heads), rows)


def _cases(strips: Iterable[Strip]) -> _Section:
    parts: list[str] = []
    before: tuple[str, bool] | None = None
    metric: Metric | None = None
    for strip in strips:
        metric = strip.metric
        if before != (strip.condition, strip.worst):
            if before is not None:
                parts.append("</div>")
            if before is None or before[0] != strip.condition:
                parts.append(f"<h3>{escape(strip.condition)}</h3>")
            which = "worst" if strip.worst else "best"
            parts.append(f'<p class="which">{which}</p><div class="cases" style="--n: {len(strip.pictures)}">')
            before = strip.condition, strip.worst
        cells = "".join(
            f"<figure>{_image(pixels, f'{strip.name}, {method}')}<figcaption>{escape(method)}"
            f"{f'<b>{metric.shown(value)}</b>' if value is not None else ''}</figcaption></figure>"
            for method, pixels, value in strip.pictures
        )
        parts.append(f'<div class="case"><p>{escape(strip.name)}</p><div class="row">{cells}</div></div>')
    if before is not None:
        parts.append("</div>")
    words = f"Ranked by {escape(metric.name)}, the mean over the models. The number under a picture is its own." if metric else ""
    return _section("cases", "Worst and best", "".join(parts), words)


def _image(pixels: NDArray[np.uint8], words: str) -> str:
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "JPEG", quality=84)
    data = base64.b64encode(buffer.getvalue()).decode()
    height, width = pixels.shape[:2]
    return (
        f'<img decoding="async" loading="lazy" width="{width}" height="{height}" src="data:image/jpeg;base64,{data}" alt="{escape(words)}">'
    )


# What others say ------------------------------------------------------------------------------------------------------------------------


def _published(results: Results, told: Told) -> _Section:
    parts = []
    for table in told.published:
        metrics = [METRICS[name] for name in table.metrics if name in METRICS]
        heads = _heads(metrics)
        rows = []
        ours = {metric.name: metric for metric in results.metrics}
        if table.comparable and len(results.tables) == 1:
            for method, row in results.tables[0].numbers.items():
                cells = "".join(
                    f"<td>{metric.shown(row[metric.name].mean) if metric.name in ours else '<span class=none>not measured</span>'}</td>"
                    for metric in metrics
                )
                rows.append(f'<tr class="ours"><th scope=row>{escape(method)} <small>here</small></th>{cells}</tr>')
        for method, numbers in table.rows.items():
            cells = "".join(
                f'<td class="{"seen" if (method, metric.name) in table.verified else "recalled"}">{metric.shown(numbers[metric.name])}</td>'
                for metric in metrics
            )
            rows.append(f"<tr><th scope=row>{escape(method)}</th>{cells}</tr>")
        note = "" if table.comparable else "<p><b>Not comparable with ours:</b> other pictures or other damage.</p>"
        where = f"<p>Verified cells were seen at: {escape(table.where)}.</p>" if table.where else "<p>No cell was verified.</p>"
        where += f"<p>Convention: {escape(table.convention)}.</p>"
        parts.append(f'<h3>{escape(table.paper)}</h3>{note}{_table("papers", heads, rows)}<div class="where">{where}</div>')
    words = (
        "What papers print. <span class=seen>Verified</span> cells were seen in a source; <span class=recalled>recalled</span> ones are "
        "from memory of the paper and serve as orientation. Only numbers under the same convention can be compared."
        f"{' Ours compare only if the pictures are those of that set, which nobody checked.' if told.asked_beside else ''}"
    )
    return _section("published", "Published numbers", "".join(parts), words)


def _measured(results: Results, told: Told) -> _Section:
    items = "".join(
        f"<dt>{escape(metric.label)} {metric.arrow}</dt><dd>{escape(metric.words)}"
        f"{'. * Close to a loss that trained our models, which it flatters' if metric.flatters else ''}</dd>"
        for metric in results.metrics
    )
    left_out = "".join(f"<li><b>{escape(name)}</b>: {escape(why)}</li>" for name, why in told.left_out.items())
    notes = "".join(f"<li>{escape(note)}</li>" for note in results.notes)
    settings = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in told.settings.items())
    statistics_words = (
        f"<p>Small figures are {statistics.LEVEL:.0%} intervals: the percentile bootstrap of {statistics.RESAMPLES:,} draws over people, "
        "all pictures of a person drawn together. For distances between sets they come from a jackknife over ten parts. Two methods are "
        f"compared picture by picture with a sign-flip permutation test over people ({statistics.FLIPS:,} random patterns, all of them up "
        f"to {statistics.EXACT} people), corrected by Holm for the pairs of methods. Shaded numbers are the best and those not told apart "
        f"from it (p ≥ {ALIKE:g}). Distances between sets are not tested.</p>"
    )
    body = f'<dl class="words">{items}</dl>{statistics_words}'
    if left_out or notes:
        body += f"<h3>Left out</h3><ul>{left_out}{notes}</ul>"
    body += f'<h3>Settings</h3><dl class="settings">{settings}</dl>'
    return _section("measured", "How it was measured", body)


# Words ----------------------------------------------------------------------------------------------------------------------------------


def _colours(source: Source, swept: Swept | None) -> dict[str, int]:
    """Models take the strong colours 0 to 7, a sweep's variants that of their model, rivals the quiet ones from 8."""
    model_of = {method: model for model, values in swept.methods.items() for method in values.values()} if swept else {}
    model_of |= {method: model for model, method in swept.auto.items()} if swept else {}
    models = list(dict.fromkeys(model_of.get(method, method) for method in source.models))
    others = [method for method in source.methods if method not in source.models]
    return {
        method: 8 + others.index(method) % 5 if method in others else models.index(model_of.get(method, method)) % 8
        for method in source.methods
    }


def _chip(method: str, colours: Mapping[str, int]) -> str:
    return f'<span class="chip">{_dot(method, colours)}{escape(method)}</span>'


def _dot(method: str, colours: Mapping[str, int]) -> str:
    """The method's colour, and its number for those who cannot tell colours apart."""
    return f'<i class="dot b{colours[method]}" title="{escape(method)}">{list(colours).index(method) + 1}</i>'


def _name(metric: Metric) -> str:
    """identity[dlib] in two lines, with the arrow."""
    name, _, judge = metric.name.partition("[")
    star = "*" if metric.flatters else ""
    return f'<abbr title="{escape(metric.words)}">{escape(name)}{star} {metric.arrow}</abbr><small>{escape(judge.rstrip("]"))}</small>'


def _p(value: float) -> str:
    return "&lt;.001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def _first(numbers: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    return next(iter(numbers.values()))


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"
