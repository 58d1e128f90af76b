import { useRef, useState } from "preact/hooks";
import type { Model, OptionValues, Settings } from "../protocol";
import { type PanelState, type PanelStore, resetObstacle } from "../state";
import { Drawer } from "./drawer";
import { NumberField, SwitchField, TextField, wrongNumber } from "./fields";

interface Props {
  store: PanelStore;
  state: PanelState;
  close: () => void;
}

type NumberName = "top_k" | "temperature" | "top_p" | "random_seed" | "max_output_tokens";

/** The options as they stand in the fields. */
type Written = Omit<OptionValues, NumberName> & Record<NumberName, string>;

/** The options of the next chat. Nothing changes under a chat that is going on. */
export function SettingsDrawer({ store, state, close }: Props) {
  const { settings, model } = state;
  const [written, setWritten] = useState(() => write(settings.pending ?? settings.options));
  const [wrong, setWrong] = useState<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const set = (change: Partial<Written>) => {
    setWritten({ ...written, ...change });
    setWrong(null);
  };
  const changes = changed(settings.options, read(written));
  const isNew = Object.keys(changes).length > 0;
  const empty = state.messages.length === 0;
  const reset = resetObstacle(state);
  const usable = isNew && state.lost === null;
  const problem = wrong ?? state.settingsError;

  const apply = (now: boolean) => {
    const found = form.current ? wrongNumber(form.current) : undefined;
    setWrong(found?.why ?? null);
    if (found) found.input.focus();
    else store.setOptions(changes, now);
  };

  return (
    <Drawer title="Settings" close={close}>
      <form
        ref={form}
        class="gn-settings"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (usable) apply(empty);
        }}
      >
        <Fields written={written} set={set} settings={settings} model={model} />
        {problem !== null && (
          <p class="gn-notice gn-hint" role="alert" dir="auto">
            {problem}
          </p>
        )}
        <div class="gn-settings-foot">
          {empty ? (
            <button type="submit" class="gn-button gn-button-solid" aria-disabled={!usable}>
              Apply
            </button>
          ) : (
            <>
              <button
                type="button"
                class="gn-button gn-button-solid"
                aria-disabled={!usable || reset !== null}
                title={reset ?? "Ends this chat and frees its memory"}
                onClick={() => usable && reset === null && apply(true)}
              >
                Start a new chat with these
              </button>
              <button type="submit" class="gn-button gn-button-outline" aria-disabled={!usable}>
                Keep for the next chat
              </button>
            </>
          )}
          {settings.pending !== null && (
            <button
              type="button"
              class="gn-button gn-button-quiet"
              onClick={() => {
                set(write(settings.options));
                store.setOptions(null);
              }}
            >
              Discard changes
            </button>
          )}
        </div>
        <p class="gn-muted gn-hint" dir="auto">
          {settings.pending !== null
            ? "These changes wait for the next chat: this one goes on as it began."
            : "This chat goes on as it began; changes are for a new one."}
        </p>
      </form>
    </Drawer>
  );
}

interface FieldsProps {
  written: Written;
  set: (change: Partial<Written>) => void;
  settings: Settings;
  model: Model;
}

function Fields({ written, set, settings, model }: FieldsProps) {
  const greedy = written.top_k === "1";
  return (
    <>
      <TextField
        label="System instruction"
        value={written.system_instruction ?? ""}
        placeholder="What the model should know, or how it should behave"
        onChange={(text) => set({ system_instruction: text === "" ? null : text })}
      />
      <div class="gn-grid">
        <NumberField
          label="Top-k"
          text={written.top_k}
          min={1}
          step={1}
          onChange={(top_k) => set({ top_k })}
        />
        <NumberField
          label="Temperature"
          text={written.temperature}
          min={0}
          step={0.1}
          onChange={(temperature) => set({ temperature })}
        />
        <NumberField
          label="Top-p"
          text={written.top_p}
          min={0}
          max={1}
          step={0.05}
          placeholder="off"
          onChange={(top_p) => set({ top_p })}
        />
        <NumberField
          label="Seed"
          text={written.random_seed}
          min={0}
          step={1}
          onChange={(random_seed) => set({ random_seed })}
        />
        <NumberField
          label="Output limit (tokens)"
          text={written.max_output_tokens}
          min={1}
          step={1}
          placeholder="none"
          onChange={(max_output_tokens) => set({ max_output_tokens })}
        />
      </div>
      {greedy && (
        <p class="gn-muted gn-hint" dir="auto">
          With top-k 1 the likeliest token is taken each time: temperature, top-p and seed have no
          effect.
        </p>
      )}
      <SwitchField
        label="Thinking"
        value={written.enable_thinking}
        why={
          model.supports_thinking ? undefined : `${model.name} does not think before it answers.`
        }
        onChange={(on) => set({ enable_thinking: on })}
      />
      <SwitchField
        label={settings.tools.length > 0 ? `Tools: ${settings.tools.join(", ")}` : "Tools"}
        value={written.tools}
        why={whyNoTools(settings)}
        onChange={(on) => set({ tools: on })}
      />
      <p class="gn-muted gn-hint" dir="auto">
        {model.name}: {model.context_limit.toLocaleString("en")} tokens of context; takes{" "}
        {model.modalities.join(", ")}.{" "}
        {settings.context_policy === "trim"
          ? "When the context is full, the oldest turns are forgotten."
          : "When the context is full, a message is refused."}
      </p>
    </>
  );
}

/** Any model is told of tools, in its prompt where it is not made for them. */
function whyNoTools(settings: Settings): string | undefined {
  if (settings.tools.length > 0) return undefined;
  return "This chat was made without tools: give them to create_chat(tools=[…]).";
}

function write(options: OptionValues): Written {
  return {
    ...options,
    top_k: String(options.top_k),
    temperature: String(options.temperature),
    top_p: String(options.top_p ?? ""),
    random_seed: String(options.random_seed),
    max_output_tokens: String(options.max_output_tokens ?? ""),
  };
}

/** A field that must not be empty, and is, differs from every number. */
function read(written: Written): OptionValues {
  const number = (text: string) => (text === "" ? Number.NaN : Number(text));
  const orNull = (text: string) => (text === "" ? null : Number(text));
  return {
    ...written,
    top_k: number(written.top_k),
    temperature: number(written.temperature),
    top_p: orNull(written.top_p),
    random_seed: number(written.random_seed),
    max_output_tokens: orNull(written.max_output_tokens),
  };
}

function changed(old: OptionValues, values: OptionValues): Partial<OptionValues> {
  const entries = Object.entries(values) as [keyof OptionValues, unknown][];
  return Object.fromEntries(entries.filter(([name, value]) => value !== old[name]));
}
