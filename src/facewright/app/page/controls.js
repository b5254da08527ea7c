// The settings, in words that a person understands, as the options that the service takes.

import { byId, element } from "./element.js";
import { percent } from "./words.js";

export class Controls {
  /** defaults: the service's options. on: change(), again(), againAll(). */
  constructor(defaults, on) {
    this.model = byId("model");
    this.background = byId("background");
    this.strength = byId("strength");
    this.auto = byId("auto");
    this.fidelity = byId("fidelity");
    this.defaults = defaults;
    this.strength.value = defaults.strength;
    this.auto.checked = defaults.fidelity === "auto";
    if (!this.auto.checked) this.fidelity.value = defaults.fidelity;
    for (const radio of this.#sizes()) radio.checked = Number(radio.value) === defaults.upscale;
    const form = byId("settings").querySelector("form");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      this.#show();
      on.change();
    });
    byId("again").onclick = on.again;
    byId("again-all").onclick = on.againAll;
    this.#show();
  }

  /** What the controls stand at. */
  get options() {
    return {
      model: this.model.value || this.defaults.model,
      strength: Number(this.strength.value),
      fidelity: this.auto.checked ? "auto" : Number(this.fidelity.value),
      background: this.background.value || this.defaults.background,
      upscale: Number(this.#sizes().find((radio) => radio.checked)?.value ?? this.defaults.upscale),
    };
  }

  /** Those of them in which a photo's own options differ. */
  changed(options) {
    return Object.fromEntries(Object.entries(this.options).filter(([name, value]) => options[name] !== value));
  }

  /** Offer the models that are here. chosen: the name of one to choose now. */
  offer(models, chosen = null) {
    const here = models.filter((model) => model.usable);
    const plain = element("option", { value: "lanczos" }, "as it is, enlarged smoothly");
    fill(this.model, here.filter((model) => model.serves === "restore").map(choice), this.defaults.model, chosen);
    fill(this.background, [plain, ...here.filter((model) => model.serves === "background").map(choice)], this.defaults.background, chosen);
  }

  /** differs: whether the chosen photo, or any photo, has other settings. several: whether there is more than one. */
  enable({ chosen, any, several }) {
    byId("again").disabled = !chosen;
    byId("again").classList.toggle("main", chosen);
    byId("again-all").disabled = !any;
    byId("again-all").hidden = !several;
  }

  #sizes() {
    return [...document.querySelectorAll('input[name="upscale"]')];
  }

  #show() {
    byId("strength-shown").textContent = percent(this.strength.value);
    byId("fidelity-range").hidden = this.auto.checked;
    byId("fidelity-shown").textContent = this.auto.checked ? "auto" : Number(this.fidelity.value).toFixed(2);
  }
}

const choice = (model) => element("option", { value: model.name }, model.title);

function fill(select, choices, fallback, chosen) {
  const before = select.value || fallback;
  select.replaceChildren(...choices);
  const values = choices.map((each) => each.value);
  select.value = [chosen, before, fallback, values[0]].find((value) => values.includes(value)) ?? "";
}
