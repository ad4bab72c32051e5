// What both pages of the demo need: elements, and the demo's own process.

export const find = (selector) => document.querySelector(selector);
export const make = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });

/** Asks the demo's own process. It answers whoever knows the secret in this page's address. */
export const ask = (path, method = "GET") =>
  fetch(`api/${path}`, { method, headers: { "x-demo-secret": location.hash.slice(1) } });

/** Lets the demo do something, and returns what came of it. */
export async function api(action, parameters = {}) {
  const response = await ask(`${action}?${new URLSearchParams(parameters)}`, "POST");
  if (response.status === 403) throw new Error("Open the whole address that the demo has printed, with what is behind #.");
  const document = await response.json();
  if (!response.ok) throw new Error(document.error);
  return document;
}

/** Tells the viewer something. */
export function say(text, refused = false) {
  find("#message").textContent = text;
  find("#message").classList.toggle("refused", refused);
}
