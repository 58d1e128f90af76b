/** The old object wherever the new one says the same, so that what is unchanged is not rendered again. */
export function share<T>(old: T | undefined, now: T): T {
  if (old === now || old === undefined) return now;
  if (Array.isArray(now) && Array.isArray(old)) {
    const shared = now.map((item, i) => share(old[i], item));
    const same = old.length === now.length && shared.every((item, i) => item === old[i]);
    return same ? old : (shared as T);
  }
  if (!isObject(old) || !isObject(now) || old.type !== now.type) return now;
  const shared = Object.fromEntries(
    Object.entries(now).map(([key, value]) => [key, share(old[key], value)]),
  );
  const same = Object.keys(shared).every((key) => shared[key] === old[key]);
  return same && Object.keys(old).length === Object.keys(shared).length ? old : (shared as T);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
