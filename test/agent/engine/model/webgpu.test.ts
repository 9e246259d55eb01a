import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyModel } from '../../../../bench/support/models.ts';
import { temporaryFolder } from '../../../support/mortgage.ts';
import { randomRows, seeded } from '../../../support/random-models.ts';
import { ROOT } from '../../../support/source-files.ts';
import { describeModel } from './admitted.ts';

/** SwiftShader, which comes with Debian's chromium, runs Vulkan on the CPU; a machine with a GPU has a driver of its own. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const DRIVER_FOLDERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
const LOADERS = [
  '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
  '/usr/lib/aarch64-linux-gnu/libvulkan.so.1',
];

function vulkanDriver(): string | null {
  if (!LOADERS.some(existsSync)) return null;
  if (existsSync(SWIFTSHADER)) return SWIFTSHADER;
  const installed = DRIVER_FOLDERS.filter(existsSync).flatMap((folder) =>
    readdirSync(folder).map((file) => join(folder, file)),
  );
  return installed.find((file) => /nvidia|lvp/.test(file)) ?? null;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const urlOf = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);

/** In a process of its own: a driver that crashes takes its process along. */
async function admitInChild(files: unknown, driver: string): Promise<string> {
  const code = `
    const { admit } = await import(${urlOf('dist/agent/engine/model/admission.js')});
    const { createNodeRuntime } = await import(${urlOf('dist/agent/engine/model/runtime-node.js')});
    const model = { files: ${JSON.stringify(files)}, execution: { providers: ['webgpu', 'cpu'] } };
    const slot = await admit(await createNodeRuntime(), model, { cores: 1, engines: 1 });
    const data = new Float32Array(48).fill(0.25);
    const x = { datatype: 'FP32', shape: [3, 16], data };
    const outputs = await slot.session.run(new Map([['x', x]]));
    await slot.retire();
    const { placement, rowsIndependent } = slot;
    const y = Array.from(outputs.get('y').data);
    process.stdout.write(JSON.stringify({ placement, rowsIndependent, y }));`;
  const env = { ...process.env, VK_DRIVER_FILES: driver };
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
    env,
  });
  const { stdout } = await run.catch((error: Error & { code?: unknown; signal?: unknown }) => {
    const how = error.signal ? `was killed by ${error.signal}` : `ended with code ${error.code}`;
    throw new Error(`the process that runs the model on webgpu ${how}: ${error.message}`);
  });
  return stdout;
}

describe('the webgpu provider', () => {
  it('GOLDEN-1: takes a model whose golden vectors come from the CPU, and says what it runs', async (ctx) => {
    const driver = vulkanDriver();
    if (driver === null) {
      return ctx.skip(
        `no Vulkan driver (looked for ${SWIFTSHADER}): apt install chromium libvulkan1`,
      );
    }
    const data = randomRows(4, 16, seeded(1));
    const x = { datatype: 'FP32' as const, shape: [4, 16], data };
    const files = await describeModel(folder.path, 'tiny', tinyModel(), new Map([['x', x]]));
    const { placement, rowsIndependent, y } = JSON.parse(await admitInChild(files, driver));
    expect(placement).toMatchObject({ kind: 'worker', provider: 'webgpu', refused: [] });
    expect(placement.nodes.WebGpuExecutionProvider).toBeGreaterThan(0);
    expect(rowsIndependent).toBe(true);
    expect(y).toHaveLength(6);
    expect(y.slice(0, 2)).toEqual(y.slice(2, 4));
  }, 60_000);
});
