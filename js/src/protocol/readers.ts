export type Fields = Record<string, unknown>;
export type Reader<T> = (value: unknown, name: string) => T;

/** A message that is not as the kernel writes it. */
export class Malformed extends Error {}

export function fields(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Malformed(`${name} is not an object`);
  }
  return value as Fields;
}

export function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw new Malformed(`${name} is not a string`);
  return value;
}

export function count(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new Malformed(`${name} is not a whole number`);
  }
  return value as number;
}

export function measure(value: unknown, name: string): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== "number")
    throw new Malformed(`${name} holds something that is not a number`);
  return value;
}

export function list<T>(value: unknown, name: string, read: Reader<T>): T[] {
  if (!Array.isArray(value)) throw new Malformed(`${name} is not a list`);
  return value.map((item, index) => read(item, `${name}[${index}]`));
}

export function oneOf<const T extends string>(allowed: readonly T[]): Reader<T> {
  return (value, name) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new Malformed(`${name} is ${JSON.stringify(value)}`);
    return found;
  };
}

/** `{name: value}` where the kernel gave one, `{}` where it left it out or said null. */
export function optional<K extends string, T>(
  name: K,
  value: unknown,
  read: Reader<T>,
): { [P in K]?: T } {
  if (value === undefined || value === null) return {};
  return { [name]: read(value, name) } as { [P in K]?: T };
}

export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw new Malformed(`${name} is neither true nor false`);
  return value;
}

export function number(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new Malformed(`${name} is not a number`);
  }
  return value;
}

/** What `read` reads, or null. */
export function nullable<T>(read: Reader<T>): Reader<T | null> {
  return (value, name) => (value === null || value === undefined ? null : read(value, name));
}
