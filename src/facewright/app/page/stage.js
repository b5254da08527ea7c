// The chosen photo: its name and facts, what went wrong, before and after, its faces.

import { afterPath, beforePath, resultPath } from "./api.js";
import { Compare } from "./compare.js";
import { byId } from "./element.js";
import { Faces } from "./faces.js";
import { capital, percent, restored, sentence, size, state } from "./words.js";

export class Stage {
  entry = null;

  /** on: again(entry, options), remove(entry). */
  constructor(album, on) {
    this.album = album;
    this.faces = new Faces(byId("outlines"), byId("face-list"), (entry, faces) => on.again(entry, { faces }));
    this.compare = new Compare(byId("view"), {
      onLoad: () => this.faces.draw(this.compare.images),
      onZoom: (scale) => (byId("zoom-level").textContent = percent(scale)),
    });
    const buttons = { "zoom-in": "in", "zoom-out": "out", "zoom-fit": "fit", "zoom-full": "full" };
    for (const [id, deed] of Object.entries(buttons)) byId(id).onclick = () => this.compare[deed]();
    byId("outline").onchange = (event) => byId("view").classList.toggle("plain", !event.target.checked);
    byId("trouble-again").onclick = () => on.again(this.entry, {});
    byId("trouble-salvage").onclick = () => on.again(this.entry, { salvage: true });
    byId("trouble-remove").onclick = () => on.remove(this.entry);
  }

  show(entry) {
    this.entry = entry;
    byId("stage").hidden = !entry;
    byId("faces").hidden = !entry?.photo?.report?.faces.length;
    if (!entry) {
      this.compare.show(null);
      this.faces.show(null);
      return;
    }
    const { photo } = entry;
    byId("stage").dataset.state = entry.state;
    byId("title").textContent = entry.name;
    byId("facts").textContent = facts(entry);
    byId("notes").replaceChildren(...(photo?.report?.notes ?? []).filter((note) => note !== "no face was found").map(noted));
    byId("notes").hidden = !byId("notes").children.length;
    byId("download").hidden = !photo?.result;
    if (photo?.result) {
      byId("download").href = resultPath(this.album.job, photo.number);
      byId("download").setAttribute("aria-label", `Download ${photo.result.name}`);
    }
    this.#trouble(entry);
    this.#picture(entry);
    this.faces.show(entry);
    this.faces.draw(this.compare.images);
  }

  #trouble(entry) {
    const told = entry.trouble;
    byId("trouble").hidden = !told;
    if (!told) return;
    byId("trouble-what").textContent = sentence(told);
    byId("trouble-advice").textContent = capital(told.what_to_do ?? "");
    byId("trouble-salvage").hidden = !/salvage/.test(told.what_to_do ?? "") || Boolean(entry.settings.salvage);
    byId("trouble-again").hidden = !entry.settled;
  }

  #picture(entry) {
    const { photo, settled } = entry;
    const seen = Boolean(photo?.width);
    document.querySelector(".mat").hidden = !seen && Boolean(entry.trouble);
    byId("view").hidden = !seen;
    byId("pending").hidden = seen;
    byId("pending").textContent = seen ? "" : state(entry, this.album.busy);
    byId("step").textContent = settled ? "" : state(entry, this.album.busy);
    for (const part of document.querySelectorAll(".under")) part.hidden = !seen;
    byId("outline-choice").hidden = !photo?.report?.faces.length;
    if (!seen) return this.compare.show(null);
    const { job } = this.album;
    const { width, height } = photo.report ?? photo;
    const path = (make) => (side) => make(job, photo, side);
    const after = photo.result ? path(afterPath) : null;
    this.compare.show({ key: entry.key, name: entry.name, width, height, before: path(beforePath), after });
  }
}

function noted(note) {
  const item = document.createElement("li");
  item.textContent = note;
  return item;
}

function facts({ photo, file }) {
  if (!photo?.width) return file ? size(file.size) : "";
  const { report } = photo;
  const sides = `${photo.width} × ${photo.height} px`;
  if (!report) return sides;
  const larger = report.width === photo.width ? sides : `${sides}, now ${report.width} × ${report.height}`;
  return [larger, restored(report), `${report.seconds.toFixed(1)} s`].join(" · ");
}
