// The service's calls, one function each. What goes wrong is thrown as a Refusal (the service said no, in words) or Unreachable.

const HEADERS = { "Content-Type": "application/json" };

export class Refusal extends Error {
  constructor(status, told, retryAfter = null) {
    super(told.what);
    Object.assign(this, { status, told, retryAfter });
  }
}

export class Unreachable extends Error {
  told = { what: "the service does not answer", why: "", what_to_do: "look whether facewright serve still runs, then try again" };
}

async function call(method, path, content, more = {}) {
  const body = content === undefined ? undefined : JSON.stringify(content);
  let answer, text;
  try {
    answer = await fetch(path, { method, body, headers: body ? HEADERS : {}, ...more });
    text = await answer.text();
  } catch {
    throw new Unreachable();
  }
  if (answer.status === 401) location.reload(); // the service was started anew and has forgotten us: it shows its door
  if (!answer.ok) throw refusal(answer.status, text, answer.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}

function refusal(status, text, retryAfter) {
  let told = { what: `the service answered ${status}`, why: "", what_to_do: "" };
  try {
    told = JSON.parse(text).error ?? told;
  } catch { /* not our words: something between the page and the service spoke */ }
  return new Refusal(status, told, retryAfter && (Number(retryAfter) || 5));
}

const photoPath = (job, number) => `/v1/jobs/${job}/photos/${number}`;

export const about = () => call("GET", "/v1/about");
export const models = async () => (await call("GET", "/v1/models")).models;
export const fetchModel = (name) => call("POST", `/v1/models/${encodeURIComponent(name)}/fetch`, { accept_licence: true });
export const makeJob = (options) => call("POST", "/v1/jobs", { options, while_watched: true });
export const readJob = (job) => call("GET", `/v1/jobs/${job}`);
// keepalive: also sent by a page that is just closing
export const dropJob = (job) => call("DELETE", `/v1/jobs/${job}`, undefined, { keepalive: true });
export const cancel = (job, number) => call("POST", `${photoPath(job, number)}/cancel`);
export const again = (job, number, options) => call("POST", `${photoPath(job, number)}/again`, options);
export const remove = (job, number) => call("DELETE", photoPath(job, number)).catch((fault) => {
  if (fault.status !== 404) throw fault; // gone is gone
});
export const resultPath = (job, number) => `${photoPath(job, number)}/result`;
export const zipPath = (job) => `/v1/jobs/${job}/zip`;
export const beforePath = (job, { number }, side) => `${photoPath(job, number)}/before.jpg?side=${side}`;
export const afterPath = (job, { number, version }, side) => `${photoPath(job, number)}/after.jpg?side=${side}&v=${version}`;

/** Send one file. XMLHttpRequest, because fetch does not tell how far a body has got. Resolves to the service's Photo. */
export function upload(job, file, options, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("options", JSON.stringify(options));
    form.append("photo", file, file.name);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 202) resolve(JSON.parse(request.responseText).photos[0]);
      else reject(refusal(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", `/v1/jobs/${job}/photos`);
    request.send(form);
  });
}

/**
 * Follow a job: on.job, on.photo, on.removed, on.gone with what the service tells; on.reach(true or false) as it answers or not.
 * Returns {close(), retry()}. EventSource's own reconnecting cannot tell a job that is gone from a service that is away.
 */
export function watch(job, on) {
  let source, timer, over = false;
  const rest = () => {
    clearTimeout(timer);
    source?.close();
  };
  const open = () => {
    source = new EventSource(`/v1/jobs/${job}/events`);
    source.onopen = () => on.reach(true);
    source.onerror = () => {
      rest();
      timer = setTimeout(look, 1000);
    };
    for (const name of ["job", "photo", "removed", "gone"]) {
      source.addEventListener(name, (event) => on[name](JSON.parse(event.data)));
    }
  };
  const look = async () => {
    rest();
    const fault = await readJob(job).then(() => null, (thrown) => thrown);
    if (over) return;
    if (!fault) return open();
    if (fault.status === 404) return on.gone(fault.told);
    on.reach(false);
    timer = setTimeout(look, 3000);
  };
  const close = () => {
    over = true;
    rest();
  };
  open();
  return { close, retry: look };
}
