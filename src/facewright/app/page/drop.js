// Photos on their way in: chosen in a dialog, or dropped anywhere on the page, folders with all that is in them.

import { byId } from "./element.js";

/** formats: suffixes that can be read. onPhotos(files, left): left is how many files of a folder are no photos. */
export function takePhotos(formats, onPhotos) {
  const files = byId("files"), folder = byId("folder");
  files.accept = formats.join(",");
  const readable = (file) => formats.some((suffix) => file.name.toLowerCase().endsWith(suffix)) && !file.name.startsWith(".");
  const takeFolder = (found) => {
    const photos = found.filter(readable).sort((one, other) => byName(one.webkitRelativePath, other.webkitRelativePath));
    onPhotos(photos, found.length - photos.length);
  };

  byId("choose").onclick = byId("add").onclick = () => files.click();
  byId("choose-folder").onclick = () => folder.click();
  byId("drop").onclick = (event) => event.target.closest("button, input") || files.click();
  files.onchange = () => {
    onPhotos([...files.files], 0);
    files.value = ""; // the same photo may be chosen again
  };
  folder.onchange = () => {
    takeFolder([...folder.files]);
    folder.value = "";
  };

  let inside = 0; // dragenter and dragleave also come from every child
  const over = (change) => {
    inside = change === 0 ? 0 : inside + change;
    document.body.classList.toggle("over", inside > 0);
  };
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => carriesFiles(event) && over(1));
  addEventListener("dragleave", (event) => carriesFiles(event) && over(-1));
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    over(0);
    // entries have to be taken before the first await: the event's data are gone after it
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const without = entries.length ? [] : [...event.dataTransfer.files];
    const loose = await Promise.all(entries.filter((entry) => entry.isFile).map(fileOf));
    const walked = (await Promise.all(entries.filter((entry) => entry.isDirectory).map(walk))).flat();
    const photos = walked.filter(readable);
    onPhotos([...without, ...loose, ...photos], walked.length - photos.length);
  });
}

const byName = (one, other) => one.localeCompare(other, undefined, { numeric: true });

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** All files in a dropped folder and the folders in it, by name. */
async function walk(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    // a reader hands out a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((one, other) => byName(one.name, other.name));
  return (await Promise.all(entries.map((entry) => (entry.isFile ? fileOf(entry) : walk(entry))))).flat();
}
