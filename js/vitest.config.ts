import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import replaced from "./replaced.json" with { type: "json" };

// Debian's Chromium: Playwright's own build is not downloaded.
const chromium = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

// As build.mjs has it.
const alias = Object.fromEntries(
  Object.entries(replaced).map(([name, path]) => [
    name,
    fileURLToPath(new URL(path, import.meta.url)),
  ]),
);

export default defineConfig({
  resolve: { alias },
  // Where the tests write pictures.
  server: { fs: { allow: [".", "../tests/artifacts"] } },
  test: {
    // Of a busy machine: what hangs is found all the same.
    testTimeout: 30_000,
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["tests/unit/**/*.test.ts"],
          environment: "node",
          server: { deps: { inline: ["markdown-it"] } },
        },
      },
      {
        extends: true,
        optimizeDeps: {
          include: [
            "preact",
            "preact/hooks",
            "preact/jsx-dev-runtime",
            "markdown-it",
            "temml/temml.js",
            "@speed-highlight/core/tokenize",
          ],
        },
        test: {
          name: "components",
          include: [
            process.env.PERF ? "tests/perf/**/*.perf.tsx" : "tests/components/**/*.test.tsx",
          ],
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: chromium }),
            instances: [{ browser: "chromium" }],
            viewport: { width: 800, height: 600 },
          },
        },
      },
    ],
  },
});
