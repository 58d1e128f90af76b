export * from "./describe";
export * from "./files";
export { FIRST, type HubState, PanelHub } from "./hub";
export { reduce } from "./reducer";
export * from "./state";
export { PanelStore } from "./store";
