export { AnywidgetTransport } from "./anywidget";
export type { KernelState, Transport } from "./transport";
