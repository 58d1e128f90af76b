/** What a chat of a thousand turns costs the panel: `npm run perf`. It prints; nothing is asserted. */
import { expect, it } from "vitest";
import type { ChatMessage } from "../../src/protocol";
import { mount } from "../support/mount";
import { replyOf } from "../support/replies";

const REPLY = replyOf(1);
const DELTAS = 300;
const SENDS = 40;

const chatOf = (turns: number): ChatMessage[] =>
  Array.from({ length: turns }, (_, i) => [
    { turn: 2 * i + 1, role: "user" as const, text: `Question ${i}`, state: "done" as const },
    { turn: 2 * i + 2, role: "assistant" as const, text: REPLY, state: "done" as const },
  ]).flat();

const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

/** Runs it until what it changed is laid out; how many milliseconds that took. */
async function cost(act: () => void): Promise<number> {
  const begin = performance.now();
  act();
  await new Promise<void>((done) => queueMicrotask(done));
  document.body.getBoundingClientRect();
  const took = performance.now() - begin;
  await frame();
  return took;
}

it.each([10, 1000])(
  "%i turns",
  async (turns) => {
    let long: number[] = [];
    const observer = new PerformanceObserver((list) => {
      long.push(...list.getEntries().map((entry) => entry.duration));
    });
    observer.observe({ type: "longtask" });
    const worst = () => {
      const said = `${long.length} long tasks, worst ${Math.max(0, ...long).toFixed(0)} ms`;
      long = [];
      return said;
    };
    const panel = mount();
    await frame();
    long = [];

    const opened = await cost(() => panel.tell(panel.kernel.snapshot(chatOf(turns))));
    console.warn(`${turns} turns: the snapshot ${opened.toFixed(1)} ms; ${worst()}`);

    const sends: number[] = [];
    const deltas: number[] = [];
    const { kernel } = panel;
    for (let send = 0; send < SENDS; send += 1) {
      const id = `r${send}`;
      sends.push(await cost(() => panel.tell(kernel.prompt("Go on", id), kernel.reply(id))));
      for (let at = 0; at < DELTAS / SENDS; at += 1) {
        deltas.push(await cost(() => panel.tell(kernel.delta(" and **more** words"))));
      }
      panel.tell(kernel.end());
    }
    console.warn(
      `${turns} turns: a turn begins in ${median(sends).toFixed(2)} ms, a delta takes ${median(deltas).toFixed(2)} ms; ${worst()}`,
    );

    const log = panel.root.querySelector("[role=log]") as HTMLElement;
    const articles = () => panel.root.querySelectorAll("article");
    let most = 0;
    const scroll = async (by: number, done: () => boolean) => {
      for (let still = 0; still < 20 || !done(); ) {
        const from = log.scrollTop;
        log.scrollTo({ top: Math.max(0, from + by) });
        await frame();
        most = Math.max(most, articles().length);
        still = log.scrollTop === from ? still + 1 : 0;
      }
    };
    await scroll(-600, () => !panel.root.querySelector(".gn-earlier"));
    expect(articles()[0]?.textContent).toContain("Question 0");
    console.warn(`${turns} turns: up to the first, with at most ${most} on the page; ${worst()}`);
    await scroll(600, () => !panel.root.querySelector(".gn-later"));
    expect([...articles()].at(-1)?.textContent).toContain("more words");
    console.warn(`${turns} turns: down to the last, with at most ${most} on the page; ${worst()}`);
    panel.unmount();
    observer.disconnect();
  },
  600_000,
);

it("a reply of 10,000 tokens in a snapshot", async () => {
  const long: number[] = [];
  const observer = new PerformanceObserver((list) => {
    long.push(...list.getEntries().map((entry) => entry.duration));
  });
  const panel = mount();
  await frame();
  observer.observe({ type: "longtask" });
  const text = replyOf(100).slice(0, 40_000);
  const said: ChatMessage[] = [
    { turn: 1, role: "user", text: "Go on", state: "done" },
    { turn: 2, role: "assistant", text, state: "done" },
  ];
  const took = await cost(() => panel.tell(panel.kernel.snapshot(said)));
  const begin = performance.now();
  await expect
    .poll(() => panel.root.textContent, { timeout: 60_000 })
    .toContain(text.match(/Section \d+/g)?.at(-1));
  console.warn(
    `a reply of ${text.length} characters: ${took.toFixed(0)} ms, whole after ${(performance.now() - begin).toFixed(0)} ms; ` +
      `${long.length} long tasks, worst ${Math.max(0, ...long).toFixed(0)} ms`,
  );
  panel.unmount();
  observer.disconnect();
}, 600_000);
