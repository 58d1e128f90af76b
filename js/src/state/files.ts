/** Files on their way to the model, and files for the user to keep. */
import type { FileInfo } from "../protocol";

/** A file that will go with the next prompt. */
export interface Attached {
  name: string;
  type: string;
  data: ArrayBuffer;
}

export interface SavedFile {
  name: string;
  type: string;
  text: string;
}

/** What one message to the kernel may hold; the notebook server's limit is 10 MiB. */
export const MOST_BYTES = 8 * 1024 * 1024;

/** Hands a text to the browser's downloads. */
export function saveFile(file: SavedFile): void {
  const url = URL.createObjectURL(new Blob([file.text], { type: file.type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** What is shown of files that are on their way. */
export function fileInfos(files: readonly Attached[]): FileInfo[] {
  return files.map(({ name, type, data }) => ({ name, type, size: data.byteLength }));
}

/** Why `files` cannot be sent beside `attached` to a model of these modalities; null when they can. */
export function attachObstacle(
  files: readonly { name: string; type: string; size: number }[],
  attached: readonly Attached[],
  modalities: readonly string[],
): string | null {
  for (const { name, type } of files) {
    const needs = modalityOf(type);
    if (needs === null) return `${name} is neither an image nor a sound.`;
    if (!modalities.includes(needs)) {
      return `The model takes no ${needs === "vision" ? "images" : "sound"}: ${name} was left out.`;
    }
  }
  const size =
    files.reduce((sum, f) => sum + f.size, 0) +
    attached.reduce((sum, f) => sum + f.data.byteLength, 0);
  return size > MOST_BYTES ? "The files are too large: 8 MB can be sent at once." : null;
}

function modalityOf(type: string): "vision" | "audio" | null {
  if (type.startsWith("image/")) return "vision";
  return type.startsWith("audio/") ? "audio" : null;
}
