/** Enough of a prompt to know it by. */
export function beginning(text: string): string {
  const letters = [...text];
  return letters.length > 60 ? `${letters.slice(0, 60).join("")}…` : text;
}
