// The types of the browser module (web/reelkey.d.ts), by the TypeScript compiler: a page that has to compile, one that must
// not, line by line, and the module's own names, which are those of the types.
//
// usage: node types.mjs

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import * as reelkey from "../../web/reelkey.js";

const require = createRequire(new URL("../../target/tools/node/package.json", import.meta.url));
const ts = require("typescript");
const path = (name) => fileURLToPath(new URL(name, import.meta.url));

const types = path("../../web/reelkey.d.ts");
const options = {
  strict: true, noEmit: true, types: [], paths: { reelkey: [types] }, lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
};

/** The lines of a file at which the compiler finds an error, and what it says. */
function errors(name) {
  const found = ts.getPreEmitDiagnostics(ts.createProgram([path(name)], options));
  return found.map(({ file, start, messageText }) => {
    assert.equal(file?.fileName, path(name), ts.flattenDiagnosticMessageText(messageText, "\n"));
    const line = 1 + file.getLineAndCharacterOfPosition(start).line;
    return { line, text: `${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}` };
  });
}

assert.deepEqual(errors("types/right.ts").map(({ text }) => text), []);
console.log("ok    a page in TypeScript compiles");

const lines = (await readFile(path("types/wrong.ts"), "utf8")).split("\n");
const wrong = lines.flatMap((line, at) => (line.endsWith("// wrong") ? [at + 1] : []));
const refused = errors("types/wrong.ts");
assert.deepEqual([...new Set(refused.map(({ line }) => line))], wrong, refused.map(({ text }) => text).join("\n"));
console.log(`ok    ${wrong.length} mistakes do not compile`);

const program = ts.createProgram([types], options), checker = program.getTypeChecker();
const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(types)));
const values = symbols.filter(({ flags }) => flags & ts.SymbolFlags.Value);
assert.deepEqual(values.map(({ name }) => name).sort(), Object.keys(reelkey).sort());
const declared = [...values.find(({ name }) => name === "Client").members.values()];
const methods = declared.filter(({ flags, name }) => flags & ts.SymbolFlags.Method && name !== "addEventListener");
const own = Object.getOwnPropertyNames(reelkey.Client.prototype).filter((name) => name !== "constructor");
assert.deepEqual(methods.map(({ name }) => name).sort(), own.sort());
console.log(`ok    ${values.length} exports and ${own.length} methods are those of the types`);
