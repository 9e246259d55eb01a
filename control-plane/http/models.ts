import { z } from 'zod';
import {
  digestSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';
import { manifestSchema } from '../../protocol/manifest.ts';
import { ControlError } from '../error.ts';
import { pushVersion } from '../registry/push-version.ts';
import type { Blobs } from '../store/blobs.ts';
import type { Store } from '../store/database.ts';
import { findModel, findVersion, listModels, listVersions } from '../store/models.ts';
import type { Trust } from '../trust/trust.ts';
import { type Api, answers, takes } from './api.ts';
import { numberedPageQuery, pageQuery, pageSchema } from './paging.ts';

export interface ModelDeps {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly trust: Trust;
  readonly now: () => number;
}

const modelSchema = z.object({
  name: nameSchema,
  latest: versionNumberSchema,
  createdAt: timestampSchema,
});
const versionSchema = z.object({
  model: nameSchema,
  version: versionNumberSchema,
  /** The version's identity: digest of its manifest. */
  manifest: digestSchema,
  document: manifestSchema,
  createdAt: timestampSchema,
  createdBy: z.string(),
  awaitsRelease: z
    .boolean()
    .describe('Nobody with the release keys has signed it: it can not be deployed yet.'),
});
export type ModelView = z.infer<typeof modelSchema>;
export type VersionView = z.infer<typeof versionSchema>;
const pushedSchema = versionSchema
  .pick({ model: true, version: true, manifest: true })
  .extend({ released: z.boolean() });
const params = z.object({ model: nameSchema });

export function mountModels(api: Api, deps: ModelDeps): void {
  api.route(
    'registry:write',
    {
      method: 'post',
      path: '/api/v1/models/{model}/versions',
      summary: 'Register the version that an uploaded manifest describes',
      request: { params, body: takes(z.strictObject({ manifest: digestSchema })) },
      responses: {
        200: answers(pushedSchema, 'This manifest is a version already'),
        201: answers(pushedSchema, 'A new version'),
      },
    },
    async (c) => {
      const { store, blobs, trust, now } = deps;
      const { model } = c.req.valid('param');
      const { manifest } = c.req.valid('json');
      const { actor } = c.get('caller');
      const { row, created } = await pushVersion(store, blobs, model, manifest, actor, now());
      await trust.pushed(row, now());
      const released = trust.releasesOf([manifest]).length > 0;
      return c.json({ model, version: row.version, manifest, released }, created ? 201 : 200);
    },
  );
  mountReads(api, deps.store);
}

function mountReads(api: Api, store: Store): void {
  api.route(
    'registry:read',
    {
      method: 'get',
      path: '/api/v1/models',
      summary: 'All models, by name',
      request: { query: z.object(pageQuery) },
      responses: { 200: answers(pageSchema(modelSchema), 'A page') },
    },
    async (c) => {
      const { cursor = '', limit } = c.req.valid('query');
      return c.json(await listModels(store.read, cursor, limit), 200);
    },
  );
  api.route(
    'registry:read',
    {
      method: 'get',
      path: '/api/v1/models/{model}',
      summary: 'A model and its versions, newest first',
      request: { params, query: z.object(numberedPageQuery) },
      responses: {
        200: answers(modelSchema.extend({ versions: pageSchema(versionSchema) }), 'The model'),
      },
    },
    async (c) => {
      const name = c.req.valid('param').model;
      const { cursor = null, limit } = c.req.valid('query');
      const model = await findModel(store.read, name);
      if (model === null) throw new ControlError('not-found', `there is no model "${name}"`);
      const versions = await listVersions(store.read, name, cursor, limit);
      return c.json({ ...model, versions }, 200);
    },
  );
  api.route(
    'registry:read',
    {
      method: 'get',
      path: '/api/v1/models/{model}/versions/{version}',
      summary: 'One version with its manifest',
      request: { params: params.extend({ version: z.coerce.number().pipe(versionNumberSchema) }) },
      responses: { 200: answers(versionSchema, 'The version') },
    },
    async (c) => {
      const { model, version } = c.req.valid('param');
      const row = await findVersion(store.read, model, version);
      if (row === null) throw new ControlError('not-found', `there is no ${model}@${version}`);
      return c.json(row, 200);
    },
  );
}
