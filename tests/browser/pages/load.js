// Loads a script that is not a module.
export const load = (src) =>
  new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src, onload: done, onerror: failed });
    document.head.append(script);
  });
