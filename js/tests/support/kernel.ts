import type {
  BranchMessage,
  ChatMessage,
  KernelMessage,
  Model,
  Outgoing,
  Settings,
  SnapshotMessage,
  StateMessage,
  Status,
  TurnMessage,
} from "../../src/protocol";

export const MODEL: Model = {
  name: "tiny",
  context_limit: 1024,
  supports_thinking: false,
  supports_tools: false,
  modalities: ["text"],
};

export const SETTINGS: Settings = {
  options: {
    system_instruction: null,
    temperature: 0.8,
    top_k: 1,
    top_p: null,
    random_seed: 1,
    max_output_tokens: null,
    enable_thinking: false,
    tools: false,
  },
  pending: null,
  tools: [],
  context_policy: "trim",
};

type Told<T extends KernelMessage> = Omit<T, "type" | "seq" | "epoch">;

/** Writes a kernel's messages in their order, with the right `seq` and offsets. */
export class ScriptedKernel {
  epoch = 1;
  seq = 0;
  handle = 1;
  private turns = 0;
  private lengths = new Map<number, number>();

  condition(status: Status) {
    return {
      status,
      context: { tokens: 5, limit: 1024 },
      handles: { created: this.handle, closed: this.handle - 1, live: 1, checkpoints: 0 },
      handle: this.handle,
    };
  }

  snapshot(messages: ChatMessage[] = [], more: Partial<Told<SnapshotMessage>> = {}) {
    this.turns = Math.max(this.turns, ...messages.map((m) => m.turn));
    for (const m of messages) this.lengths.set(m.turn, m.text.length);
    return this.next<SnapshotMessage>("snapshot", {
      ...this.condition("idle"),
      model: MODEL,
      settings: SETTINGS,
      prompts: [],
      messages,
      ...more,
    });
  }

  state(status: Status, request?: string) {
    return this.next<StateMessage>("state", {
      ...this.condition(status),
      ...(request === undefined ? {} : { request }),
    });
  }

  prompt(text: string, request: string) {
    const turn = ++this.turns;
    return this.turn({ turn, role: "user", state: "done", text, request });
  }

  reply(request: string) {
    const turn = ++this.turns;
    this.lengths.set(turn, 0);
    return this.turn({ turn, role: "assistant", state: "streaming", text: "", request });
  }

  turn(told: Told<TurnMessage>) {
    return this.next<TurnMessage>("turn", told);
  }

  /** What follows `after` is this. */
  branch(after: number | null, messages: ChatMessage[], request?: string) {
    this.turns = Math.max(this.turns, ...messages.map((m) => m.turn));
    for (const m of messages) this.lengths.set(m.turn, m.text.length);
    const asked = request === undefined ? {} : { request };
    return this.next<BranchMessage>("branch", { after, messages, ...asked });
  }

  think(text: string, offset: number, turn = this.turns) {
    return this.next("delta", { turn, part: "thinking", offset, text });
  }

  delta(text: string, turn = this.turns) {
    const offset = this.lengths.get(turn) ?? 0;
    this.lengths.set(turn, offset + text.length);
    return this.next("delta", { turn, offset, text });
  }

  end(state: "done" | "cancelled" = "done") {
    return this.turn({
      turn: this.turns,
      role: "assistant",
      state,
      finish_reason: state === "done" ? "stop" : "cancelled",
    });
  }

  error(told: object) {
    return this.next("error", { kind: "Refused", message: "It failed.", retry: null, ...told });
  }

  /** The acknowledgement of a reset, or with `failed` its failure: a new epoch either way. */
  newEpoch(request?: string, status: "idle" | "failed" = "idle") {
    this.epoch += 1;
    this.handle += 1;
    return this.state(status, request);
  }

  next<T extends KernelMessage>(type: T["type"], told: object): T {
    return { type, epoch: this.epoch, seq: ++this.seq, ...told } as unknown as T;
  }
}

/** The latest message of a type that the panel sent. */
export function lastSent<T extends Outgoing["type"]>(sent: Outgoing[], type: T) {
  const found = sent.findLast((m) => m.type === type);
  if (!found) throw new Error(`the panel sent no ${type}`);
  return found as Extract<Outgoing, { type: T }>;
}
