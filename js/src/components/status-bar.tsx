import type { PanelState } from "../state";
import { describeStatus } from "../state";
import { ContextMeter } from "./context-meter";

interface Props {
  state: PanelState;
  interrupt: (() => void) | undefined;
}

export function StatusBar({ state, interrupt }: Props) {
  const late = state.lost === null && state.asked.some((a) => a.late);
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
        {describeStatus(state)}
      </div>
      {late && interrupt && (
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
