import { WarningIcon } from "./icons";

/** An error where it happened, with what can be done about it. */
export function Notice({ message, onRetry }: { message: string; onRetry: (() => void) | null }) {
  return (
    <div class="gn-notice" role="alert">
      <WarningIcon />
      <span class="gn-notice-text" dir="auto">
        {message}
      </span>
      {onRetry && (
        <button type="button" class="gn-button gn-button-outline" onClick={onRetry}>
          Retry
        </button>
      )}
    </div>
  );
}
