import type { AnyModel } from "@anywidget/types";
import { afterEach, expect, it } from "vitest";
import { page } from "vitest/browser";
import type { PanelMessage } from "../../src/protocol";
import widget from "../../src/widget";
import { ScriptedKernel } from "../support/kernel";

/** The part of an anywidget model that the panel uses. */
class FakeModel {
  readonly sent: PanelMessage[] = [];
  readonly listeners = new Set<(content: unknown) => void>();
  send = (content: PanelMessage) => this.sent.push(content);
  on = (_event: string, listener: (content: unknown) => void) => this.listeners.add(listener);
  off = (_event: string, listener: (content: unknown) => void) => this.listeners.delete(listener);
  receive(raw: unknown) {
    for (const listener of this.listeners) listener(raw);
  }
}

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function open() {
  const fake = new FakeModel();
  const model = fake as unknown as AnyModel;
  const { initialize, render } = await (typeof widget === "function" ? widget() : widget);
  const props = { model, signal: new AbortController().signal } as never;
  const dispose = (await initialize?.(props)) as () => void;
  const view = async () => {
    const el = document.body.appendChild(document.createElement("div"));
    const close = (await render?.({ ...(props as object), el } as never)) as () => void;
    cleanups.push(() => {
      close();
      el.remove();
    });
    return { el, close };
  };
  cleanups.push(dispose);
  return { fake, view, dispose };
}

it("asks for a snapshot once for each model, before there is a view", async () => {
  const { fake, view } = await open();
  expect(fake.sent.map((m) => m.type)).toEqual(["snapshot_request"]);
  await view();
  await view();
  expect(fake.sent).toHaveLength(1);
});

it("keeps several views in step, drafts included", async () => {
  const { fake, view } = await open();
  const kernel = new ScriptedKernel();
  await view();
  await view();
  fake.receive(kernel.snapshot([{ turn: 1, role: "user", text: "Hello", state: "done" }]));
  const prompts = page.getByRole("article", { name: "You" });
  await expect.poll(() => prompts.elements().length).toBe(2);
  const boxes = page.getByRole("textbox", { name: "Message" });
  await boxes.first().fill("A thought");
  await expect.element(boxes.last()).toHaveValue("A thought");
});

it("shows a late view what there is", async () => {
  const { fake, view } = await open();
  fake.receive(
    new ScriptedKernel().snapshot([{ turn: 1, role: "user", text: "Hello", state: "done" }]),
  );
  await view();
  await expect.element(page.getByRole("article", { name: "You" })).toHaveTextContent("Hello");
});

it("leaves nothing behind when a view and then the model go", async () => {
  const { fake, view, dispose } = await open();
  const { el, close } = await view();
  close();
  expect(el.childElementCount).toBe(0);
  expect(fake.listeners.size).toBe(1);
  dispose();
  expect(fake.listeners.size).toBe(0);
});
