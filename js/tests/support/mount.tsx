import { render } from "preact";
import { page } from "vitest/browser";
import { Panel } from "../../src/components/panel";
import type { ChatMessage } from "../../src/protocol";
import { FIRST, PanelHub } from "../../src/state";
import "../../src/styles/panel.css";
import { MemoryTransport } from "../../src/transport/memory";
import { lastSent, ScriptedKernel } from "./kernel";

/** The longest time that a timer takes: on a slow machine, too, no answer of the test's is late. */
const NEVER_MS = 2 ** 31 - 1;

/** The panel on a page, or in a shadow root as in marimo, with the kernel's end of the line in the test's hand. */
export function mount(
  messages: ChatMessage[] = [],
  { shadow = false, lateAfterMs = NEVER_MS } = {},
) {
  const transport = new MemoryTransport();
  const kernel = new ScriptedKernel();
  const hub = new PanelHub(transport, lateAfterMs);
  const store = hub.store(FIRST);
  const root = document.body.appendChild(document.createElement("div"));
  const place = shadow ? root.attachShadow({ mode: "open" }) : root;
  const styles = shadow ? document.querySelectorAll("style") : [];
  for (const style of styles) place.append(style.cloneNode(true));
  const inner = place.appendChild(document.createElement("div"));
  render(<Panel hub={hub} />, inner);
  const tell = (...told: unknown[]) => {
    for (const message of told) transport.receive(message);
  };
  tell(kernel.snapshot(messages));
  return {
    transport,
    kernel,
    hub,
    store,
    root,
    tell,
    box: page.getByRole("textbox", { name: "Message" }),
    send: page.getByRole("button", { name: "Send" }),
    stop: page.getByRole("button", { name: "Stop" }),
    reset: page.getByRole("button", { name: "Reset chat" }),
    log: page.getByRole("log", { name: "Conversation" }),
    status: page.getByRole("status", { name: "Chat status" }),
    meter: page.getByRole("meter", { name: "Context used" }),
    replies: page.getByRole("article", { name: "tiny" }),
    prompts: page.getByRole("article", { name: "You" }),
    unmount() {
      render(null, inner);
      hub.dispose();
      root.remove();
    },
  };
}

export type Mounted = ReturnType<typeof mount>;

/** Sends a prompt and lets the kernel begin to answer it. */
export async function ask(panel: Mounted, text: string): Promise<string> {
  await panel.box.fill(text);
  await panel.send.click();
  const { id, text: said } = lastSent(panel.transport.sent, "send");
  const { kernel } = panel;
  panel.tell(kernel.prompt(said, id), kernel.reply(id), kernel.state("generating"));
  return id;
}
