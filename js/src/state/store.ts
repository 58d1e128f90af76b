import {
  type ChatMessage,
  type ExportFormat,
  type OptionValues,
  type PanelMessage,
  parseKernelMessage,
} from "../protocol";
import type { Transport } from "../transport";
import {
  decisionObstacle,
  isBusy,
  isReplying,
  resetObstacle,
  saveObstacle,
  sendObstacle,
} from "./describe";
import { type Attached, attachObstacle, MOST_BYTES, type SavedFile, saveFile } from "./files";
import { newId } from "./ids";
import { reduce } from "./reducer";
import { type Held, initialState, type Kept, type PanelEvent, type PanelState } from "./state";

/** An answer that has not come by then is late. */
export const LATE_AFTER_MS = 1500;
/** As long as nothing is heard of what is on its way, it may be. */
export const QUIET_AFTER_MS = 10_000;
/** The longest time between two questions whether something was lost. */
export const SELDOM_MS = 600_000;

type Timer = ReturnType<typeof setTimeout>;

/** One chat's state and its line to the kernel. Every view of the panel subscribes to the same store. */
export class PanelStore {
  /** Prompts that are being edited, by their turn in an epoch: a message that leaves the page must not lose them. */
  readonly edits = new Map<string, string>();
  private current: PanelState = initialState;
  private readonly subscribers = new Set<() => void>();
  private readonly timers = new Set<Timer>();
  /** Runs while something is late: the next question whether it was lost. */
  private inquiry: Timer | null = null;
  /** Runs while something is on its way: the next question whether its end was lost. */
  private watching: Timer | null = null;
  private readonly unsubscribe: () => void;
  /** The request for options that a reset shall follow. */
  private resetAfter: string | null = null;

  constructor(
    private readonly transport: Transport,
    private readonly save: (file: SavedFile) => void = saveFile,
    private readonly lateAfterMs = LATE_AFTER_MS,
  ) {
    this.unsubscribe = transport.onMessage((raw) => this.receive(raw));
    this.catchUp();
  }

  get state(): PanelState {
    return this.current;
  }

  subscribe(subscriber: () => void): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  dispose(): void {
    this.unsubscribe();
    this.subscribers.clear();
    for (const timer of this.timers) clearTimeout(timer);
  }

  draft(text: string): void {
    this.dispatch({ type: "drafted", text });
  }

  /** Takes files for the next prompt, or says why not. */
  async attach(chosen: readonly File[]): Promise<void> {
    if (chosen.length === 0) return;
    const why = attachObstacle(chosen, this.current.attached, this.current.model.modalities);
    this.notice(why);
    if (why !== null) return;
    const read = chosen.map(async (file) => ({
      name: file.name,
      type: file.type,
      data: await file.arrayBuffer(),
    }));
    const files = await Promise.all(read);
    // Others may have been attached while these were read.
    const late = attachObstacle(chosen, this.current.attached, this.current.model.modalities);
    if (late !== null) return this.notice(late);
    this.dispatch({ type: "attached", files: [...this.current.attached, ...files] });
  }

  detach(file: Attached): void {
    const files = this.current.attached.filter((one) => one !== file);
    this.dispatch({ type: "attached", files });
  }

  /** Something to tell the user, until the next thing happens; null: no more. */
  notice(message: string | null): void {
    this.dispatch({ type: "noticed", message });
  }

  /** The kernel is gone, or was started again without this panel; null: it is there after all. */
  lose(why: string | null): void {
    this.dispatch({ type: "lost", why });
  }

  /** Sends `text`; false if that cannot be done now, and then nothing has changed. */
  send(text: string, files: readonly Attached[] = []): boolean {
    const prompt = text.trim();
    if (prompt === "" || sendObstacle(this.current)) return false;
    const id = newId();
    const { epoch } = this.current;
    this.dispatch({ type: "sent", id, text: prompt, files });
    this.ask(
      {
        type: "send",
        id,
        epoch,
        text: prompt,
        ...(files.length > 0 && { files: files.map(({ name, type }) => ({ name, type })) }),
      },
      (message) => ({ type: "send_failed", id, message }),
      files.map((file) => file.data),
    );
    return true;
  }

  /** Sends a prompt that has waited beside the text box; it waits on if that cannot be done now. */
  sendHeld(held: Held): void {
    if (this.send(held.text, held.files)) this.dropHeld(held);
  }

  dropHeld({ id }: Held): void {
    this.dispatch({ type: "held_dropped", id });
  }

