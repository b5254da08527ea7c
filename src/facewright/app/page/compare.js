// Before and after under one line, zoomed and panned together: both pictures fill one sheet, and only the sheet moves.

const SMALL = 1600, LARGE = 4096; // sides of the previews
const MOST = 8; // screen pixels a pixel of the result
const ENLARGED = 2; // a small photo fills the view up to this
const STEP = Math.SQRT2;
const REACH = 24; // pixels from the line within which a press takes it

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

export class Compare {
  images = { before: null, after: null };
  #subject = null;
  #wanted = { before: null, after: null };
  #scale = 1;
  #x = 0;
  #y = 0;
  #fitted = true;
  #pointers = new Map();
  #gesture = null;

  /** view: holds #sheet, #split and .line. onLoad: called when a picture came. onZoom(scale): called when the zoom has changed. */
  constructor(view, { onLoad, onZoom }) {
    Object.assign(this, { view, onLoad, onZoom });
    this.sheet = view.querySelector("#sheet");
    this.range = view.querySelector("#split");
    this.line = view.querySelector(".line");
    this.range.addEventListener("input", () => this.#place());
    view.addEventListener("keydown", (event) => this.#key(event));
    view.addEventListener("pointerdown", (event) => this.#press(event));
    view.addEventListener("pointermove", (event) => this.#move(event));
    view.addEventListener("pointerup", (event) => this.#release(event));
    view.addEventListener("pointercancel", (event) => this.#release(event, true));
    view.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    view.addEventListener("dblclick", (event) => this.#double(event));
    new ResizeObserver(() => (this.#fitted ? this.fit() : this.#place())).observe(view);
  }

  /**
   * Show a photo. subject: {key, name, width, height (of the result, in pixels), before(side), after(side)}, the last two give addresses;
   * after is null while there is no result. The same key again keeps the zoom and the line where they are. null: show nothing.
   */
  show(subject) {
    const last = this.#subject;
    this.#subject = subject;
    if (last?.key !== subject?.key) {
      for (const which of ["before", "after"]) this.#put(which, null);
    }
    if (!subject) return;
    if (last?.key !== subject.key) {
      this.range.value = 50;
      this.fit();
    } else if (last.width !== subject.width) {
      this.#scale *= last.width / subject.width;
    }
    this.view.style.setProperty("--w", subject.width);
    this.view.style.setProperty("--h", subject.height);
    if (!subject.after) this.#put("after", null);
    if (this.#fitted) this.fit();
    else this.#place();
  }

  fit() {
    this.#fitted = true;
    this.#scale = this.#fitting();
    this.#place();
  }

  /** Zoom to so many screen pixels a pixel of the result, about a place of the view (else its middle). */
  zoomTo(scale, x = this.view.clientWidth / 2, y = this.view.clientHeight / 2) {
    const fit = this.#fitting();
    const next = clamp(scale, Math.min(fit, 1), Math.max(fit, MOST));
    const grown = next / this.#scale;
    this.#x = x - grown * (x - this.#x);
    this.#y = y - grown * (y - this.#y);
    this.#scale = next;
    this.#fitted = Math.abs(next / fit - 1) < 0.001;
    this.#place();
  }

  zoomBy(factor, x, y) {
    this.zoomTo(this.#scale * factor, x, y);
  }

  in() {
    this.zoomBy(STEP);
  }

  out() {
    this.zoomBy(1 / STEP);
  }

  full() {
    this.zoomTo(1);
  }

  /** Whether the whole photo is seen. */
  get #whole() {
    return this.#scale < this.#fitting() * 1.001;
  }

  #fitting() {
    if (!this.#subject) return 1;
    const { width, height } = this.#subject;
    return Math.min(this.view.clientWidth / width, this.view.clientHeight / height, ENLARGED) || 1;
  }

  #place() {
    if (!this.#subject || !this.view.clientWidth) return;
    const { view, sheet, line } = this;
    const wide = view.clientWidth, high = view.clientHeight;
    const width = this.#subject.width * this.#scale, height = this.#subject.height * this.#scale;
    this.#x = width <= wide ? (wide - width) / 2 : clamp(this.#x, wide - width, 0);
    this.#y = height <= high ? (high - height) / 2 : clamp(this.#y, high - height, 0);
    sheet.style.width = `${width}px`;
    sheet.style.height = `${height}px`;
    sheet.style.transform = `translate(${this.#x}px, ${this.#y}px)`;

    const { left, right, top, bottom } = this.#visible();
    const at = left + (this.range.value / 100) * (right - left);
    if (this.images.after) this.images.after.style.clipPath = `inset(0 0 0 ${(100 * (at - this.#x)) / width}%)`;
    line.style.transform = `translate(${at}px, ${top}px)`;
    line.style.height = `${bottom - top}px`;
    view.style.setProperty("--left", `${left}px`);
    view.style.setProperty("--right", `${wide - right}px`);
    view.style.setProperty("--bottom", `${high - bottom}px`);
    view.classList.toggle("at-left", this.range.value < 12);
    view.classList.toggle("at-right", this.range.value > 88);
    view.classList.toggle("zoomed", !this.#whole);
    const before = Math.round(this.range.value);
    this.range.setAttribute("aria-valuetext", `${before} % before, ${100 - before} % after`);
    this.onZoom(this.#scale);
    this.#load();
  }

  /** The part of the view that the photo fills. */
  #visible() {
    const { width, height } = this.#subject;
    return {
      left: Math.max(0, this.#x),
      right: Math.min(this.view.clientWidth, this.#x + width * this.#scale),
      top: Math.max(0, this.#y),
      bottom: Math.min(this.view.clientHeight, this.#y + height * this.#scale),
    };
  }

  // pictures

  #load() {
    const { width, height } = this.#subject;
    const shown = Math.max(width, height) * this.#scale * devicePixelRatio;
    const side = shown > SMALL && Math.max(width, height) > SMALL ? LARGE : SMALL;
    for (const which of ["before", "after"]) this.#fetch(which, this.#subject[which]?.(side));
  }

  async #fetch(which, path) {
    if (!path || this.#wanted[which] === path) return;
    this.#wanted[which] = path;
    const image = new Image();
    image.className = which;
    image.alt = `${this.#subject.name}, ${which}`;
    image.draggable = false;
    image.src = path;
    try {
      await image.decode(); // the old picture stays until the new one can be drawn: nothing blinks
    } catch {
      if (this.#wanted[which] === path) this.#wanted[which] = null;
      return;
    }
    if (this.#wanted[which] === path) this.#put(which, image);
  }

  #put(which, image) {
    if (!image) this.#wanted[which] = null;
    this.images[which]?.remove();
    this.images[which] = image;
    this.view.classList.toggle("still", !this.images.after);
    if (!image) return;
    if (which === "before") this.sheet.prepend(image);
    else this.sheet.querySelector("#outlines").before(image);
    this.#place();
    this.onLoad();
  }

  // hands

  #press(event) {
    if (event.button !== 0 || !this.#subject) return;
    this.#pointers.set(event.pointerId, event);
    if (this.#pointers.size === 2) {
      this.#gesture = "pinch";
      for (const id of this.#pointers.keys()) this.view.setPointerCapture(id);
      return;
    }
    this.start = { x: event.clientX, y: event.clientY };
    this.#gesture = null;
    const onFace = event.target.closest("button");
    if (!onFace) this.range.focus({ preventScroll: true });
    // a face may be clicked, a touch may become a scroll or a pinch: they have to move before they count
    if (!onFace && event.pointerType !== "touch") this.#begin(event);
  }

  #begin(event) {
    const near = Math.abs(event.clientX - this.line.getBoundingClientRect().left) < REACH;
    this.#gesture = this.images.after && (this.#whole || near) ? "slide" : "pan";
    this.view.setPointerCapture(event.pointerId);
    this.view.classList.toggle("panning", this.#gesture === "pan");
    if (this.#gesture === "slide") this.#slide(event);
  }

  #move(event) {
    const last = this.#pointers.get(event.pointerId);
    if (!last) return;
    if (!this.#gesture && Math.hypot(event.clientX - this.start.x, event.clientY - this.start.y) > 4) this.#begin(event);
    if (this.#gesture === "slide") this.#slide(event);
    if (this.#gesture === "pan") this.#pan(event.clientX - last.clientX, event.clientY - last.clientY);
    if (this.#gesture === "pinch") this.#pinch(event);
    this.#pointers.set(event.pointerId, event);
  }

  #release(event, cancelled = false) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const tapped = !this.#gesture && !cancelled && !event.target.closest("button");
    if (tapped && this.#whole) this.#slide(event);
    if (!this.#pointers.size) this.#gesture = null;
    this.view.classList.remove("panning");
  }

  #slide(event) {
    const { left, right } = this.#visible();
    const x = event.clientX - this.view.getBoundingClientRect().left;
    this.range.value = (100 * (x - left)) / (right - left);
    this.#place();
  }

  #pan(right, down) {
    this.#x += right;
    this.#y += down;
    this.#place();
  }

  #pinch(event) {
    const [other] = [...this.#pointers.values()].filter((each) => each.pointerId !== event.pointerId);
    const last = this.#pointers.get(event.pointerId);
    if (!other) return;
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    const place = this.view.getBoundingClientRect();
    const middle = (one) => ({ x: (one.clientX + other.clientX) / 2 - place.left, y: (one.clientY + other.clientY) / 2 - place.top });
    const from = middle(last), to = middle(event);
    this.#pan(to.x - from.x, to.y - from.y);
    this.zoomBy(apart(event) / apart(last), to.x, to.y);
  }

  #wheel(event) {
    // where the page itself scrolls, a plain wheel scrolls it, until the photo is zoomed
    const scrolls = document.documentElement.scrollHeight > innerHeight + 1;
    if (scrolls && this.#whole && !event.ctrlKey) return;
    event.preventDefault();
    const place = this.view.getBoundingClientRect();
    const pixels = event.deltaMode === 1 ? 30 * event.deltaY : event.deltaY;
    this.zoomBy(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)), event.clientX - place.left, event.clientY - place.top);
  }

  #double(event) {
    if (event.target.closest("button")) return;
    const place = this.view.getBoundingClientRect();
    if (this.#whole) this.zoomTo(Math.max(1, 2 * this.#scale), event.clientX - place.left, event.clientY - place.top);
    else this.fit();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = this.view.clientWidth / 8;
    const pans = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    const zooms = { "+": () => this.in(), "=": () => this.in(), "-": () => this.out(), 0: () => this.fit(), 1: () => this.full() };
    if (event.shiftKey && pans[event.key]) this.#pan(...pans[event.key]);
    else if (zooms[event.key]) zooms[event.key]();
    else return;
    event.preventDefault();
  }
}
