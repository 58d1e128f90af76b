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
  /** As it is being written: half a number is none yet. */
  text: string;
  min: number;
  max?: number;
  /** What the arrow keys add; 1: it is a whole number. */
  step: number;
  /** Given where the field may be empty. */
  placeholder?: string;
  onChange: (text: string) => void;
}

export function NumberField({ label, text, onChange, ...input }: NumberProps) {
  const id = useId();
  return (
    <div class="gn-field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputMode="decimal"
        value={text}
        required={input.placeholder === undefined}
        {...input}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </div>
  );
}

/** The first number of a form that cannot be taken, and why; undefined when all can. */
export function wrongNumber(
  form: HTMLFormElement,
): { input: HTMLInputElement; why: string } | undefined {
  const inputs = [...form.querySelectorAll<HTMLInputElement>("input[type=number]")];
  const input = inputs.find(({ validity, step }) => {
    // Of a number that need not be whole, the step is a convenience of the arrow keys.
    return !validity.valid && !(validity.stepMismatch && step !== "1" && isWithin(validity));
  });
  if (!input) return undefined;
  const { min, max, step, required } = input;
  const what = step === "1" ? "a whole number" : "a number";
  const range = max === "" ? `of at least ${min}` : `from ${min} to ${max}`;
  const name = input.labels?.[0]?.textContent ?? "This";
  return { input, why: `${name} must be ${what} ${range}${required ? "" : ", or empty"}.` };
}

function isWithin({ rangeUnderflow, rangeOverflow }: ValidityState): boolean {
  return !rangeUnderflow && !rangeOverflow;
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
