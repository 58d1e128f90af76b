export { Gradually, Markdown } from "./markdown";
