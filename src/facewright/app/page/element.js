/** An element with attributes and children: element("p", {class: "name"}, photo.name). Strings become text, never HTML. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const button = (words, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, words);

export const byId = (id) => document.getElementById(id);
