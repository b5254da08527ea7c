// What is said of a photo, a face and a size, in words.

export const many = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

// a number and its unit stay on one line
const kept = (number, unit) => `${number}\u00a0${unit}`;

export const percent = (part) => kept(Math.round(100 * part), "%");
export const pixels = (count) => kept(Math.round(count), "px");

export function size(bytes) {
  if (bytes === null) return "size unknown";
  if (bytes < 1e6) return kept(Math.ceil(bytes / 1e3), "kB");
  return kept(bytes < 1e7 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6), "MB");
}

export function about(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return `about ${seconds < 90 ? kept(Math.max(1, Math.round(seconds)), "s") : kept(Math.round(seconds / 60), "min")}`;
}

/** One sentence of an error: what, and why. */
export const sentence = (told) => capital(told.why ? `${told.what}: ${told.why}` : told.what);

/** With a capital, unless it begins with a file's name. */
export function capital(words) {
  const first = words.split(" ", 1)[0];
  return first.includes(".") ? words : words.charAt(0).toUpperCase() + words.slice(1);
}

export const notChosen = (face) => face.reasons.some((reason) => reason.startsWith("not chosen"));

// people count from one
export const faceName = (face) => `Face ${face.face + 1}`;

/** What became of a photo's faces, and which of them to look at. */
export function restored({ faces }) {
  const done = faces.filter((face) => face.action !== "left alone").length;
  const all = many(faces.length, "face");
  const warned = faces.filter((face) => face.warning).map((face) => face.face + 1);
  const look = warned.length ? `, look at ${warned.length === 1 ? "face" : "faces"} ${warned.join(", ")}` : "";
  if (!faces.length) return "no face found";
  if (done === faces.length) return `${all} restored${look}`;
  return done ? `${done} of ${all} restored${look}` : `${all} left alone`;
}

/** How a photo stands. busy: whether the service takes no more just now. */
export function state(entry, busy) {
  const { photo } = entry;
  const left = about(photo?.seconds_left);
  switch (entry.state) {
    case "queued":
      return busy ? "the service is busy; goes on by itself" : "waits to be sent";
    case "sending":
      return entry.sent < 1 ? `sending, ${percent(entry.sent)}` : "arriving";
    case "waiting":
      return [photo.ahead ? `${photo.ahead} before it` : "next", left].filter(Boolean).join(", ");
    case "working":
      return [photo.step ?? "working", left].filter(Boolean).join(", ");
    case "done":
      return entry.error ? sentence(entry.error) : restored(photo.report);
    case "cancelled":
      return "cancelled";
    default:
      return entry.trouble ? sentence(entry.trouble) : "failed";
  }
}
