// The list of photos: thumbnail, name, how each stands, and what can be done about it.

import { afterPath, beforePath } from "./api.js";
import { button, element } from "./element.js";
import { state } from "./words.js";

const THUMBNAIL = 240;

export class Strip {
  #rows = new Map();

  /** list: an <ol>. on: pick, cancel, again and remove, each called with an entry. */
  constructor(list, album, on) {
    Object.assign(this, { list, album, on, chosen: null });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.move(step);
      this.#rows.get(this.chosen?.key)?.pick.focus();
    });
  }

  /** Choose the next photo (1) or the one before (-1). */
  move(step) {
    const { entries } = this.album;
    const next = entries[entries.indexOf(this.chosen) + step];
    if (next) this.on.pick(next);
  }

  choose(entry) {
    this.chosen = entry;
    for (const row of this.#rows.values()) {
      row.item.classList.toggle("chosen", row.entry === entry);
      if (row.entry === entry) row.pick.setAttribute("aria-current", "true");
      else row.pick.removeAttribute("aria-current");
    }
    this.#rows.get(entry?.key)?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** As many rows as there are photos. */
  update() {
    const { entries } = this.album;
    const place = [...this.#rows.keys()].indexOf(this.chosen?.key);
    let focused = false;
    for (const [key, row] of this.#rows) {
      if (entries.includes(row.entry)) continue;
      focused ||= row.item.contains(document.activeElement);
      row.item.remove();
      this.#rows.delete(key);
    }
    for (const entry of entries) {
      if (!this.#rows.has(entry.key)) this.#add(entry);
    }
    // what was chosen is gone: its neighbour is chosen, and has the keyboard
    if (!entries.includes(this.chosen)) this.on.pick(entries[Math.min(Math.max(place, 0), entries.length - 1)] ?? null);
    if (focused) this.#rows.get(this.chosen?.key)?.pick.focus();
  }

  /** What one photo's row says. */
  fill(entry) {
    const row = this.#rows.get(entry.key);
    if (!row) return;
    const { photo } = entry;
    row.item.dataset.state = entry.state;
    row.item.classList.toggle("warns", Boolean(photo?.report?.faces.some((face) => face.warning)));
    row.name.textContent = row.name.title = entry.name;
    row.state.textContent = state(entry, this.album.busy);
    row.progress.hidden = !["sending", "working"].includes(entry.state);
    if (entry.state === "sending") row.progress.value = entry.sent;
    else row.progress.removeAttribute("value");
    if (photo?.width) {
      const path = (photo.result ? afterPath : beforePath)(this.album.job, photo, THUMBNAIL);
      if (row.thumb.getAttribute("src") !== path) row.thumb.src = path;
    }
    row.off.setAttribute("aria-label", `${entry.settled ? "Remove" : "Cancel"} ${entry.name}`);
    row.off.title = entry.settled ? "Remove" : "Cancel";
    row.retry.hidden = !["failed", "cancelled"].includes(entry.state);
    row.retry.setAttribute("aria-label", `Try ${entry.name} again`);
  }

  #add(entry) {
    const thumb = element("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
    const name = element("span", { class: "name" });
    const state = element("span", { class: "state" });
    const pick = button("", () => this.on.pick(entry), { class: "pick" });
    pick.append(element("span", { class: "thumb" }, thumb), name, state);
    const off = button("×", () => (entry.settled ? this.on.remove(entry) : this.on.cancel(entry)), { class: "drop-one" });
    const retry = button("Try again", () => this.on.again(entry), { class: "retry" });
    const progress = element("progress", { max: "1", "aria-label": "Progress" });
    const item = element("li", { "data-key": entry.key }, pick, retry, progress, off);
    this.list.append(item);
    this.#rows.set(entry.key, { entry, item, pick, thumb, name, state, progress, off, retry });
    this.fill(entry);
  }
}
