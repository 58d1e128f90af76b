/** What JupyterLab and Notebook 7 let a widget know of its kernel. Any other host lacks it, and that is fine. */
import type { AnyModel } from "@anywidget/types";

interface Signal<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

export interface JupyterKernel {
  readonly status?: string;
  interrupt?(): Promise<void>;
  /** Asks which comms there are: the kernel answers in turn, behind what it was asked before. */
  requestCommInfo?(content: { target_name: string }): Promise<unknown>;
  statusChanged?: Signal<string>;
  /** The notebook has let go of it: shut down, or changed for another. No status tells of that. (measured) */
  disposed?: Signal<undefined>;
}

const RESTARTED =
  "The kernel was started again, and this chat is gone from it. It can be read here; run the cell again for a new one.";
const ENDED =
  "The kernel has ended, and this chat with it. It can be read here; start a kernel and run the cell again.";
const GONE =
  "The kernel of this chat was shut down or changed for another. The chat can be read here; run the cell again for a new one.";
const SAVED = "This panel is from a saved notebook; run the cell again.";

/** By then the panel has asked its first question some times over. */
export const SILENT_AFTER_MS = 5000;

const LOST: Record<string, string> = {
  restarting: RESTARTED,
  autorestarting: RESTARTED,
  terminating: ENDED,
  dead: ENDED,
};

/** The kernel's connection, as JupyterLab's widget manager has it. */
export function kernelOf(model: AnyModel): JupyterKernel | undefined {
  const { kernel } = (model.widget_manager ?? {}) as { kernel?: JupyterKernel | null };
  return kernel ?? undefined;
}

/** Calls back when the kernel of `model` is gone. */
export function whenLost(
  model: AnyModel,
  kernel: JupyterKernel | undefined,
  callback: (why: string) => void,
): () => void {
  const onStatus = (_: unknown, status: string) => {
    const why = LOST[status];
    if (why !== undefined) callback(why);
  };
  // The widget's own line was cut: JupyterLab does that as well when the kernel starts again.
  const onCut = () => callback(RESTARTED);
  const onDisposed = () => callback(GONE);
  kernel?.statusChanged?.connect(onStatus);
  kernel?.disposed?.connect(onDisposed);
  model.on("comm_live_update", onCut);
  return () => {
    kernel?.statusChanged?.disconnect(onStatus);
    kernel?.disposed?.disconnect(onDisposed);
    model.off("comm_live_update", onCut);
  };
}

/**
 * Calls back when nobody stands behind `model`, which was restored from what a notebook has saved; with null when
 * somebody speaks all the same. What such a model sends goes nowhere, and no event tells of that.
 */
export function whenSilent(
  model: AnyModel,
  callback: (why: string | null) => void,
  silentAfterMs = SILENT_AFTER_MS,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  let told = false;
  const tell = () => {
    told = true;
    callback(SAVED);
  };
  const wait = () => {
    timer = setTimeout(look, silentAfterMs);
  };
  const look = async () => {
    const silent = await isFree(model);
    if (ended) return;
    if (silent) tell();
    else wait();
  };
  const end = () => {
    ended = true;
    clearTimeout(timer);
    model.off("msg:custom", onMessage);
  };
  const onMessage = () => {
    end();
    if (told) callback(null);
  };
  model.on("msg:custom", onMessage);
  if (hasNoLine(model)) tell();
  else wait();
  return end;
}

/** anywidget (0.11) does not hand on whether the model has a comm; its layout is restored with it, or opened with it. */
function hasNoLine(model: AnyModel): boolean {
  const layout: unknown = model.get?.("layout");
  return [model, layout].some((it) => (it as { comm_live?: unknown } | null)?.comm_live === false);
}

/**
 * Whether the kernel has answered all that it was asked before, or JupyterLab has none. Its status alone does not tell:
 * during a cell it is "idle" after each message on another channel.
 */
async function isFree({ widget_manager }: AnyModel): Promise<boolean> {
  const { kernel } = (widget_manager ?? {}) as { kernel?: JupyterKernel | null };
  if (kernel === null) return true;
  if (kernel?.status !== "idle") return false;
  try {
    await kernel.requestCommInfo?.({ target_name: "jupyter.widget" });
    return true;
  } catch {
    return false;
  }
}
