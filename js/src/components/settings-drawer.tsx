import { useState } from "preact/hooks";
import type { Model, OptionValues, Settings } from "../protocol";
import { type PanelState, type PanelStore, resetObstacle } from "../state";
import { Drawer } from "./drawer";
import { NumberField, SwitchField, TextField } from "./fields";

interface Props {
  store: PanelStore;
  state: PanelState;
  close: () => void;
}

/** The options of the next chat. Nothing changes under a chat that is going on. */
export function SettingsDrawer({ store, state, close }: Props) {
  const { settings, model } = state;
  const [values, setValues] = useState<OptionValues>(settings.pending ?? settings.options);
  const set = (change: Partial<OptionValues>) => setValues({ ...values, ...change });
  const changes = changed(settings.options, values);
  const isNew = Object.keys(changes).length > 0;
  const empty = state.messages.length === 0;
  const reset = resetObstacle(state);
  const usable = isNew && state.lost === null;

  return (
    <Drawer title="Settings" close={close}>
      <form
        class="gn-settings"
        onSubmit={(event) => {
          event.preventDefault();
          if (usable) store.setOptions(changes, empty);
        }}
      >
        <Fields values={values} set={set} settings={settings} model={model} />
        {state.settingsError !== null && (
          <p class="gn-notice gn-hint" role="alert" dir="auto">
            {state.settingsError}
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
                onClick={() => usable && reset === null && store.setOptions(changes, true)}
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
                setValues(settings.options);
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
  values: OptionValues;
  set: (change: Partial<OptionValues>) => void;
  settings: Settings;
  model: Model;
}

function Fields({ values, set, settings, model }: FieldsProps) {
  const greedy = values.top_k === 1;
  return (
    <>
      <TextField
        label="System instruction"
        value={values.system_instruction ?? ""}
        placeholder="What the model should know, or how it should behave"
        onChange={(text) => set({ system_instruction: text === "" ? null : text })}
      />
      <div class="gn-grid">
        <NumberField
          label="Top-k"
          value={values.top_k}
          min={1}
          step={1}
          onChange={(n) => set({ top_k: n ?? 1 })}
        />
        <NumberField
          label="Temperature"
          value={values.temperature}
          min={0}
          step={0.1}
          onChange={(n) => set({ temperature: n ?? 0 })}
        />
        <NumberField
          label="Top-p"
          value={values.top_p}
          min={0}
          max={1}
          step={0.05}
          placeholder="off"
          onChange={(n) => set({ top_p: n })}
        />
        <NumberField
          label="Seed"
          value={values.random_seed}
          min={0}
          step={1}
          onChange={(n) => set({ random_seed: n ?? 0 })}
        />
        <NumberField
          label="Output limit (tokens)"
          value={values.max_output_tokens}
          min={1}
          step={1}
          placeholder="none"
          onChange={(n) => set({ max_output_tokens: n })}
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
        value={values.enable_thinking}
        why={
          model.supports_thinking ? undefined : `${model.name} does not think before it answers.`
        }
        onChange={(on) => set({ enable_thinking: on })}
      />
      <SwitchField
        label={settings.tools.length > 0 ? `Tools: ${settings.tools.join(", ")}` : "Tools"}
        value={values.tools}
        why={whyNoTools(settings, model)}
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

function whyNoTools(settings: Settings, model: Model): string | undefined {
  if (settings.tools.length > 0) return undefined;
  return model.supports_tools
    ? "This chat was made without tools: give them to create_chat(tools=[…])."
    : `${model.name} does not call tools.`;
}

function changed(old: OptionValues, values: OptionValues): Partial<OptionValues> {
  const entries = Object.entries(values) as [keyof OptionValues, unknown][];
  return Object.fromEntries(entries.filter(([name, value]) => value !== old[name]));
}
