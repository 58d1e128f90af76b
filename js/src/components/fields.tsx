/** The controls of a form. One that is disabled says why. */
import { useId } from "preact/hooks";

interface TextProps {
  label: string;
  value: string;
  placeholder?: string;
  onChange: (text: string) => void;
}

export function TextField({ label, value, placeholder, onChange }: TextProps) {
  const id = useId();
  return (
    <div class="gn-field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={3}
        dir="auto"
        value={value}
        placeholder={placeholder}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </div>
  );
}

interface NumberProps {
  label: string;
  value: number | null;
  min: number;
  max?: number;
  step: number;
  placeholder?: string;
  onChange: (value: number | null) => void;
}

export function NumberField({ label, value, onChange, ...input }: NumberProps) {
  const id = useId();
  return (
    <div class="gn-field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputMode="decimal"
        value={value ?? ""}
        {...input}
        onInput={({ currentTarget }) =>
          onChange(Number.isNaN(currentTarget.valueAsNumber) ? null : currentTarget.valueAsNumber)
        }
      />
    </div>
  );
}

interface SwitchProps {
  label: string;
  value: boolean;
  /** Why it cannot be changed; undefined when it can. */
  why: string | undefined;
  onChange: (on: boolean) => void;
}

export function SwitchField({ label, value, why, onChange }: SwitchProps) {
  const id = useId();
  return (
    <div class="gn-field gn-switch">
      <label for={id}>
        <input
          id={id}
          type="checkbox"
          role="switch"
          checked={value}
          aria-checked={value}
          aria-disabled={why !== undefined}
          aria-describedby={why === undefined ? undefined : `${id}-why`}
          onClick={(event) => {
            if (why !== undefined) event.preventDefault();
          }}
          onChange={(event) => why === undefined && onChange(event.currentTarget.checked)}
        />
        {label}
      </label>
      {why !== undefined && (
        <span id={`${id}-why`} class="gn-muted gn-hint" dir="auto">
          {why}
        </span>
      )}
    </div>
  );
}
