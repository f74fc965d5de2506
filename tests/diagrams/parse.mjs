// Parses every Mermaid block of the Markdown files that are named as arguments, and says where one is wrong.
//
// First of all it parses a diagram that is wrong: a parser that accepts that one would accept anything.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [tools, ...pages] = process.argv.slice(2);
const require = createRequire(join(tools, "package.json"));
const { JSDOM } = require("jsdom");
// Mermaid asks for a document when it is loaded, also to parse.
const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const entry = join(tools, "node_modules/mermaid/dist/mermaid.core.mjs");
const { default: mermaid } = await import(pathToFileURL(entry).href);

async function problem(text) {
  try {
    await mermaid.parse(text);
    return null;
  } catch (error) {
    return String(error.message ?? error).split("\n").slice(0, 4).join(" ");
  }
}

const lies = ["sequenceDiagram\n  a->b->c: too many\n", "flowchart LR\n  a --> \n  subgraph x\n", "no such diagram\n"];
for (const lie of lies) {
  if ((await problem(lie)) === null) {
    console.error(`The parser accepts what is no diagram: ${JSON.stringify(lie)}`);
    process.exit(2);
  }
}

let found = 0;
let wrong = 0;
for (const page of pages) {
  const text = readFileSync(page, "utf8");
  for (const block of text.matchAll(/^```mermaid\n([\s\S]*?)^```$/gm)) {
    found += 1;
    const reason = await problem(block[1]);
    if (reason !== null) {
      wrong += 1;
      const line = text.slice(0, block.index).split("\n").length;
      console.error(`${page}:${line}: ${reason}`);
    }
  }
}
console.log(`${found} diagrams, ${wrong} of them wrong`);
process.exit(wrong === 0 && found > 0 ? 0 : 1);
