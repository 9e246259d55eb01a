/** Parameters of a request as its transport gives them: the object of its JSON, or the map of its message. */
export type RequestParameters = object;

/** The value of a parameter; null when it is not given. */
export function parameterOf(parameters: RequestParameters | null, name: string): unknown {
  if (parameters === null) return null;
  if (parameters instanceof Map) return parameters.get(name) ?? null;
  return Object.hasOwn(parameters, name) ? (Reflect.get(parameters, name) ?? null) : null;
}
