/** Bundles the panel into gemma_notebook/panel/static. Options: --watch, --dev (serves dev/ with a scripted kernel). */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** Parts of markdown-it that take a fifth of the bundle, and our small ones in their place. */
const replaced = JSON.parse(await readFile(new URL("replaced.json", import.meta.url), "utf8"));
const GZIP_LIMIT_BYTES = 125_000;

const bundle = {
  absWorkingDir: here("."),
  entryPoints: [
    { in: "src/widget.tsx", out: "widget" },
    { in: "src/styles/panel.css", out: "widget" },
  ],
  outdir: here("../gemma_notebook/panel/static"),
  bundle: true,
  alias: Object.fromEntries(Object.entries(replaced).map(([name, path]) => [name, here(path)])),
  format: "esm",
  target: ["es2022", "chrome123", "firefox121", "safari17.5"],
  minify: true,
  legalComments: "inline",
  logLevel: "info",
};

if (process.argv.includes("--dev")) {
  const context = await esbuild.context({
    ...bundle,
    entryPoints: [
      { in: "dev/page.tsx", out: "page" },
      { in: "src/styles/panel.css", out: "widget" },
    ],
    outdir: here("dev/build"),
    minify: false,
  });
  const { port } = await context.serve({ servedir: here("dev"), host: "127.0.0.1", port: 8123 });
  console.log(`http://127.0.0.1:${port}/`);
} else if (process.argv.includes("--watch")) {
  await (await esbuild.context({ ...bundle, minify: false })).watch();
} else {
  await esbuild.build(bundle);
  const size = gzipSync(await readFile(`${bundle.outdir}/widget.js`)).length;
  console.log(`widget.js: ${size} bytes gzipped`);
  if (size > GZIP_LIMIT_BYTES)
    throw new Error(`widget.js is over ${GZIP_LIMIT_BYTES} bytes gzipped`);
}
