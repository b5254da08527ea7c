// Wires the parts of the page together; each part knows only its own business.

import * as api from "./api.js";
import { Album } from "./album.js";
import { Controls } from "./controls.js";
import { takePhotos } from "./drop.js";
import { byId } from "./element.js";
import { Models } from "./models.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { capital, many, restored, sentence } from "./words.js";

async function start() {
  const service = await reached(api.about);
  const album = new Album(service.limits);
  const controls = new Controls(service.options, { change: () => enable(), again: () => again(stage.entry), againAll });
  const models = new Models((all, fetched) => controls.offer(all, fetched));
  const remove = (entry) => album.remove(entry);
  const stage = new Stage(album, { again: (entry, options) => album.again(entry, options), remove });
  const strip = new Strip(byId("photos"), album, { pick, cancel: (entry) => album.cancel(entry), again, remove });
  const states = new Map();

  function pick(entry) {
    strip.choose(entry);
    stage.show(entry);
    enable();
  }

  function again(entry) {
    album.again(entry, controls.changed(entry.settings));
  }

  function againAll() {
    for (const entry of album.entries) {
      const changes = controls.changed(entry.settings);
      if (Object.keys(changes).length) album.again(entry, changes);
    }
  }

  const differs = (entry) => Boolean(entry) && Object.keys(controls.changed(entry.settings)).length > 0;

  function enable() {
    controls.enable({ chosen: differs(stage.entry), any: album.entries.some(differs), several: album.entries.length > 1 });
  }

  function count() {
    const all = album.entries.length;
    const done = album.entries.filter((entry) => entry.photo?.result).length;
    const under = album.entries.filter((entry) => !entry.settled).length;
    byId("count").textContent = under ? `${done} of ${many(all, "photo")} done` : many(all, "photo");
    byId("download-all").hidden = !done;
    if (album.job) byId("download-all").href = api.zipPath(album.job);
  }

  album.addEventListener("list", () => {
    document.body.classList.toggle("empty", !album.entries.length);
    strip.update();
    count();
    enable();
    keeping(service, album);
  });
  album.addEventListener("change", ({ detail: entry }) => {
    strip.fill(entry);
    if (stage.entry === entry) stage.show(entry);
    if (states.get(entry) !== entry.state) tell(entry);
    states.set(entry, entry.state);
    count();
    enable();
  });
  album.addEventListener("busy", () => {
    album.entries.forEach((entry) => strip.fill(entry));
    stage.show(stage.entry);
  });
  album.addEventListener("reach", ({ detail: answering }) => away(answering ? null : () => album.retry()));
  album.addEventListener("gone", ({ detail: why }) => {
    byId("gone-why").textContent = why ? `${capital(why)}.` : `Photos are kept for ${service.keep_minutes} minutes at most.`;
    byId("gone").showModal();
  });

  takePhotos(service.formats, (files, left) => {
    if (left) say(`${many(left, "file")} of the folder ${left === 1 ? "is no photo" : "are no photos"} that can be read, left out`);
    const first = !album.entries.length;
    album.add(files, controls.options);
    if (first && matchMedia("(min-width: 72rem)").matches) byId("settings").open = true;
  });
  byId("more-models").onclick = () => models.open("restore");
  byId("more-backgrounds").onclick = () => models.open("background");
  leaving(album);
  byId("gone-again").onclick = () => {
    const files = album.entries.map((entry) => entry.file).filter(Boolean);
    album.clear();
    byId("gone").close();
    album.add(files, controls.options);
  };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("select, dialog, input:not([type=range], [type=checkbox], [type=radio])");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") strip.move(1);
    if (event.key === "k") strip.move(-1);
  });
  // the page closes: nothing is kept. A page that only goes into the browser's memory may come back, so it keeps its job for a minute
  addEventListener("pagehide", (event) => {
    if (album.job && !event.persisted) api.dropJob(album.job);
  });

  keeping(service, album);
  await reached(() => models.read());
}

/** Starting over, asked first where something would be lost. */
function leaving(album) {
  byId("start-over").onclick = () => (album.entries.some((entry) => entry.photo?.result) ? byId("leave").showModal() : album.clear());
  byId("leave-no").onclick = () => byId("leave").close();
  byId("leave-yes").onclick = () => {
    byId("leave").close();
    album.clear();
  };
  byId("gone-fresh").onclick = () => {
    byId("gone").close();
    album.clear();
  };
  byId("gone").addEventListener("cancel", () => album.clear());
}

/** The line that says where photos are and how long. */
function keeping(service, album) {
  const hour = service.keep_minutes === 60 ? "an hour" : `${service.keep_minutes} minutes`;
  const until = album.expires?.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const end = until ? `at ${until} at the latest` : `after ${hour} at the latest`;
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  const place = here ? "Photos stay on this machine" : "Photos go to the machine that serves this page and no further";
  byId("keeping").textContent = `${place}, in a private folder. They are gone when this page closes, ${end}.`;
}

/** Say aloud, to who listens to the page, how a photo came out. */
function tell(entry) {
  if (entry.state === "done") say(`${entry.name}: ${restored(entry.photo.report)}`);
  if (entry.state === "failed" && entry.trouble) say(sentence(entry.trouble));
  if (entry.state === "cancelled") say(`${entry.name}: cancelled`);
}

function say(words) {
  byId("told").textContent = words;
}

/** The banner while the service does not answer. retry: looks again at once; null: it answers. */
function away(retry) {
  const words = "The service does not answer. Trying again by itself; look whether facewright serve still runs.";
  byId("banner").hidden = !retry;
  byId("banner").querySelector("p").textContent = retry ? words : "";
  byId("reach").onclick = retry;
}

/** Ask until the service answers. */
async function reached(ask) {
  for (;;) {
    try {
      const answer = await ask();
      away(null);
      return answer;
    } catch (fault) {
      if (!(fault instanceof api.Unreachable)) throw fault;
      await new Promise((wake) => {
        away(wake);
        setTimeout(wake, 3000);
      });
    }
  }
}

start();
