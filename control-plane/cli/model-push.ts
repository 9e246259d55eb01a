import type { Context } from './context.ts';
import { pushModel } from './push.ts';
import { bar } from './terminal.ts';

export interface ModelPushOptions {
  readonly name: string;
  readonly baseline?: string;
  readonly manifest?: string;
  readonly pipeline?: boolean;
}

const BAR_WIDTH = 24;

export async function modelPush(
  { client, terminal }: Context,
  file: string,
  options: ModelPushOptions,
) {
  const { name: model, baseline = null, manifest = null, pipeline = false } = options;
  const request = { model, file, baseline, manifest, pipeline };
  const pushed = await pushModel(client, request, (what, done, of) => {
    const percent = Math.floor((100 * done) / of);
    terminal.progress(`${what.padEnd(8)} ${bar(done / of, BAR_WIDTH)} ${percent} %`);
  });
  terminal.progressDone();
  for (const warning of pushed.warnings) {
    terminal.warn(`${terminal.paint('yellow', 'warning')} ${warning}`);
  }
  terminal.result(pushed);
  const { version, baselineRows, sentBytes } = pushed;
  const sent =
    sentBytes === 0 ? 'nothing to upload' : `${sentBytes.toLocaleString('en')} bytes sent`;
  const profile = baseline === null ? 'no baseline' : `baseline of ${baselineRows} rows`;
  terminal.say(`${terminal.paint('bold', `${pushed.model}@${version}`)}  ${sent}, ${profile}`);
  terminal.say(terminal.paint('dim', pushed.manifest));
  if (pushed.released) return;
  const name = `${pushed.model}@${version}`;
  terminal.say(`not released yet: driftline keys sign-release ${name} --key FILE`);
}
