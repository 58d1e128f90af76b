import { useState } from "preact/hooks";
import type { Call, CallState } from "../protocol";
import { decisionObstacle, type PanelStore } from "../state";
import { ToolIcon } from "./icons";
import { useStore } from "./use-store";

interface Props {
  calls: readonly Call[];
  /** The reply has ended: nothing runs any more. */
  ended: boolean;
  store: PanelStore;
}

/** The tools that the model called, one row each; one that has to be allowed asks. */
export function ToolCalls({ calls, ended, store }: Props) {
  return (
    <div class="gn-calls">
      {calls.map((call) =>
        call.state === "asking" && !ended ? (
          <Approval key={call.id} call={call} store={store} />
        ) : (
          <Row key={call.id} call={call} ended={ended} />
        ),
      )}
    </div>
  );
}

const WORDS: Record<CallState, string> = {
  asking: "not answered",
  running: "running…",
  done: "done",
  denied: "denied",
  stopped: "stopped",
  error: "failed",
};

function Row({ call, ended }: { call: Call; ended: boolean }) {
  const [open, setOpen] = useState(false);
  const words = ended && call.state === "running" ? "called" : WORDS[call.state];
  return (
    <div class="gn-fold gn-call" data-call={call.state}>
      <button
        type="button"
        class="gn-button gn-button-quiet gn-fold-head"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <ToolIcon />
        <code>{call.name}</code>
        <span class="gn-call-state">{words}</span>
      </button>
      {open && (
        <div class="gn-fold-body">
          <Part name="Arguments" text={written(call.arguments)} />
          {call.result !== undefined && (
            <Part name={call.state === "error" ? "Error" : "Result"} text={call.result} />
          )}
        </div>
      )}
    </div>
  );
}

function Approval({ call, store }: { call: Call; store: PanelStore }) {
  const obstacle = decisionObstacle(useStore(store), call.id);
  const answer = (allow: boolean) => ({
    "aria-disabled": obstacle !== null,
    title: obstacle ?? undefined,
    // The second click of a double click is not meant for the next question, which nobody has read yet.
    onClick: (event: MouseEvent) => event.detail <= 1 && store.decide(call.id, allow),
  });
  return (
    <div class="gn-approval" role="group" aria-label={`Permission for ${call.name}`}>
      <p dir="auto">
        <ToolIcon /> The model wants to call <code>{call.name}</code>.
      </p>
      <Part name="Arguments" text={written(call.arguments)} />
      <div class="gn-approval-foot">
        <button type="button" class="gn-button gn-button-solid" {...answer(true)}>
          Allow
        </button>
        <button type="button" class="gn-button gn-button-outline" {...answer(false)}>
          Deny
        </button>
      </div>
    </div>
  );
}

function Part({ name, text }: { name: string; text: string }) {
  return (
    <div class="gn-part">
      <span class="gn-muted">{name}</span>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre dir="auto" role="group" aria-label={name} tabIndex={0}>
        {text}
      </pre>
    </div>
  );
}

function written(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? "";
  return text.replace(UNSEEN, escaped).replace(GAPS, escaped);
}

/** What is not seen, or makes other characters stand elsewhere: who allows a call must see what it is called with. */
const UNSEEN = /(?![\n ])[\p{C}\p{Z}\u2800\p{Default_Ignorable_Code_Point}]/gu;

/** Spaces that are not those before a line: many of them push what stands behind them out of sight. */
const GAPS = /(?<=\S) {9,}/gu;

/** As JSON writes them. */
function escaped(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}
