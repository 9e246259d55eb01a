/** Parameters of a request as its transport gives them: the object of its JSON, or the map of its message. */
export type RequestParameters = object;

/** The value of a parameter; null when it is not given. */
export function parameterOf(parameters: RequestParameters | null, name: string): unknown {
  if (parameters === null) return null;
  if (parameters instanceof Map) return parameters.get(name) ?? null;
  // A plain load, which the compiler knows; `Reflect.get` is a call.
  const given = parameters as Readonly<Record<string, unknown>>;
  return Object.hasOwn(given, name) ? (given[name] ?? null) : null;
}