  stop(): void {
    if (!isReplying(this.current) || this.current.status === "stopping") return;
    const id = newId();
    this.dispatch({ type: "stop_clicked", id });
    this.ask({ type: "stop", id, epoch: this.current.epoch });
  }

  reset(): void {
    if (resetObstacle(this.current)) return;
    const id = newId();
    const { epoch } = this.current;
    this.dispatch({ type: "reset_clicked", id });
    this.ask({ type: "reset", id, epoch });
  }

  /** Begins a new chat with what an exported JSON says. */
  importChat(text: string): void {
    const obstacle = sendObstacle(this.current);
    if (obstacle) {
      // While the file was chosen, a reply may have begun.
      this.notice(`The file was not imported. ${obstacle}`);
      return;
    }
    if (new TextEncoder().encode(JSON.stringify(text)).length > MOST_BYTES) {
      this.notice(
        "The file is too large: 8 MB can be sent at once. In a cell, chat.restore(gn.Transcript.from_json(…).messages) takes it.",
      );
      return;
    }
    this.request({ type: "import", id: newId(), epoch: this.current.epoch, text });
  }

  // Going back

  regenerate(turn: number): void {
    if (sendObstacle(this.current)) return;
    this.request({ type: "regenerate", id: newId(), epoch: this.current.epoch, turn });
  }

  /** False if it cannot be done now, and then nothing has changed. */
  edit(turn: number, text: string): boolean {
    const prompt = text.trim();
    if (prompt === "" || sendObstacle(this.current)) return false;
    this.request({ type: "edit", id: newId(), epoch: this.current.epoch, turn, text: prompt });
    return true;
  }

  undo(): void {
    if (sendObstacle(this.current) || this.current.messages.length === 0) return;
    const id = newId();
    this.dispatch({ type: "undo_clicked", id });
    this.ask({ type: "undo", id, epoch: this.current.epoch });
  }

  switchTo(turn: number, index: number): void {
    if (sendObstacle(this.current)) return;
    this.request({ type: "switch", id: newId(), epoch: this.current.epoch, turn, index });
  }

  // The rest

  decide(call: string, allow: boolean): void {
    if (decisionObstacle(this.current, call)) return;
    this.request({ type: "tool_decision", id: newId(), epoch: this.current.epoch, call, allow });
  }

  /** Use these options for the next chat, which begins at once if `now`; null takes them back. */
  setOptions(options: Partial<OptionValues> | null, now = false): void {
    const id = newId();
    this.resetAfter = now ? id : null;
    this.request({ type: "options", id, epoch: this.current.epoch, options });
  }

  /** Asks for the lives of the handles, unless that has been done. */
  lookUnderTheHood(): void {
    if (!this.current.ready || this.current.asked.some((a) => a.type === "hood_request")) return;
    this.request({ type: "hood_request", id: newId() });
  }

  exportChat(format: ExportFormat): void {
    this.request({ type: "export", id: newId(), format });
  }

  /** Saves a chat that was reset or closed. */
  saveKept(kept: Kept): void {
    if (saveObstacle(this.current, kept)) return;
    const id = newId();
    this.dispatch({ type: "kept_save_clicked", id, messages: kept.messages });
    this.ask({
      type: "export",
      id,
      format: "markdown",
      messages: finished(kept.messages),
      options: kept.options,
    });
  }

  /**
   * Offers to save what was said in a chat that is closed, and what it offered to save itself; and holds what was
   * written there and not sent.
   */
  keepOf(chat: PanelState): void {
    const [kept, held] = [keptOf(chat), heldOf(chat)];
    if (kept.length + held.length > 0) this.dispatch({ type: "kept_given", kept, held });
  }

  dismissKept({ messages }: Kept): void {
    this.dispatch({ type: "kept_dismissed", messages });
  }

  private receive(raw: unknown): void {
    const message = parseKernelMessage(raw);
    if (!message || message.type === "chats") return;
    const request = "request" in message ? message.request : undefined;
    const mine = this.current.asked.some((a) => a.id === request);
    this.dispatch({ type: "received", message });
    // A snapshot may be the answer to the watch's own question, whose times grow.
    if (message.type !== "snapshot" || this.watching === null) this.watch();
    if (!mine) return;
    // The kernel answers again: what is late now need not wait until the next question.
    if (message.type === "snapshot" && this.current.asked.some((a) => a.late)) {
      this.inquireIn(this.lateAfterMs);
    }
    if (message.type === "exported") {
      this.save({ name: message.name, type: message.media_type, text: message.text });
    }
    if (request !== this.resetAfter) return;
    this.resetAfter = null;
    if (message.type === "settings") this.reset();
  }

