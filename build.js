/**
 * Second half of `npm run build`, after the compiler: joins the agent into one program, `dist/agent/program/main.js`, and
 * what a page needs into one file, `dist/agent/program/page.js`.
 * An agent is two processes that mostly wait, and 250 modules read one by one cost each of them 6 MB more than one
 * file does.
 */
import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));

const MIGRATIONS = 'control-plane/store/migrations';
cpSync(MIGRATIONS, `dist/${MIGRATIONS}`, { recursive: true });

const PROGRAM = 'dist/agent/program';
rmSync(PROGRAM, { recursive: true, force: true });
await build({
  entryPoints: {
    // In a file of its own, because it must run before everything else is loaded.
    heap: 'agent/heap.ts',
    main: 'agent/main.ts',
    // A thread starts from a file of its own, which the program looks for beside itself.
    'thread-main': 'agent/engine/model/thread/thread-main.ts',
  },
  outdir: PROGRAM,
  bundle: true,
  splitting: true,
  minifyWhitespace: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  // Native modules load their own files.
  external: ['onnxruntime-node', 'msgpackr-extract', 'bufferutil', 'utf-8-validate'],
  // Packages in CommonJS ask for node's own modules by a `require` that a module does not have.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module';const require=requireOf(import.meta.url);",
  },
  logLevel: 'warning',
});

// A page reads modules over the network: one file, and nothing of node in it, or this fails.
await build({
  entryPoints: { page: 'agent/browser/page-host.ts' },
  outdir: PROGRAM,
  bundle: true,
  minify: true,
  platform: 'browser',
  target: 'es2022',
  format: 'esm',
  // zod brings its messages in fifty languages: half of the file.
  plugins: [
    {
      name: 'english',
      setup: ({ onResolve }) => {
        onResolve({ filter: /\/locales\/index\.js$/ }, ({ path, resolveDir }) => ({
          path: join(resolveDir, dirname(path), 'en.js'),
        }));
      },
    },
  ],
  logLevel: 'warning',
});
