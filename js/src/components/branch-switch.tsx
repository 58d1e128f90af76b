import type { ChatMessage } from "../protocol";
import type { PanelStore } from "../state";
import { ChevronLeftIcon, ChevronRightIcon } from "./icons";

/** ‹1/2›: which of the alternatives this is, and the way to the others. */
export function BranchSwitch({ message, store }: { message: ChatMessage; store: PanelStore }) {
  const { branch, turn } = message;
  if (!branch) return null;
  const { index, count } = branch;
  return (
    <span class="gn-branch gn-back" role="group" aria-label={`Alternative ${index} of ${count}`}>
      <button
        type="button"
        class="gn-button gn-button-quiet"
        aria-label="Previous alternative"
        aria-disabled={index === 1}
        onClick={() => index > 1 && store.switchTo(turn, index - 1)}
      >
        <ChevronLeftIcon />
      </button>
      <span class="gn-muted">
        {index}/{count}
      </span>
      <button
        type="button"
        class="gn-button gn-button-quiet"
        aria-label="Next alternative"
        aria-disabled={index === count}
        onClick={() => index < count && store.switchTo(turn, index + 1)}
      >
        <ChevronRightIcon />
      </button>
    </span>
  );
}
