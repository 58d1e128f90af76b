/** What JupyterLab and Notebook 7 let a widget know of its kernel. Any other host lacks it, and that is fine. */
import type { AnyModel } from "@anywidget/types";

interface Signal<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

export interface JupyterKernel {
  interrupt?(): Promise<void>;
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
