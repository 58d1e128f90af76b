/** The panel with a scripted kernel, to work on its look: `npm run dev`. `?scene=` names one of SCENES. */
import { render } from "preact";
import { Panel } from "../src/components/panel";
import type { ChatMessage, PanelMessage, Status } from "../src/protocol";
import { PanelStore } from "../src/state";
import { MemoryTransport } from "../src/transport/memory";
import { MARKDOWN, RIGHT_TO_LEFT } from "./replies";

const ANSWER =
  "Nice to meet you, Ada! I will remember your name for as long as this chat lasts.\n\nReset the chat and I forget it, because the memory of this conversation is then freed.";
const TIMING = {
  time_to_first_token_s: 0.084,
  prefill_tokens_per_s: 412,
  decode_tokens_per_s: 96.4,
  total_s: 0.61,
};

const transport = new MemoryTransport();
let seq = 0;
let epoch = 1;
let turn = 0;
let tokens = 12;
let handle = 1;
let streaming: { turn: number; timer: ReturnType<typeof setInterval> } | null = null;

const condition = (status: Status) => ({
  status,
  context: { tokens, limit: 4096 },
  handles: { created: handle, closed: handle - 1, live: 1, checkpoints: 0 },
  handle,
});
const tell = (message: object) =>
  setTimeout(() => transport.receive({ epoch, seq: ++seq, ...message }), 0);

function snapshot(messages: ChatMessage[], status: Status, more: object = {}) {
  turn = messages.length;
  tell({
    type: "snapshot",
    ...condition(status),
    model: { name: "gemma-tiny", context_limit: 4096 },
    messages,
    ...more,
  });
}

function answer({ id, text }: { id: string; text: string }) {
  tell({ type: "turn", turn: ++turn, role: "user", state: "done", text, request: id });
  const reply = ++turn;
  tell({ type: "turn", turn: reply, role: "assistant", state: "streaming", request: id });
  tell({ type: "state", ...condition("generating") });
  let offset = 0;
  const timer = setInterval(() => {
    const piece = ANSWER.slice(offset, offset + 5);
    if (piece === "") return finish("done");
    tell({ type: "delta", turn: reply, offset, text: piece });
    offset += piece.length;
  }, 50);
  streaming = { turn: reply, timer };
}

function finish(state: "done" | "cancelled", request?: string) {
  if (!streaming) return;
  clearInterval(streaming.timer);
  tokens += 64;
  const finish_reason = state === "done" ? "stop" : "cancelled";
  tell({
    type: "turn",
    turn: streaming.turn,
    role: "assistant",
    state,
    finish_reason,
    timing: TIMING,
  });
  tell({ type: "state", ...condition("idle"), request });
  streaming = null;
}

transport.onSend = (message: PanelMessage) => {
  switch (message.type) {
    case "snapshot_request":
      return scene();
    case "send":
      return answer(message);
    case "stop":
      return finish("cancelled", message.id);
    case "reset":
      if (streaming) clearInterval(streaming.timer);
      streaming = null;
      setTimeout(() => {
        epoch += 1;
        handle += 1;
        tokens = 12;
        tell({ type: "state", ...condition("idle"), request: message.id });
      }, 900);
  }
};

const said = (text: string): ChatMessage => ({ turn: ++turn, role: "user", text, state: "done" });
const replied = (text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  turn: ++turn,
  role: "assistant",
  text,
  state: "done",
  finish_reason: "stop",
  timing: TIMING,
  ...more,
});

const SCENES: Record<string, () => void> = {
  empty: () => snapshot([], "idle"),
  chat: () => {
    tokens = 1371;
    snapshot(
      [
        said("My name is Ada."),
        replied(ANSWER),
        said("What is my name, and what can you do?\nAnswer in one sentence."),
        replied("Your name is Ada."),
        said("Tell me a very long story about the sea."),
        replied("Once upon a time there was a sea, and the sea was", {
          state: "cancelled",
          finish_reason: "cancelled",
        }),
      ],
      "idle",
    );
  },
  streaming: () => {
    tokens = 3700;
    snapshot(
      [
        said("My name is Ada."),
        replied(ANSWER),
        said("And again?"),
        replied("Nice to meet you, Ada! I will rem", {
          state: "streaming",
          timing: undefined as never,
        }),
      ],
      "generating",
    );
  },
  waiting: () =>
    snapshot(
      [said("My name is Ada."), replied("", { state: "streaming", timing: undefined as never })],
      "generating",
    ),
  error: () =>
    snapshot(
      [
        said("My name is Ada."),
        replied(ANSWER),
        said("What is my name?"),
        replied("Your na", {
          state: "error",
          finish_reason: undefined as never,
          timing: undefined as never,
          error: {
            kind: "EngineError",
            message:
              "The engine broke off the reply (code 13, INTERNAL: decode step failed); send the message again, or reset the chat.",
            retry: "send",
          },
        }),
      ],
      "idle",
    ),
  failed: () =>
    snapshot([], "failed", {
      error: {
        message:
          "The new conversation could not be created (code 8, RESOURCE_EXHAUSTED: out of memory); close other chats and reset again.",
        remedy: "reset",
      },
    }),
  resetting: () => snapshot([], "resetting"),
  markdown: () => snapshot([said("Show me what you can write."), replied(MARKDOWN)], "idle"),
  "markdown-streaming": () =>
    snapshot(
      [
        said("And while you write?"),
        replied(
          MARKDOWN.slice(0, Number(new URLSearchParams(location.search).get("upto") ?? 640)),
          {
            state: "streaming",
            timing: undefined as never,
          },
        ),
      ],
      "generating",
    ),
  rtl: () => snapshot([said("כתוב לי משהו"), replied(RIGHT_TO_LEFT)], "idle"),
};

const name = new URLSearchParams(location.search).get("scene") ?? "chat";
const scene = () => SCENES[name]?.();

const target = document.getElementById("panel");
if (target) render(<Panel store={new PanelStore(transport)} />, target);
