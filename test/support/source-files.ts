import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Import {
  /** As written for a package; for a file of ours its path from the root. */
  readonly target: string;
  readonly kind: 'value' | 'type';
}

export interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments: what the compiler reads. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Every TypeScript file below a folder of the repository. */
export function sourceFiles(folder: string): SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length).replaceAll('\\', '/'))
    .sort()
    .map((path) => readSource(path, readFileSync(join(ROOT, path), 'utf8')));
}

export function readSource(path: string, text: string): SourceFile {
  const code = withoutComments(text);
  return { path, text, code, imports: importsOf(path, code) };
}

/** A comment, or a literal that may hold what looks like one. Regular expressions with quotes are not told apart. */
const COMMENT_OR_LITERAL =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;

function withoutComments(text: string): string {
  return text.replace(COMMENT_OR_LITERAL, (found) => (found.startsWith('/') ? ' ' : found));
}

const STATEMENT = /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"]([^'"\n]+)['"]/gm;
const EXPRESSION = /\b(?:import|require)\(\s*['"]([^'"\n]+)['"]\s*\)(\.[A-Z])?/g;

function importsOf(path: string, code: string): Import[] {
  const imports: Import[] = [];
  const add = (specifier: string, kind: Import['kind']) => {
    const ours = specifier.startsWith('.');
    imports.push({ target: ours ? posix.join(dirname(path), specifier) : specifier, kind });
  };
  for (const [, type, specifier] of code.matchAll(STATEMENT)) {
    add(specifier, type === undefined ? 'value' : 'type');
  }
  // `import('x').Name` is a type; `await import('x')` loads a module.
  for (const [, specifier, type] of code.matchAll(EXPRESSION)) {
    add(specifier, type === undefined ? 'value' : 'type');
  }
  return imports;
}
