import type { PanelState } from "../state";
import { describeStatus, isHeldUp } from "../state";
import { ContextMeter } from "./context-meter";

interface Props {
  state: PanelState;
  /** What was said just now, in the place of the status. */
  said: string | null;
  interrupt: (() => void) | undefined;
}

export function StatusBar({ state, said, interrupt }: Props) {
  return (
    <div class="gn-bar">
      <div
        class="gn-status"
        role="status"
        aria-label="Chat status"
        aria-live="polite"
        dir="auto"
        data-status={state.lost === null ? state.status : "closed"}
      >
        {said ?? describeStatus(state)}
      </div>
      {interrupt && isHeldUp(state) && (
        <button
          type="button"
          class="gn-button gn-button-outline"
          title="Interrupts the cell that runs, as the notebook's own button does"
          onClick={interrupt}
        >
          Interrupt the cell
        </button>
      )}
      {state.ready && <ContextMeter state={state} />}
    </div>
  );
}
