export * from "./describe";
export { reduce } from "./reducer";
export * from "./state";
export { PanelStore } from "./store";
