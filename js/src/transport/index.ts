export { AnywidgetTransport } from "./anywidget";
export type { Transport } from "./transport";
