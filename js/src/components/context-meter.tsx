import { nextForgotten, type PanelState } from "../state";

const NEARLY_FULL = 0.85;

/** How full the KV cache is, and what goes first when it is. */
export function ContextMeter({ state }: { state: PanelState }) {
  const { tokens, limit } = state.context;
  const share = limit > 0 ? Math.min(1, tokens / limit) : 0;
  const used = `${tokens.toLocaleString("en")} of ${limit.toLocaleString("en")} tokens`;
  const full = share >= NEARLY_FULL;
  const next = whatGoes(state);
  return (
    <div class="gn-context">
      {full && next !== null && (
        <span class="gn-context-next" title={next}>
          {next}
        </span>
      )}
      <div
        class="gn-meter"
        role="meter"
        aria-label="Context used"
        aria-valuemin={0}
        aria-valuemax={limit}
        aria-valuenow={tokens}
        aria-valuetext={used}
        data-full={full}
        title={[`Context used: ${used}.`, next].filter(Boolean).join(" ")}
      >
        <span class="gn-meter-track" aria-hidden="true">
          <span class="gn-meter-fill" style={{ transform: `scaleX(${share})` }} />
        </span>
        <span class="gn-meter-text" aria-hidden="true" dir="ltr">
          {tokens.toLocaleString("en")} / {limit.toLocaleString("en")}
        </span>
      </div>
    </div>
  );
}

function whatGoes(state: PanelState): string | null {
  if (state.settings.context_policy === "error") return "When it is full, a message is refused.";
  const next = nextForgotten(state);
  return next === null ? null : `When it is full, this is forgotten first: “${short(next)}”`;
}

function short(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 48 ? `${line.slice(0, 47)}…` : line;
}
