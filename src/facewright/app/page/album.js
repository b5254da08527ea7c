// The photos on the table: what was dropped, what the service says of each, what is still to be asked of it. Knows no HTML.

import * as api from "./api.js";

const AT_ONCE = 2; // uploads
const SETTLED = ["done", "failed", "cancelled"];

/**
 * One photo, from the moment it was dropped. file: the person's own. photo: the service's latest word, null until it has it.
 * local: "queued", "sending", "failed" or "cancelled" while photo is null. error: why the last thing asked for was refused.
 * wish: options to try again with, as soon as the photo is not being worked on. events: how many the service has sent about it.
 */
class Entry {
  photo = null;
  local = "queued";
  sent = 0;
  error = null;
  wish = null;
  stop = null;
  events = 0;
  asking = false;

  constructor(key, file, options) {
    Object.assign(this, { key, file, options, name: file?.name ?? "" });
  }

  get state() {
    return this.photo?.state ?? this.local;
  }

  get settled() {
    return SETTLED.includes(this.state);
  }

  get trouble() {
    return this.error ?? (this.state === "failed" ? this.photo?.error : null) ?? null;
  }

  get settings() {
    return { ...(this.photo?.options ?? this.options), ...this.wish };
  }
}

/** Tells by events: "list" (photos came or went), "change" (detail: the entry), "gone" (detail: why), "reach" (detail: whether), "busy". */
export class Album extends EventTarget {
  entries = [];
  job = null;
  expires = null;
  #keys = 0;
  #busyUntil = 0;
  #making = null;
  #watch = null;
  #wake = null;
  #sending = 0;
  #early = new Map();
  #away = false;
  #over = false;

  constructor(limits) {
    super();
    this.limits = limits;
  }

  add(files, options) {
    for (const file of files) {
      const entry = new Entry(++this.#keys, file, { ...options });
      if (file.size > this.limits.bytes) this.#refuse(entry, tooLarge(file, this.limits.bytes));
      this.entries.push(entry);
    }
    this.#tell("list");
    this.#send();
  }

  get busy() {
    return Date.now() < this.#busyUntil;
  }

  async cancel(entry) {
    entry.wish = null;
    if (entry.photo) return this.#ask(entry, () => api.cancel(this.job, entry.photo.number));
    entry.local = "cancelled";
    entry.stop?.abort();
    this.#tell("change", entry);
  }

  /** Do it again with some options changed. Waits until the photo is not being worked on; wishes made meanwhile are joined. */
  again(entry, options) {
    entry.error = null;
    if (entry.photo) {
      entry.wish = { ...entry.wish, ...options };
      this.#grant(entry);
    } else {
      Object.assign(entry.options, options);
      if (entry.settled && entry.file) entry.local = "queued";
      this.#send();
    }
    this.#tell("change", entry);
  }

  async remove(entry) {
    if (entry.photo && !(await this.#ask(entry, () => api.remove(this.job, entry.photo.number)))) return;
    this.#forget(entry);
  }

  /** Away with everything, here and at the service. */
  clear() {
    const job = this.#over ? null : this.job;
    this.#watch?.close();
    for (const entry of this.entries) entry.stop?.abort();
    Object.assign(this, { entries: [], job: null, expires: null });
    this.#busyUntil = 0;
    this.#over = false;
    this.#making = this.#watch = null;
    this.#early.clear();
    this.#reach(true);
    if (job) api.dropJob(job).catch(() => {}); // its minute without a watcher ends it as well
    this.#tell("list");
  }

  /** Look at once whether the service answers again. */
  retry() {
    if (this.#watch) this.#watch.retry();
    else this.#wake?.();
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #refuse(entry, told) {
    Object.assign(entry, { local: "failed", error: told });
  }

  #forget(entry) {
    this.entries = this.entries.filter((each) => each !== entry);
    this.#tell("list");
  }

  /** One request about a photo that the service has; whether it went well. What is refused stands beside the photo. */
  async #ask(entry, request) {
    const { events } = entry;
    entry.error = null;
    try {
      this.#answer(entry, await request(), events);
      return true;
    } catch (fault) {
      if (fault.status === 404) this.#watch?.retry();
      entry.error = fault.told;
      this.#tell("change", entry);
      return false;
    }
  }

  /** An answer may be overtaken by the events that follow it; then they are newer. events: how many there were when it was asked for. */
  #answer(entry, photo, events) {
    if (photo && entry.events === events) this.#hear(entry, photo);
  }

  async #grant(entry) {
    if (!entry.wish || entry.asking || !entry.settled || this.busy) return;
    const { wish, events, photo: last } = entry;
    entry.asking = true;
    entry.photo = { ...last, state: "waiting", ahead: null, seconds_left: null };
    try {
      const photo = await api.again(this.job, last.number, wish);
      entry.asking = false;
      if (entry.wish === wish) entry.wish = null; // what was wished for since then stays
      this.#answer(entry, photo, events);
      this.#grant(entry);
    } catch (fault) {
      entry.asking = false;
      if (entry.events === events) entry.photo = last;
      if (fault.retryAfter) this.#rest(fault.retryAfter);
      else Object.assign(entry, { wish: null, error: fault.told });
      this.#tell("change", entry);
    }
  }

