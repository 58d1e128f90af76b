import { useEffect } from "preact/hooks";
import type { HandleLife, HoodMessage } from "../protocol";
import type { PanelState, PanelStore } from "../state";
import { Drawer } from "./drawer";

interface Props {
  store: PanelStore;
  state: PanelState;
  close: () => void;
}

/** Every native conversation handle with its life: people shall see that a reset frees the state. */
export function HoodDrawer({ store, state, close }: Props) {
  const { handle, handles, status, context } = state;
  // Whenever something may have happened to a handle.
  const news = [
    handle,
    handles.created,
    handles.closed,
    handles.checkpoints,
    status,
    context.tokens,
  ];
  useEffect(() => store.lookUnderTheHood(), [store, news.join()]);
  return (
    <Drawer title="Under the hood" close={close}>
      <dl class="gn-counts">
        <Count name="Created" value={handles.created} />
        <Count name="Closed" value={handles.closed} />
        <Count name="Live" value={handles.live} strong />
        <Count name="Checkpoints" value={handles.checkpoints} />
      </dl>
      <h3>Conversation handles, latest first</h3>
      {state.hood ? (
        <Lives hood={state.hood} />
      ) : (
        <p class="gn-muted" dir="auto">
          Asking the kernel…
        </p>
      )}
      <p class="gn-muted gn-hint" dir="auto">
        Each handle is a conversation in the engine, with a KV cache of its own. A reset closes this
        chat's handle and creates another: what was said is gone from memory, not only from the
        screen.
      </p>
    </Drawer>
  );
}

function Count({ name, value, strong = false }: { name: string; value: number; strong?: boolean }) {
  return (
    <div data-strong={strong}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Lives({ hood }: { hood: HoodMessage }) {
  const { lives, earlier } = hood;
  const begin = lives[0]?.created_s ?? 0;
  const span = Math.max(hood.now_s - begin, 0.001);
  return (
    <table class="gn-lives">
      <caption class="gn-muted" dir="auto">
        {earlier > 0 && `${earlier} earlier handles are not shown. `}
        From {seconds(0)} to {seconds(span)}.
      </caption>
      <thead>
        <tr>
          <th scope="col">Handle</th>
          <th scope="col">State</th>
          <th scope="col">Tokens</th>
          <th scope="col" class="gn-wide">
            Sends
          </th>
          <th scope="col" class="gn-life-head">
            Life
          </th>
        </tr>
      </thead>
      <tbody>
        {lives.toReversed().map((life) => (
          <Life key={life.handle} life={life} begin={begin} span={span} />
        ))}
      </tbody>
    </table>
  );
}

function Life({ life, begin, span }: { life: HandleLife; begin: number; span: number }) {
  const closed = life.closed_s ?? begin + span;
  const spent = Math.min(life.spent_s ?? closed, closed);
  const at = (time: number) => `${(100 * (time - begin)) / span}%`;
  const words = story(life, begin);
  return (
    <tr data-live={life.closed_s === null} data-current={life.current}>
      <th scope="row">
        {life.handle}
        {life.checkpoints > 0 &&
          ` (+${life.checkpoints} checkpoint${life.checkpoints === 1 ? "" : "s"})`}
      </th>
      <td>{stateOf(life)}</td>
      <td>{life.tokens ?? "–"}</td>
      <td class="gn-wide">{life.sends}</td>
      <td class="gn-life" title={words}>
        <span class="gn-sr">{words}</span>
        <span class="gn-life-track" aria-hidden="true">
          <i
            class="gn-life-open"
            style={{
              insetInlineStart: at(life.created_s),
              width: `max(3px, ${at(begin + spent - life.created_s)})`,
            }}
          />
          {spent < closed && (
            <i
              class="gn-life-spent"
              style={{ insetInlineStart: at(spent), width: at(begin + closed - spent) }}
            />
          )}
        </span>
      </td>
    </tr>
  );
}

function stateOf(life: HandleLife): string {
  if (life.closed_s !== null) return "closed";
  if (life.spent_s !== null) return "spent";
  return life.current ? "live, this chat" : "live";
}

/** A handle's life in words: what the bar shows. */
function story(life: HandleLife, begin: number): string {
  const parts = [`created at ${seconds(life.created_s - begin)}`];
  if (life.spent_s !== null) {
    parts.push(`spent at ${seconds(life.spent_s - begin)}${life.end ? ` (${life.end})` : ""}`);
  }
  parts.push(
    life.closed_s === null ? "alive" : `closed at ${seconds(life.closed_s - begin)}, memory freed`,
  );
  return parts.join(", ");
}

function seconds(value: number): string {
  return value < 100 ? `${value.toFixed(1)} s` : `${Math.round(value / 60)} min`;
}
