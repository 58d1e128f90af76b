export * from "./messages";
export { parseKernelMessage } from "./parse";
