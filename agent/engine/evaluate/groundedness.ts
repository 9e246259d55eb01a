/** English words that every text has, whatever it is about. */
const FUNCTION_WORDS = new Set(
  (
    'a about above after again all also am an and any are as at be because been before being below between both but ' +
    'by can could did do does doing down during each few for from further had has have having he her here hers him ' +
    'his how i if in into is it its itself just may me might more most must my no nor not now of off on once only or ' +
    'other our ours out over own same shall she should so some such than that the their theirs them then there these ' +
    'they this those through to too under until up very was we were what when where which while who whom why will ' +
    'with would you your yours s t re ve ll d m'
  ).split(' '),
);

const WORD = /[\p{L}\p{N}]+/gu;

/**
 * The share of an answer's different content words that its context lacks: 0 for an answer made of the context's own
 * words, 1 for one that shares none. Compares words as they are written, in lower case and without English function
 * words. It tells an invented name or number; it does not tell a denial from its claim, and takes a paraphrase for
 * something new. An answer without content words scores 0.
 */
export function ungroundedShare(answer: string, context: readonly string[]): number {
  const known = new Set<string>();
  for (const text of context) addWords(text, known);
  const said = new Set<string>();
  addWords(answer, said);
  if (said.size === 0) return 0;
  let missing = 0;
  for (const word of said) if (!known.has(word)) missing += 1;
  return missing / said.size;
}

function addWords(text: string, into: Set<string>): void {
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    if (!FUNCTION_WORDS.has(word)) into.add(word);
  }
}
