/** The panel with a scripted kernel, to work on its look: `npm run dev`. `?scene=` names one of SCENES. */
import { render } from "preact";
import { Panel } from "../src/components/panel";
import { FIRST, PanelHub } from "../src/state";
import { MemoryTransport } from "../src/transport/memory";
import { DevKernel } from "./kernel";
import { SCENES } from "./scenes";

const parameters = new URLSearchParams(location.search);
const transport = new MemoryTransport();
const kernels = new Map<string, DevKernel>();
let opened = 0;

function open(): string {
  const id = String(++opened);
  kernels.set(id, new DevKernel(transport, id === FIRST ? undefined : id));
  return id;
}

function tellChats(more: object) {
  const chats = [...kernels.keys()].map((id) => ({ id, name: `Chat ${id}` }));
  setTimeout(() => transport.receive({ type: "chats", chats, ...more }), 0);
}

transport.onSend = (message) => {
  switch (message.type) {
    case "chats_request":
      return tellChats({});
    case "open_chat":
      if (kernels.size < 3) return tellChats({ request: message.id, show: open() });
      return tellChats({
        request: message.id,
        error:
          "3 sessions are open and max_sessions=3; close one, or load with a higher max_sessions",
      });
    case "close_chat":
      kernels.delete(message.close);
      return tellChats({ request: message.id });
    default:
      kernels.get(message.chat ?? FIRST)?.take(message);
  }
};
transport.interrupt = () => {};

const first = kernels.get(open());
if (first) SCENES[parameters.get("scene") ?? "chat"]?.(first);
document.documentElement.dir = parameters.get("dir") ?? "ltr";
Object.assign(window, { transport });

const target = document.getElementById("panel");
if (target) render(<Panel hub={new PanelHub(transport)} />, target);
