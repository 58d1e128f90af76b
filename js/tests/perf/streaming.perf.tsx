/** How long the panel takes for each delta of a long reply: `npm run perf`. It prints; nothing is asserted. */
import { it } from "vitest";
import { mount } from "../support/mount";
import { replyOf } from "../support/replies";

const DELTAS = 5_000;
/** 10,000 tokens of about four characters. */
const CHARACTERS = 40_000;

const upTo = (text: string) => text.slice(0, CHARACTERS);
const REPLIES: Record<string, string> = {
  "code, tables, lists": upTo(replyOf(100)),
  "one list": upTo(
    Array.from(
      { length: 900 },
      (_, i) => `${i + 1}. **Item** ${i} with \`code\` and more words\n   - nested ${i}\n`,
    ).join(""),
  ),
  "one table": upTo(
    `| a | b | c |\n|---|---|---|\n${Array.from({ length: 1500 }, (_, i) => `| row ${i} | **${i}** | \`x\` |\n`).join("")}`,
  ),
  "one block of code": upTo(`\`\`\`python\n${'x = f(1, "a")  # comment\n'.repeat(2000)}`),
  "one paragraph": upTo("Words that go on and **on** and on. ".repeat(1200)),
};

it.each(Object.entries(REPLIES))(
  "%s",
  async (name, text) => {
    const long: number[] = [];
    const observer = new PerformanceObserver((list) => {
      long.push(...list.getEntries().map((entry) => entry.duration));
    });
    observer.observe({ type: "longtask" });
    const panel = mount();
    panel.tell(panel.kernel.prompt("Go on", "r"), panel.kernel.reply("r"));
    const size = Math.ceil(text.length / DELTAS);
    const costs: number[] = [];
    for (let at = 0; at < text.length; at += size) {
      const begin = performance.now();
      panel.tell(panel.kernel.delta(text.slice(at, at + size)));
      // Preact renders in a microtask; the layout is forced.
      await new Promise<void>((done) => queueMicrotask(done));
      panel.root.getBoundingClientRect();
      costs.push(performance.now() - begin);
      await new Promise((done) => setTimeout(done, 0));
    }
    const shown = panel.root.querySelector(".gn-reply")?.textContent?.length ?? 0;
    if (shown < text.length / 4) throw new Error(`only ${shown} characters are shown`);
    panel.unmount();
    observer.disconnect();
    const around = (n: number) => {
      const part = costs.slice(Math.max(0, n - 40), n + 40).sort((a, b) => a - b);
      return part[Math.floor(part.length / 2)] ?? 0;
    };
    const [early, late] = [around(50), around(costs.length - 41)];
    console.warn(
      `${name}: ${costs.length} deltas; median ms around the 50th ${early.toFixed(2)}, at the end ${late.toFixed(2)} ` +
        `(× ${(late / early).toFixed(2)}); long tasks ${long.length}, worst ${Math.max(0, ...long).toFixed(0)} ms`,
    );
  },
  600_000,
);
