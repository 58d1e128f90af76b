import type { Context } from "../protocol";
import { describeStatus, type PanelState } from "../state";

export function StatusBar({ state }: { state: PanelState }) {
  return (
    <div class="gn-bar">
      <div
        class="gn-status"
        role="status"
        aria-label="Chat status"
        aria-live="polite"
        data-status={state.status}
      >
        {describeStatus(state)}
      </div>
      {state.ready && <ContextMeter context={state.context} />}
    </div>
  );
}

const NEARLY_FULL = 0.85;

function ContextMeter({ context: { tokens, limit } }: { context: Context }) {
  const share = limit > 0 ? Math.min(1, tokens / limit) : 0;
  const used = `${tokens.toLocaleString("en")} of ${limit.toLocaleString("en")} tokens`;
  return (
    <div
      class="gn-meter"
      role="meter"
      aria-label="Context used"
      aria-valuemin={0}
      aria-valuemax={limit}
      aria-valuenow={tokens}
      aria-valuetext={used}
      data-full={share >= NEARLY_FULL}
      title={`Context used: ${used}`}
    >
      <span class="gn-meter-track" aria-hidden="true">
        <span class="gn-meter-fill" style={{ transform: `scaleX(${share})` }} />
      </span>
      <span class="gn-meter-text" aria-hidden="true">
        {tokens.toLocaleString("en")} / {limit.toLocaleString("en")}
      </span>
    </div>
  );
}
