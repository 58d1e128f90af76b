import { CloseIcon, WarningIcon } from "./icons";

interface Props {
  message: string;
  onRetry: (() => void) | null;
  onDismiss?: () => void;
}

/** An error where it happened, with what can be done about it. */
export function Notice({ message, onRetry, onDismiss }: Props) {
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
      {onDismiss && (
        <button
          type="button"
          class="gn-button gn-button-quiet"
          aria-label="Dismiss"
          onClick={onDismiss}
        >
          <CloseIcon />
        </button>
      )}
    </div>
  );
}
