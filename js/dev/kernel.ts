/** A kernel that answers from a script, for the development page. */
import type { ChatMessage, HandleLife, OptionValues, Outgoing, Status } from "../src/protocol";
import type { MemoryTransport } from "../src/transport/memory";

export const ANSWER =
  "Nice to meet you, Ada! I will remember your name for as long as this chat lasts.\n\nReset the chat and I forget it, because the memory of this conversation is then freed.";
export const TIMING = {
  time_to_first_token_s: 0.084,
  prefill_tokens_per_s: 412,
  decode_tokens_per_s: 96.4,
  total_s: 0.61,
};
const OPTIONS: OptionValues = {
  system_instruction: null,
  temperature: 0.8,
  top_k: 1,
  top_p: null,
  random_seed: 1,
  max_output_tokens: null,
  enable_thinking: false,
  tools: false,
};

/** One chat of the page. */
export class DevKernel {
  tokens = 12;
  limit = 4096;
  handle = 1;
  able = { supports_thinking: false, supports_tools: false, modalities: ["text"] };
  tools: string[] = [];
  messages: ChatMessage[] = [];
  status: Status = "idle";
  more: object = {};
  silent = false;
  private options = OPTIONS;
  private pending: OptionValues | null = null;
  private epoch = 1;
  private seq = 0;
  private streaming: { reply: ChatMessage; timer: ReturnType<typeof setInterval> } | null = null;
  private lives: HandleLife[] = [life(1, 0)];
  private readonly began = Date.now();

  constructor(
    private readonly transport: MemoryTransport,
    private readonly chat: string | undefined,
  ) {}

  tell(message: object) {
    const { chat, epoch } = this;
    const named = chat === undefined ? {} : { chat };
    setTimeout(() => this.transport.receive({ ...named, epoch, seq: ++this.seq, ...message }), 0);
  }

  take(message: Outgoing) {
    if (this.silent && message.type !== "snapshot_request") return;
    const { id: request } = message;
    switch (message.type) {
      case "snapshot_request":
        return this.snapshot(request);
      case "send":
        this.add({ role: "user", text: message.text, state: "done", request });
        return this.answer(request);
      case "stop":
        return this.finish("cancelled", request);
      case "undo":
        this.messages = this.messages.slice(0, -2);
        this.branch(request);
        return this.tell({ type: "state", ...this.condition("idle"), request });
      case "regenerate": {
        const old = this.messages.pop();
        this.branch(request);
        const count = (old?.branch?.count ?? 1) + 1;
        return this.answer(request, { branch: { index: count, count } });
      }
      case "edit": {
        const at = this.messages.findIndex((m) => m.turn === message.turn);
        this.messages = this.messages.slice(0, at);
        this.branch(request);
        const branch = { index: 2, count: 2 };
        this.add({ role: "user", text: message.text, state: "done", request, branch });
        return this.answer(request);
      }
      case "tool_decision":
        return this.tell({ type: "state", ...this.condition("generating"), request });
      case "options":
        this.pending = message.options && { ...this.options, ...message.options };
        return this.tell({ type: "settings", settings: this.settings(), request });
      case "hood_request":
        return this.hood(request);
      case "export":
        return this.tell({
          type: "exported",
          request,
          name: "chat.txt",
          media_type: "text/plain",
          text: this.messages.map((m) => m.text).join("\n\n"),
        });
      case "reset":
        return this.reset(request);
    }
  }

  condition(status: Status) {
    this.status = status;
    const { tokens, limit, handle } = this;
    return {
      status,
      context: { tokens, limit },
      handles: { created: handle, closed: handle - 1, live: 1, checkpoints: 0 },
      handle,
    };
  }

  private snapshot(request: string) {
    this.tell({
      type: "snapshot",
      ...this.condition(this.status),
      model: { name: "gemma-tiny", context_limit: this.limit, ...this.able },
      settings: this.settings(),
      prompts: ["What can you do?", "My favourite colour is green.", "What do you know about me?"],
      messages: this.messages.map((m, i) => ({ ...m, turn: i + 1 })),
      request,
      ...this.more,
    });
  }

  private settings() {
    const { options, pending, tools } = this;
    return { options, pending, tools, context_policy: "trim" };
  }

  private add(message: Omit<ChatMessage, "turn">): ChatMessage {
    const added = { ...message, turn: this.messages.length + 1 };
    this.messages.push(added);
    this.tell({ type: "turn", ...added });
    return added;
  }

  private branch(request: string) {
    const after = this.messages.length || null;
    this.tell({ type: "branch", after, messages: [], request });
  }

  private answer(request: string, more: Partial<ChatMessage> = {}) {
    const state = "streaming" as const;
    const reply = this.add({ role: "assistant", text: "", state, request, ...more });
    this.tell({ type: "state", ...this.condition("generating") });
    const timer = setInterval(() => {
      const piece = ANSWER.slice(reply.text.length, reply.text.length + 5);
      if (piece === "") return this.finish("done");
      this.tell({ type: "delta", turn: reply.turn, offset: reply.text.length, text: piece });
      reply.text += piece;
    }, 50);
    this.streaming = { reply, timer };
  }

  private finish(state: "done" | "cancelled", request?: string) {
    if (this.streaming) {
      const { reply, timer } = this.streaming;
      clearInterval(timer);
      this.tokens += 64;
      const finish_reason = state === "done" ? "stop" : "cancelled";
      Object.assign(reply, { state, finish_reason, timing: TIMING });
      this.tell({ ...reply, type: "turn" });
    }
    this.streaming = null;
    this.tell({ type: "state", ...this.condition("idle"), request });
  }

  private hood(request: string) {
    const now_s = this.now;
    const latest = this.lives.at(-1);
    if (latest) Object.assign(latest, { tokens: this.tokens, current: true });
    const { handles } = this.condition(this.status);
    this.tell({ type: "hood", request, now_s, earlier: 0, handles, lives: [...this.lives] });
  }

  private get now() {
    return (Date.now() - this.began) / 1000;
  }

  private reset(request: string) {
    if (this.streaming) clearInterval(this.streaming.timer);
    this.streaming = null;
    setTimeout(() => {
      const old = this.lives.at(-1);
      if (old) Object.assign(old, { closed_s: this.now, end: "closed", current: false });
      this.epoch += 1;
      this.handle += 1;
      this.tokens = 12;
      this.messages = [];
      this.lives.push(life(this.handle, this.now));
      if (this.pending) this.options = this.pending;
      this.pending = null;
      this.tell({ type: "state", ...this.condition("idle"), request });
      this.tell({ type: "settings", settings: this.settings() });
    }, 900);
  }
}

function life(handle: number, created_s: number): HandleLife {
  const not = { spent_s: null, closed_s: null, tokens: null };
  return { handle, created_s, ...not, sends: 0, checkpoints: 0, current: false, end: "" };
}