  #hear(entry, photo) {
    entry.photo = photo;
    entry.name = photo.name;
    this.#tell("change", entry);
    this.#grant(entry);
  }

  // sending

  #send() {
    while (this.#sending < AT_ONCE && !this.#away && !this.#over && !this.busy) {
      const next = this.entries.find((entry) => !entry.photo && entry.local === "queued");
      if (!next) return;
      this.#sendOne(next);
    }
  }

  async #sendOne(entry) {
    this.#sending++;
    Object.assign(entry, { local: "sending", sent: 0, error: null, stop: new AbortController() });
    this.#tell("change", entry);
    const onProgress = (part) => {
      entry.sent = part;
      this.#tell("change", entry);
    };
    try {
      const job = await this.#open();
      const photo = await api.upload(job, entry.file, entry.options, { signal: entry.stop.signal, onProgress });
      if (this.job === job) this.#adopt(entry, photo);
    } catch (fault) {
      await this.#unsent(entry, fault);
    }
    this.#sending--;
    if (!this.#sending) this.#strangers();
    this.#send();
  }

  async #unsent(entry, fault) {
    if (!this.entries.includes(entry) || fault.name === "AbortError") return;
    if (fault.retryAfter) {
      entry.local = "queued";
      this.#rest(fault.retryAfter);
    } else if (fault.status === 404) {
      entry.local = "queued";
      this.#end(fault.told.why);
    } else if (fault instanceof api.Unreachable && !(await answers())) {
      // all that waits keeps waiting; nothing is wrong with this photo
      entry.local = "queued";
      this.#reach(false);
      if (!this.job) this.#lookOut();
    } else if (fault instanceof api.Unreachable) {
      const why = "the connection broke while it was sent";
      this.#refuse(entry, { what: `${entry.name} did not arrive`, why, what_to_do: "try it again" });
    } else {
      this.#refuse(entry, fault.told);
    }
    this.#tell("change", entry);
  }

  /** Ask for nothing more for so many seconds, then go on. */
  #rest(seconds) {
    this.#busyUntil = Date.now() + 1000 * seconds;
    this.#tell("busy");
    setTimeout(() => {
      if (this.busy) return; // it was told to rest longer meanwhile
      this.#tell("busy");
      this.#send();
      this.entries.forEach((entry) => this.#grant(entry));
    }, 1000 * seconds + 20);
  }

  /** The job, made for the first photo that needs it. */
  #open() {
    this.#making ??= api.makeJob({}).then(
      (job) => {
        this.job = job.id;
        this.#expire(job);
        this.#watch = api.watch(job.id, {
          job: (told) => this.#catchUp(told),
          photo: (photo) => this.#told(photo),
          removed: ({ number }) => this.entries.filter((entry) => entry.photo?.number === number).forEach((entry) => this.#forget(entry)),
          gone: (told) => this.#end(told.why),
          reach: (answering) => this.#reach(answering),
        });
        return job.id;
      },
      (fault) => {
        this.#making = null;
        throw fault;
      },
    );
    return this.#making;
  }

  #adopt(entry, photo) {
    const latest = this.#early.get(photo.number) ?? photo;
    this.#early.delete(photo.number);
    if (this.entries.includes(entry) && entry.local !== "cancelled") {
      this.#hear(entry, latest);
    } else {
      // cancelled or removed between its last byte and the answer
      api.remove(this.job, photo.number).catch(() => {});
    }
  }

  // hearing

  #told(photo) {
    const entry = this.entries.find((each) => each.photo?.number === photo.number);
    if (entry) {
      entry.events++;
      this.#hear(entry, photo);
    } else this.#early.set(photo.number, photo); // the event was quicker than the answer to its upload
    if (!this.#sending) this.#strangers();
  }

  /** Photos that another program added to this job. */
  #strangers() {
    for (const photo of this.#early.values()) {
      const entry = new Entry(++this.#keys, null, photo.options);
      this.entries.push(entry);
      this.#tell("list");
      this.#hear(entry, photo);
    }
    this.#early.clear();
  }

  #catchUp(job) {
    // a photo that is not in it may have come since: none is forgotten for that
    this.#expire(job);
    job.photos.forEach((photo) => this.#told(photo));
  }

  #expire(job) {
    this.expires = new Date(Date.now() + 1000 * job.expires_in);
    this.#tell("list");
  }

  #end(why) {
    if (this.#over) return;
    this.#watch?.close();
    this.#over = true;
    this.#tell("gone", why);
  }

  #reach(answering) {
    if (this.#away === answering) this.#tell("reach", answering);
    this.#away = !answering;
    this.#send();
  }

  /** Before there is a job to watch. */
  async #lookOut() {
    while (this.#away && !(await answers())) {
      await new Promise((wake) => {
        this.#wake = wake;
        setTimeout(wake, 3000);
      });
    }
    this.#reach(true);
  }
}

const answers = () => api.about().then(() => true, () => false);

const tooLarge = (file, most) => ({
  what: `${file.name} is too large`,
  why: `it has ${Math.ceil(file.size / 1e6)} MB, and at most ${Math.floor(most / 1e6)} MB are taken`,
  what_to_do: "use the facewright restore command for it",
});
