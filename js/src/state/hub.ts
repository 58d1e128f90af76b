import { type ChatsRequest, parseKernelMessage, type Tab } from "../protocol";
import { ChatTransport, type Transport } from "../transport";
import { saveFile } from "./files";
import { newId } from "./ids";
import { LATE_AFTER_MS, PanelStore, SELDOM_MS } from "./store";

/** The chat that a message without a name of its own is about. */
export const FIRST = "1";

export interface HubState {
  tabs: readonly Tab[];
  active: string;
  /** A chat was asked for and is not there yet. */
  opening: boolean;
  error: string | null;
}

/** The chats of one panel: which there are, and which one is seen. Every view of the panel shares it. */
export class PanelHub {
  private current: HubState = {
    tabs: [{ id: FIRST, name: "Chat 1" }],
    active: FIRST,
    opening: false,
    error: null,
  };
  private readonly stores = new Map<string, PanelStore>();
  private readonly subscribers = new Set<() => void>();
  private readonly unsubscribes: (() => void)[] = [];
  /** Chats that were closed here: what they had is kept already. */
  private readonly closed = new Set<string>();
  private opens: string | null = null;
  /** The latest question whether the answer to that was lost. */
  private inquiry: string | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lost: string | null = null;

  /** `lateAfterMs`: an answer that has not come by then is late. */
  constructor(
    private readonly transport: Transport,
    private readonly lateAfterMs = LATE_AFTER_MS,
  ) {
    this.unsubscribes.push(transport.onMessage((raw) => this.receive(raw)));
    const onLost = transport.onLost?.((why) => this.lose(why));
    if (onLost) this.unsubscribes.push(onLost);
    this.store(FIRST);
    this.ask({ type: "chats_request", id: newId() });
  }

  /** The kernel has answered: there is a chat to be seen. */
  get live(): boolean {
    return [...this.stores.values()].some((store) => store.state.ready);
  }

  get state(): HubState {
    return this.current;
  }

  /** Ends the cell that keeps the kernel busy; undefined where the host does not let us. */
  get interrupt(): (() => void) | undefined {
    return this.transport.interrupt?.bind(this.transport);
  }

  subscribe(subscriber: () => void): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  /** The state of one chat. */
  store(id: string): PanelStore {
    let store = this.stores.get(id);
    if (!store) {
      const line = new ChatTransport(this.transport, id === FIRST ? undefined : id);
      store = new PanelStore(line, saveFile, this.lateAfterMs);
      this.stores.set(id, store);
      if (this.lost !== null) store.lose(this.lost);
    }
    return store;
  }

  get active(): PanelStore {
    return this.store(this.current.active);
  }

  show(id: string): void {
    if (this.current.tabs.some((tab) => tab.id === id)) this.update({ active: id, error: null });
  }

  /** Opens a chat with the options of the one that is seen. */
  openChat(): void {
    if (this.current.opening || this.lost !== null) return;
    this.opens = newId();
    this.inquiry = null;
    this.update({ opening: true, error: null });
    this.ask({ type: "open_chat", id: this.opens, like: this.current.active });
    this.inquireIn(this.lateAfterMs);
  }

  /** Closes a chat; the neighbour of one that was seen is seen then, and keeps what it had. */
  closeChat(id: string): void {
    const { tabs, active } = this.current;
    if (tabs.length < 2 || this.lost !== null) return;
    const at = tabs.findIndex((tab) => tab.id === id);
    const left = tabs.filter((tab) => tab.id !== id);
    const next = id === active ? (left[Math.min(at, left.length - 1)]?.id ?? active) : active;
    this.store(next).keepOf(this.store(id).state);
    this.closed.add(id);
    this.update({ tabs: left, active: next, error: null });
    this.forget(id);
    this.ask({ type: "close_chat", id: newId(), close: id });
  }

  dismissError(): void {
    this.update({ error: null });
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const unsubscribe of this.unsubscribes) unsubscribe();
    for (const id of [...this.stores.keys()]) this.forget(id);
    this.subscribers.clear();
  }

  private receive(raw: unknown): void {
    if ((raw as { type?: unknown } | null)?.type !== "chats") return;
    const message = parseKernelMessage(raw);
    if (message?.type !== "chats" || message.chats.length === 0) return;
    const mine = message.request !== undefined && message.request === this.opens;
    // The kernel answers in turn: what it has not answered before a later question was lost.
    const answered = mine || (message.request !== undefined && message.request === this.inquiry);
    const ids = message.chats.map((tab) => tab.id);
    const gone = [...this.stores].filter(([id]) => !ids.includes(id));
    for (const [id] of gone) this.forget(id);
    const wanted = mine && message.show !== undefined ? message.show : this.current.active;
    this.update({
      tabs: message.chats,
      active: ids.includes(wanted) ? wanted : (ids[0] ?? FIRST),
      opening: this.current.opening && !answered,
      error: message.error ?? (mine ? null : this.current.error),
    });
    for (const id of ids) this.store(id);
    // Closed in another window, where nobody knows what was written and kept in this one.
    for (const [id, store] of gone) if (!this.closed.has(id)) this.active.keepOf(store.state);
  }

  private lose(why: string | null): void {
    this.lost = why;
    for (const store of this.stores.values()) store.lose(why);
    this.update({ opening: false });
  }

  /** Asks for the chats again, each time after twice as long, while one is being opened. */
  private inquireIn(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (!this.current.opening) return;
      this.inquiry = newId();
      this.ask({ type: "chats_request", id: this.inquiry });
      this.inquireIn(Math.min(2 * ms, SELDOM_MS));
    }, ms);
  }

  private forget(id: string): void {
    this.stores.get(id)?.dispose();
    this.stores.delete(id);
  }

  private ask(message: ChatsRequest): void {
    try {
      this.transport.send(message);
    } catch (error) {
      console.warn("gemma_notebook: the kernel cannot be reached", error);
      this.update({ opening: false });
    }
  }

  private update(change: Partial<HubState>): void {
    this.current = { ...this.current, ...change };
    for (const subscriber of this.subscribers) subscriber();
  }
}
