import type { ChatMessage, FinishReason, Timing } from "../protocol";

const ENDINGS: Record<FinishReason, string> = {
  stop: "",
  length: "Ended at the output limit",
  cancelled: "Stopped",
  context_full: "Ended because the context is full",
  tool_calls: "",
};

/** How a reply ended, and how fast it was. */
export function footnote({ finish_reason, state, timing, trimmed_turns }: ChatMessage): string {
  const ending = finish_reason ? ENDINGS[finish_reason] : state === "cancelled" ? "Stopped" : "";
  return [ending, trimmed(trimmed_turns), ...speeds(timing)]
    .filter((part) => part !== "")
    .join(" · ");
}

function trimmed(turns = 0): string {
  if (turns === 0) return "";
  return `${turns === 1 ? "The oldest turn was" : `The oldest ${turns} turns were`} forgotten to make room`;
}

function speeds(timing: Timing | undefined): string[] {
  if (!timing) return [];
  const { time_to_first_token_s: first, decode_tokens_per_s: rate } = timing;
  return [
    first === null ? "" : `${seconds(first)} to first token`,
    rate === null ? "" : `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens/s`,
  ];
}

function seconds(value: number): string {
  return value < 1 ? `${Math.max(1, Math.round(value * 1000))} ms` : `${value.toFixed(1)} s`;
}
