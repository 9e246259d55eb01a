import type { ModelView, VersionView } from '../http/models.ts';
import type { Context } from './context.ts';
import { table } from './terminal.ts';
import { showTime } from './values.ts';

type Page = ModelView & { versions: { items: VersionView[]; next: string | null } };

export async function modelList({ client, terminal }: Context): Promise<void> {
  const models = await client.list<ModelView>('/api/v1/models');
  const pages = await Promise.all(
    models.map(({ name }) => client.get<Page>(`/api/v1/models/${encodeURIComponent(name)}`)),
  );
  const versions = pages.flatMap((page) => page.versions.items);
  terminal.result(
    versions.map(({ model, version, manifest, createdAt, createdBy }) => {
      return { model, version, manifest, createdAt, createdBy };
    }),
  );
  if (versions.length === 0) {
    terminal.say('no models yet: driftline model push FILE --name MODEL --baseline data.csv');
    return;
  }
  const rows = versions.map((row) => [
    terminal.paint('bold', `${row.model}@${row.version}`),
    row.document.task,
    `${row.document.features.length} features`,
    row.document.files.some((file) => file.role === 'profile') ? 'profile' : 'no profile',
    showTime(row.createdAt),
    row.createdBy.replace(/^token:/, ''),
    terminal.paint('dim', row.manifest.slice(0, 19)),
  ]);
  terminal.say(table(rows));
}
