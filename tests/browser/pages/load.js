// Loads a script that is not a module. When it was there is left in `window.loaded`.
export const load = (src) =>
  new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src, onerror: failed });
    script.onload = () => done(window.loaded = performance.now());
    document.head.append(script);
  });
