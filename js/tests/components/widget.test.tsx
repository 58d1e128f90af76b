import type { AnyModel } from "@anywidget/types";
import { afterEach, expect, it, vi } from "vitest";
import { page } from "vitest/browser";
import type { Outgoing } from "../../src/protocol";
import widget from "../../src/widget";
import "../../src/styles/panel.css";
import { ScriptedKernel } from "../support/kernel";

/** The part of an anywidget model that the panel uses. */
class FakeModel {
  widget_manager: unknown = {};
  readonly sent: Outgoing[] = [];
  readonly listeners = new Map<(content: unknown) => void, string>();
  send = (content: Outgoing) => this.sent.push(content);
  on = (event: string, listener: (content: unknown) => void) => this.listeners.set(listener, event);
  off = (_event: string, listener: (content: unknown) => void) => this.listeners.delete(listener);
  receive(raw: unknown, name = "msg:custom") {
    for (const [listener, event] of this.listeners) if (event === name) listener(raw);
  }
}

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function open(kernel?: unknown) {
  const fake = new FakeModel();
  fake.widget_manager = { kernel };
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
  expect(fake.sent.map((m) => m.type)).toEqual(["snapshot_request", "chats_request"]);
  fake.receive(new ScriptedKernel().snapshot());
  await view();
  await view();
  expect(fake.sent).toHaveLength(2);
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
  const before = fake.listeners.size;
  const { el, close } = await view();
  close();
  expect(el.childElementCount).toBe(0);
  expect(fake.listeners.size).toBe(before);
  dispose();
  expect(fake.listeners.size).toBe(0);
});

it("can only be read when its kernel has been started again", async () => {
  const { fake, view } = await open();
  await view();
  fake.receive(
    new ScriptedKernel().snapshot([{ turn: 1, role: "user", text: "Hello", state: "done" }]),
  );
  fake.receive(undefined, "comm_live_update");
  await expect
    .element(page.getByRole("status", { name: "Chat status" }))
    .toHaveTextContent("The kernel was started again");
  await expect.element(page.getByRole("textbox", { name: "Message" })).toHaveAttribute("readonly");
  await expect.element(page.getByRole("article", { name: "You" })).toHaveTextContent("Hello");
  const sent = fake.sent.length;
  (page.getByRole("button", { name: "Reset chat" }).element() as HTMLElement).click();
  expect(fake.sent).toHaveLength(sent);
});

it("hides what a notebook keeps of the chat once there is a chat to be seen, and not before", async () => {
  const { fake, view } = await open();
  const outputs = document.body.appendChild(document.createElement("div"));
  cleanups.push(() => outputs.remove());
  const output = () => {
    const child = outputs.appendChild(document.createElement("div"));
    child.className = "jp-OutputArea-child";
    return child;
  };
  const { el } = await view();
  output().append(el);
  const saved = output().appendChild(document.createElement("div"));
  saved.className = "gn-saved";
  saved.textContent = "My name is Ada.";
  await expect.element(saved).toBeVisible();
  fake.receive(new ScriptedKernel().snapshot());
  await expect.element(saved).not.toBeVisible();
});

/** A kernel's connection, as JupyterLab's widget manager has it. */
class FakeKernel {
  readonly interrupt = vi.fn(async () => {});
  readonly statusChanged = new FakeSignal<string>();
  readonly disposed = new FakeSignal<undefined>();

  become(status: string) {
    this.statusChanged.emit(status);
  }

  get heard() {
    return this.statusChanged.slots.size + this.disposed.slots.size;
  }
}

class FakeSignal<T> {
  readonly slots = new Set<(sender: unknown, value: T) => void>();
  connect = (slot: (sender: unknown, value: T) => void) => this.slots.add(slot);
  disconnect = (slot: (sender: unknown, value: T) => void) => this.slots.delete(slot);

  emit(value: T) {
    for (const slot of this.slots) slot(this, value);
  }
}

it("hears from JupyterLab how its kernel fares, and lets go of it", async () => {
  const kernel = new FakeKernel();
  const { fake, view, dispose } = await open(kernel);
  await view();
  fake.receive(new ScriptedKernel().snapshot());
  const status = page.getByRole("status", { name: "Chat status" });
  kernel.become("busy");
  kernel.become("idle");
  await expect.element(status).toHaveTextContent("Ready");
  kernel.become("dead");
  await expect.element(status).toHaveTextContent("The kernel has ended");
  expect(kernel.heard).toBe(2);
  dispose();
  expect(kernel.heard).toBe(0);
});

it("can only be read when the notebook has let go of its kernel, of which no status tells", async () => {
  const kernel = new FakeKernel();
  const { fake, view } = await open(kernel);
  await view();
  fake.receive(new ScriptedKernel().snapshot());
  kernel.disposed.emit(undefined);
  kernel.become("unknown");
  await expect
    .element(page.getByRole("status", { name: "Chat status" }))
    .toHaveTextContent("was shut down or changed for another");
  await expect.element(page.getByRole("textbox", { name: "Message" })).toHaveAttribute("readonly");
});

it("can interrupt the cell that keeps the kernel busy, where JupyterLab is the host", async () => {
  const kernel = new FakeKernel();
  const { fake, view } = await open(kernel);
  await view();
  fake.receive(new ScriptedKernel().snapshot());
  await page.getByRole("button", { name: "Reset chat" }).click();
  const button = page.getByRole("button", { name: "Interrupt the cell" });
  await expect.element(button).toBeVisible();
  await button.click();
  expect(kernel.interrupt).toHaveBeenCalledOnce();
});
