import { useRef } from "preact/hooks";
import type { ExportFormat } from "../protocol";
import { type PanelState, type PanelStore, sendObstacle } from "../state";
import { ExportIcon } from "./icons";
import { Popover } from "./popover";

const FORMATS: [ExportFormat, string][] = [
  ["markdown", "Markdown"],
  ["html", "HTML"],
  ["json", "JSON"],
];

/** The chat as a file, and a file as a new chat. */
export function ExportMenu({ store, state }: { store: PanelStore; state: PanelState }) {
  const picker = useRef<HTMLInputElement>(null);
  const nothing = state.messages.length === 0;
  const gone = state.lost !== null;
  const why = gone ? "The kernel is gone." : nothing ? "There is nothing to save yet." : null;
  const busy = sendObstacle(state);
  return (
    <Popover label="Export" icon={<ExportIcon />}>
      {(close) => (
        <div class="gn-menu">
          {FORMATS.map(([format, name]) => (
            <button
              key={format}
              type="button"
              class="gn-button"
              aria-disabled={why !== null}
              title={why ?? `Save this chat as ${name}`}
              onClick={() => {
                if (why !== null) return;
                store.exportChat(format);
                close();
              }}
            >
              {name}
            </button>
          ))}
          <hr />
          <button
            type="button"
            class="gn-button"
            aria-disabled={busy !== null}
            title={busy ?? "Begin a new chat with what a JSON file says"}
            onClick={() => busy === null && picker.current?.click()}
          >
            Import JSON…
          </button>
          <input
            ref={picker}
            type="file"
            accept="application/json,.json"
            hidden
            aria-label="File to import"
            onChange={async (event) => {
              const file = event.currentTarget.files?.[0];
              if (!file) return;
              store.importChat(await file.text());
              close();
            }}
          />
          {nothing ? null : <p class="gn-muted gn-hint">An import takes the place of this chat.</p>}
        </div>
      )}
    </Popover>
  );
}
