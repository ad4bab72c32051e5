// What both pages of the demo need: elements, and the demo's own process.

export const find = (selector) => document.querySelector(selector);
export const make = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });

/** Lets the demo do something, and returns what came of it. */
export async function api(action, parameters = {}) {
  const response = await fetch(`api/${action}?${new URLSearchParams(parameters)}`, { method: "POST" });
  const document = await response.json();
  if (!response.ok) throw new Error(document.error);
  return document;
}

/** Tells the viewer something. */
export function say(text, refused = false) {
  find("#message").textContent = text;
  find("#message").classList.toggle("refused", refused);
}
