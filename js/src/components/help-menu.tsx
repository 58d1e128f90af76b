import { KeyboardIcon } from "./icons";
import { Popover } from "./popover";
import { shortcuts } from "./shortcuts";

export function HelpMenu() {
  return (
    <Popover label="Keyboard shortcuts" icon={<KeyboardIcon />}>
      {() => (
        <dl class="gn-keys">
          {shortcuts().map(([keys, what]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      )}
    </Popover>
  );
}
