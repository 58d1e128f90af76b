import { CloseIcon, WarningIcon } from "./icons";

interface Props {
  message: string;
  /** It was there before it came onto the page, as when somebody scrolls back to it: it is not read out again. */
  old?: boolean;
  onRetry: (() => void) | null;
  onDismiss?: () => void;
}

/** An error where it happened, with what can be done about it. */
export function Notice({ message, old = false, onRetry, onDismiss }: Props) {
  return (
    <div class="gn-notice" {...(old ? {} : { role: "alert" })}>
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
