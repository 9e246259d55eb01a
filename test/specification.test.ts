import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, type SourceFile, sourceFiles } from './support/source-files.ts';

/** A rule is a list item that begins with its ID in bold. */
const RULE = /^- \*\*([A-Z]+-\d+)\*\* /gm;
/** The title of a test or group, and what `.each` of a table is followed by. */
const TITLE =
  /\b(?:it|test|describe)\b[^\n]*?\(\s*(['"`])((?:\\.|(?!\1).)+)\1|\]\)\(\s*(['"`])((?:\\.|(?!\3).)+)\3/g;

function rulesOf(text: string): string[] {
  return [...text.matchAll(RULE)].map(([, id]) => id);
}

/** IDs in titles: words of a family that the specification has. */
function idsInTitles(
  files: readonly SourceFile[],
  families: ReadonlySet<string>,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const { path, code } of files) {
    for (const match of code.matchAll(TITLE)) {
      const title = match[2] ?? match[4];
      for (const [id] of title.matchAll(/\b[A-Z]+-\d+\b/g)) {
        if (families.has(id.split('-')[0])) found.set(id, path);
      }
    }
  }
  return found;
}

function gaps(rules: readonly string[], tests: readonly SourceFile[]) {
  const titles = idsInTitles(tests, new Set(rules.map((id) => id.split('-')[0])));
  return {
    untested: rules.filter((id) => !titles.has(id)),
    unknown: [...titles]
      .filter(([id]) => !rules.includes(id))
      .map(([id, path]) => `${path}: ${id}`),
  };
}

const SPECIFICATION = readFileSync(join(ROOT, 'protocol/PROTOCOL.md'), 'utf8');
const RULES = rulesOf(SPECIFICATION);

describe('the specification of the protocol', () => {
  it('has rules, each ID once', () => {
    expect(RULES.length).toBeGreaterThan(30);
    expect(RULES).toEqual([...new Set(RULES)]);
  });

  it('has a test for every rule, and a rule for every ID in a title', () => {
    const tests = sourceFiles('test').filter(
      ({ path }) => path.endsWith('.test.ts') && path !== 'test/specification.test.ts',
    );
    expect(gaps(RULES, tests)).toEqual({ untested: [], unknown: [] });
  });
});

describe('the test of the specification', () => {
  const file = (code: string): SourceFile => ({
    path: 'test/x.test.ts',
    text: code,
    code,
    imports: [],
  });

  it('finds a rule without a test and a title without a rule', () => {
    const rules = rulesOf('- **WIRE-1** One.\n- **WIRE-2** Two.\ntext **WIRE-9** text\n');
    const tests = [
      file("it('WIRE-1: a', () => {});\nit.each([\n  [1],\n])('WIRE-7: %i', () => {});"),
    ];
    expect(gaps(rules, tests)).toEqual({
      untested: ['WIRE-2'],
      unknown: ['test/x.test.ts: WIRE-7'],
    });
  });

  it('takes words like SHA-256 for what they are', () => {
    expect(gaps(['WIRE-1'], [file("describe('WIRE-1: hashed by SHA-256', () => {})")])).toEqual({
      untested: [],
      unknown: [],
    });
  });
});
