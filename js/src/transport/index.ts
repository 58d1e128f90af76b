export { AnywidgetTransport } from "./anywidget";
export { ChatTransport } from "./chat";
export type { Transport } from "./transport";
