// Models that are not here yet: what each is, under which licence, and fetching it once that was agreed to.

import { fetchModel, models as readModels } from "./api.js";
import { button, byId, element } from "./element.js";
import { capital, sentence, size } from "./words.js";

const BEFORE = "These are not on this machine yet. Nothing is fetched before you have seen the licence and agreed.";
const KINDS = { restore: "For faces", background: "For backgrounds" };

export class Models {
  all = [];
  #asking = null;
  #kind = null;
  #troubles = new Map();
  #timer = null;

  /** onChange(models, fetched): after each look at what is here; fetched: the name of one that has just come. */
  constructor(onChange) {
    this.onChange = onChange;
    this.dialog = byId("models");
    this.dialog.querySelector(".close").onclick = () => this.dialog.close();
    this.dialog.addEventListener("close", () => (this.#asking = null));
  }

  async read() {
    clearTimeout(this.#timer);
    const were = new Set(this.#fetching().map((model) => model.name));
    this.all = await readModels();
    const fetched = this.all.find((model) => were.has(model.name) && model.where !== "missing" && !model.fetch);
    this.onChange(this.all, fetched?.name);
    this.#tell();
    if (this.dialog.open) this.#list();
    if (this.#fetching().length) this.#later();
  }

  /** kind: "restore" or "background". */
  open(kind) {
    this.#kind = kind;
    this.#list();
    this.dialog.showModal();
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.read().catch(() => this.#later()), 1000);
  }

  #fetching() {
    return this.all.filter((model) => model.fetch?.state === "fetching");
  }

  #tell() {
    const busy = this.#fetching().map((model) => `Fetching ${model.name}: ${progress(model)}`);
    const failed = this.all.filter((model) => model.fetch?.state === "failed").map((model) => `${sentence(model.fetch.error)}.`);
    byId("fetching").textContent = [...busy, ...failed].join(" ");
  }

  #list() {
    const parts = [];
    const kinds = Object.keys(KINDS).sort((kind) => (kind === this.#kind ? -1 : 1));
    for (const kind of kinds) {
      const some = this.all.filter((model) => model.serves === kind && model.where === "missing");
      if (some.length) parts.push(element("h3", {}, KINDS[kind]), ...some.map((model) => this.#row(model)));
    }
    byId("models-about").textContent = parts.length ? BEFORE : "Every model that this version can use is on this machine.";
    const focused = document.activeElement?.dataset.focus;
    byId("model-list").replaceChildren(...parts);
    // the list is made anew while something downloads; who stood on a button stays on it
    if (focused) byId("model-list").querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(model) {
    const row = element("li", { class: "model", "data-model": model.name }, element("b", {}, model.title));
    row.append(element("p", {}, `${size(model.bytes)} · ${model.licence}`));
    const trouble = this.#troubles.get(model.name) ?? model.fetch?.error;
    if (model.fetch?.state === "fetching") {
      const bar = element("progress", { max: model.fetch.total ?? 1, "aria-label": `Fetching ${model.name}` });
      if (model.fetch.total) bar.value = model.fetch.done;
      row.append(element("p", {}, progress(model)), bar);
    } else if (this.#asking === model.name) {
      row.append(this.#question(model));
    } else {
      row.append(button("Fetch…", () => this.#ask(model), { "aria-label": `Fetch ${model.title}`, "data-focus": `fetch ${model.name}` }));
    }
    if (trouble) {
      const words = [sentence(trouble), capital(trouble.what_to_do ?? "")];
      row.append(element("div", { class: "alert failed" }, ...words.map((each) => element("p", {}, each))));
    }
    return row;
  }

  #question(model) {
    const terms = model.note ? `${model.licence}. ${model.note}` : model.licence;
    return element(
      "div",
      { class: "asking", role: "group", "aria-label": `Licence of ${model.name}` },
      element("p", { class: "licence" }, `Licence: ${terms}`),
      element("p", {}, `${size(model.bytes)} will be fetched from its publisher and kept. Your photos are not sent anywhere.`),
      element(
        "div",
        { class: "buttons" },
        button("Accept the licence and fetch", () => this.#fetch(model), { class: "main", "data-focus": `accept ${model.name}` }),
        button("Cancel", () => this.#ask(null), { "data-focus": `cancel ${model.name}` }),
      ),
    );
  }

  #ask(model) {
    const last = this.#asking;
    this.#asking = model?.name ?? null;
    this.#list();
    const place = model ? `accept ${model.name}` : `fetch ${last}`;
    byId("model-list").querySelector(`[data-focus="${CSS.escape(place)}"]`)?.focus();
  }

  async #fetch(model) {
    this.#asking = null;
    this.#troubles.delete(model.name);
    try {
      const started = await fetchModel(model.name);
      this.all = this.all.map((each) => (each.name === started.name ? started : each));
    } catch (fault) {
      this.#troubles.set(model.name, fault.told);
    }
    this.#list();
    this.#tell();
    this.#later();
  }
}

function progress({ fetch: { done, total } }) {
  return total ? `${size(done)} of ${size(total)}` : `${size(done)} so far`;
}