  private dispatch(event: PanelEvent): void {
    this.current = reduce(this.current, event);
    if (this.current.asked.length === 0) this.cancel(this.inquiry);
    this.catchUp();
    for (const subscriber of this.subscribers) subscriber();
  }

  /** A late view, or one that missed a message, asks for the whole. */
  private catchUp(): void {
    if (this.current.sync !== "stale" || this.current.lost !== null) return;
    const id = newId();
    this.current = reduce(this.current, { type: "snapshot_requested", id });
    this.ask({ type: "snapshot_request", id });
  }

  /** A snapshot tells whether the answer to what is late was lost. Asked for again, each time after twice as long. */
  private inquire(waitMs = this.lateAfterMs): void {
    this.inquireIn(waitMs, Math.min(2 * waitMs, SELDOM_MS));
    this.askForSnapshot();
  }

  private askForSnapshot(): void {
    const id = newId();
    this.dispatch({ type: "snapshot_requested", id });
    this.ask({ type: "snapshot_request", id });
  }

  /** While the kernel owes the end of something, silence may mean that it was lost. */
  private watch(waitMs = QUIET_AFTER_MS): void {
    this.cancel(this.watching);
    this.watching = null;
    if (!isBusy(this.current) || this.current.lost !== null) return;
    this.watching = this.after(waitMs, () => {
      this.watch(Math.min(2 * waitMs, SELDOM_MS));
      if (this.watching === null || this.inquiry !== null) return;
      this.askForSnapshot();
    });
  }

  private inquireIn(ms: number, nextMs = ms): void {
    this.cancel(this.inquiry);
    this.inquiry = this.after(ms, () => {
      this.inquiry = null;
      if (this.current.asked.length > 0) this.inquire(nextMs);
    });
  }

  private after(ms: number, then: () => void): Timer {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      then();
    }, ms);
    this.timers.add(timer);
    return timer;
  }

  private cancel(timer: Timer | null): void {
    if (timer === null) return;
    clearTimeout(timer);
    this.timers.delete(timer);
    if (timer === this.inquiry) this.inquiry = null;
  }

  private request(message: PanelMessage): void {
    const text = message.type === "edit" ? { text: message.text } : {};
    const call = message.type === "tool_decision" ? { call: message.call } : {};
    this.dispatch({ type: "asked", id: message.id, request: message.type, ...text, ...call });
    this.ask(message);
  }

  private ask(
    message: PanelMessage,
    failed: (why: string) => PanelEvent = (why) => ({
      type: "request_failed",
      id: message.id,
      message: why,
    }),
    buffers: ArrayBuffer[] = [],
  ): void {
    try {
      if (this.current.lost !== null) throw new Error(this.current.lost);
      this.transport.send(message, buffers);
    } catch (error) {
      console.warn("gemma_notebook: the kernel cannot be reached", error);
      this.dispatch(
        failed("The kernel cannot be reached. Run the cell that made this panel again."),
      );
      return;
    }
    this.after(this.lateAfterMs, () => {
      if (!this.current.asked.some((a) => a.id === message.id)) return;
      this.dispatch({ type: "unanswered", id: message.id });
      if (this.inquiry === null) this.inquire();
    });
  }
}

function keptOf({ messages, kept, settings: { options } }: PanelState): Kept[] {
  const closed = { closed: true, request: null };
  const earlier = kept.filter((k) => !k.saved).map((k) => ({ ...k, ...closed }));
  if (messages.length === 0) return earlier;
  const first = messages.find((m) => m.role === "user")?.text;
  const name = first === undefined ? {} : { name: first };
  return [...earlier, { messages, options, saved: false, ...name, ...closed }];
}

function heldOf({ held, outbox, draft, attached }: PanelState): Held[] {
  const message = "The chat of this message was closed.";
  const unsent = outbox.filter((o) => o.turn === null).map((o) => ({ ...o, message }));
  if (draft.trim() === "") return [...held, ...unsent];
  return [...held, ...unsent, { id: newId(), text: draft, files: attached, message }];
}

/** A reply that was cut by the reset ends there. */
function finished(messages: readonly ChatMessage[]): ChatMessage[] {
  return messages.map((m) => (m.state === "streaming" ? { ...m, state: "cancelled" } : m));
}
