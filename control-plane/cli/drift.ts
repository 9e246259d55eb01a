import type { DriftView } from '../http/services.ts';
import type { Context } from './context.ts';
import { bar, type Colour, table } from './terminal.ts';

const COLOURS: Record<DriftView['verdict'], Colour> = {
  ok: 'green',
  watch: 'yellow',
  alert: 'red',
  insufficient: 'dim',
};
const BAR_WIDTH = 20;
/** Debiased PSI at which the bar is full: five times what raises an alert. */
const BAR_PSI = 0.5;

export async function drift({ client, terminal }: Context, name: string): Promise<void> {
  const view = await client.get<DriftView>(`/api/v1/deployments/${encodeURIComponent(name)}/drift`);
  terminal.result(view);
  const paintVerdict = (verdict: DriftView['verdict']) => terminal.paint(COLOURS[verdict], verdict);
  const { model, version, verdict } = view;
  terminal.say(
    `${terminal.paint('bold', name)}  ${model}@${version} against its baseline: ${paintVerdict(verdict)}\n`,
  );
  const rows = view.streams.map((stream) => [
    stream.name,
    terminal.paint(COLOURS[stream.verdict], bar((stream.debiasedPsi ?? 0) / BAR_PSI, BAR_WIDTH)),
    stream.debiasedPsi === null ? '' : Math.max(0, stream.debiasedPsi).toFixed(3),
    stream.rows === 0 ? '' : `${stream.rows} rows`,
    paintVerdict(stream.verdict),
  ]);
  const head = ['stream', '', 'PSI', 'latest', ''].map((text) => terminal.paint('dim', text));
  terminal.say(table([head, ...rows]));
}
