// The faces of the chosen photo: outlined on it, listed beside it, each with a switch that leaves it out or puts it back.

import { button, element } from "./element.js";
import { faceName, notChosen, percent, pixels } from "./words.js";

const MARGIN = 1.5; // side of a crop over the longer side of the face's box
const CROP = 148; // pixels of a crop, for screens of two a point

/** The option that keeps these faces. */
function spec(kept, all) {
  if (kept.length === all) return "all";
  return kept.length ? kept.join(",") : "none";
}

/** The faces that are to be restored by what was last asked for, which the result on the screen may not show yet. */
function keptOf(entry) {
  const { faces } = entry.photo.report;
  const asked = entry.settings.faces;
  if (asked === "all") return faces.map((face) => face.face);
  if (asked === "none") return [];
  if (/^[0-9]/.test(asked)) return asked.split(",").map(Number);
  return faces.filter((face) => !notChosen(face)).map((face) => face.face);
}

export class Faces {
  #shown = null;
  #parts = [];

  /** outlines lies over the photo; list is a <ul>. onChange(entry, faces): a switch was turned, faces is the option to try again with. */
  constructor(outlines, list, onChange) {
    Object.assign(this, { outlines, list, onChange });
  }

  show(entry) {
    const faces = entry?.photo?.report?.faces ?? [];
    if (this.#shown !== entry || this.#parts.length !== faces.length) {
      this.#parts = faces.map((_, place) => this.#build(entry, place));
      this.outlines.replaceChildren(...this.#parts.map((part) => part.outline));
      this.list.replaceChildren(...this.#parts.map((part) => part.item));
    }
    this.#shown = entry;
    const kept = faces.length ? keptOf(entry) : [];
    faces.forEach((face, place) => this.#fill(this.#parts[place], face, entry, kept.includes(face.face)));
  }

  /** Draw each face from the pictures that are on the screen already. */
  draw({ before, after }) {
    const photo = this.#shown?.photo;
    for (const [place, part] of this.#parts.entries()) {
      const face = photo.report.faces[place];
      if (before) crop(part.before, before, face.box, before.naturalWidth / photo.width);
      if (after) crop(part.after, after, face.box, after.naturalWidth / photo.width);
    }
  }

  #build(entry, place) {
    const toggle = () => this.#toggle(entry, place);
    const outline = button("", toggle, { class: "outline" });
    const number = element("span", { "aria-hidden": "true" });
    outline.append(number);
    const [before, after] = [1, 2].map(() => element("canvas", { width: CROP, height: CROP, role: "img" }));
    const parts = { outline, number, before, after, choice: element("input", { type: "checkbox", onchange: toggle }) };
    for (const name of ["deed", "likeness", "figures", "reasons"]) parts[name] = element("p", { class: name });
    parts.title = element("h4");
    parts.item = element(
      "li",
      { class: "face" },
      element("div", { class: "crops" }, before, after),
      element("div", {}, parts.title, parts.deed, parts.likeness),
      parts.figures,
      parts.reasons,
      element("label", { class: "switch" }, parts.choice, "Restore this face"),
    );
    const light = (on) => outline.classList.toggle("lit", on);
    parts.item.addEventListener("pointerenter", () => light(true));
    parts.item.addEventListener("pointerleave", () => light(false));
    return parts;
  }

  #fill(part, face, entry, kept) {
    const { photo } = entry;
    const name = faceName(face);
    const left = face.action === "left alone";
    const stuck = left && kept && !notChosen(face); // left alone for a reason that no switch changes
    const [x1, y1, x2, y2] = face.box;
    const across = (value, whole) => `${(100 * Math.min(Math.max(value, 0), whole)) / whole}%`;
    part.outline.style.left = across(x1, photo.width);
    part.outline.style.top = across(y1, photo.height);
    part.outline.style.right = `calc(100% - ${across(x2, photo.width)})`;
    part.outline.style.bottom = `calc(100% - ${across(y2, photo.height)})`;
    part.outline.dataset.face = part.item.dataset.face = face.face;
    part.outline.setAttribute("aria-label", `${name}: ${stuck ? face.reasons.join("; ") : "restore it"}`);
    part.outline.setAttribute("aria-pressed", String(kept && !stuck));
    part.outline.title = stuck ? face.reasons.join("; ") : kept ? "Leave this face out" : "Put this face back";
    part.outline.disabled = part.choice.disabled = stuck;
    part.outline.classList.toggle("warn", face.warning);
    part.number.textContent = face.face + 1;
    part.choice.checked = kept && !stuck;
    part.choice.setAttribute("aria-label", `Restore ${name.toLowerCase()}`);
    part.before.setAttribute("aria-label", `${name} before`);
    part.after.setAttribute("aria-label", `${name} after`);
    part.item.classList.toggle("warn", face.warning);
    part.item.classList.toggle("out", !kept);
    part.item.dataset.action = face.action;
    part.title.textContent = name;
    part.deed.textContent = notChosen(face) ? "left out" : face.action === "blended" ? `blended at ${percent(face.strength)}` : face.action;
    part.likeness.textContent = left ? "" : face.likeness ?? "";
    const figures = [pixels(face.crop_pixels), `score ${face.score.toFixed(2)}`];
    if (!left) figures.push(`strength ${percent(face.strength)}`);
    part.figures.textContent = figures.join(" · ");
    part.reasons.textContent = notChosen(face) ? "" : face.reasons.join("; ");
    part.reasons.hidden = !part.reasons.textContent;
  }

  #toggle(entry, place) {
    const { faces } = entry.photo.report;
    const number = faces[place].face;
    const kept = new Set(keptOf(entry));
    if (!kept.delete(number)) kept.add(number);
    this.onChange(entry, spec([...kept].sort((one, other) => one - other), faces.length));
  }
}

function crop(canvas, image, [x1, y1, x2, y2], scale) {
  const side = MARGIN * Math.max(x2 - x1, y2 - y1) * scale;
  const left = ((x1 + x2) / 2) * scale - side / 2, top = ((y1 + y2) / 2) * scale - side / 2;
  const paper = canvas.getContext("2d");
  paper.clearRect(0, 0, canvas.width, canvas.height);
  paper.imageSmoothingQuality = "high";
  paper.drawImage(image, left, top, side, side, 0, 0, canvas.width, canvas.height);
}
