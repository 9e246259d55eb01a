import type { EnsembleNode, StepNode, SwitchNode } from '../../../protocol/pipeline/document.ts';
import type { PipelinePlan } from '../../../protocol/pipeline/plan.ts';
import { showShape } from '../../../protocol/tensor.ts';
import { messageOf } from '../../error.ts';
import { OipError } from '../serve/oip-error.ts';
import type { RequestParameters } from '../serve/request-parameters.ts';
import { chooseByParameter, chooseByTensor, type Way } from './choose.ts';
import { combine } from './combine.ts';
import { scatterRows, takeRows } from './rows.ts';
import { type Scope, type Value, valueIn } from './value.ts';

/** What a pipeline asks of the world: the answer of a step, by the names of its model. */
export type CallStep = (step: StepNode, inputs: Scope) => Promise<Scope>;

/**
 * Runs one request through a plan. Steps are called as soon as what they read is there; members of an ensemble and
 * branches of a switch beside each other. Rejects with what a step rejected with, or with an `OipError`.
 */
export class Execution {
  readonly #plan: PipelinePlan;
  readonly #parameters: RequestParameters | null;
  readonly #call: CallStep;

  constructor(plan: PipelinePlan, parameters: RequestParameters | null, call: CallStep) {
    this.#plan = plan;
    this.#parameters = parameters;
    this.#call = call;
  }

  /** Everything that there is at the end. */
  async run(inputs: Scope): Promise<Scope> {
    if (this.#plan.byRow) checkRows(inputs);
    const written = await this.#node(this.#plan.root, inputs);
    return new Map([...inputs, ...written]);
  }

  async #node(name: string, scope: Scope): Promise<Scope> {
    const node = this.#plan.nodes.get(name);
    if (node === undefined) throw new Error(`the pipeline has no node "${name}"`);
    switch (node.kind) {
      case 'step':
        return this.#step(node, scope);
      case 'sequence':
        return this.#sequence(node.nodes, scope);
      case 'switch':
        return this.#switch(name, node, scope);
      case 'ensemble':
        return this.#ensemble(name, node, scope);
    }
  }

  async #step(node: StepNode, scope: Scope): Promise<Scope> {
    const inputs = new Map<string, Value>();
    for (const { model, pipeline } of node.inputs) inputs.set(model, valueIn(scope, pipeline));
    const outputs = await this.#call(node, inputs);
    const written = new Map<string, Value>();
    for (const { model, pipeline } of node.outputs) {
      const value = outputs.get(model);
      if (value === undefined) {
        const given = [...outputs.keys()].map((name) => `"${name}"`).join(', ');
        throw new OipError(
          'model_failed',
          `the pipeline takes "${model}" of "${node.deployment}", which gives ${given}`,
        );
      }
      written.set(pipeline, value);
    }
    return written;
  }

  async #sequence(parts: readonly string[], scope: Scope): Promise<Scope> {
    const all = new Map(scope);
    const written = new Map<string, Value>();
    for (const part of parts) {
      for (const [name, value] of await this.#node(part, all)) {
        all.set(name, value);
        written.set(name, value);
      }
    }
    return written;
  }

  async #switch(name: string, node: SwitchNode, scope: Scope): Promise<Scope> {
    const { on } = node;
    const ways =
      'parameter' in on
        ? [chooseByParameter(node, on.parameter, this.#parameters)]
        : chooseByTensor(node, on, valueIn(scope, on.tensor));
    const branches = await Promise.all(ways.map((way) => this.#branch(way, ways, scope)));
    const written = new Map<string, Value>();
    for (const tensor of this.#plan.writes.get(name) ?? []) {
      const values = branches.map((branch) => valueIn(branch, tensor));
      written.set(tensor, merged(tensor, ways, values));
    }
    return written;
  }

  /** A branch with its own rows of what it reads. */
  async #branch({ node, rows }: Way, ways: readonly Way[], scope: Scope): Promise<Scope> {
    if (rows === null) return this.#node(node, scope);
    const part = new Map<string, Value>();
    for (const name of this.#plan.reads.get(node) ?? []) {
      const value = valueIn(scope, name);
      part.set(name, value.byRow ? onlyRows(name, value, rows, rowsOf(ways)) : value);
    }
    return this.#node(node, part);
  }

  async #ensemble(name: string, node: EnsembleNode, scope: Scope): Promise<Scope> {
    const answers = await this.#answers(name, node, scope);
    const written = new Map<string, Value>();
    for (const [tensor, how] of Object.entries(node.combine)) {
      const values = answers.map(({ scope }) => valueIn(scope, tensor));
      const opinions = answers.map(({ member, weight }, at) => ({
        member,
        weight,
        tensor: values[at].tensor,
      }));
      const byRow = values.every((value) => value.byRow);
      written.set(tensor, { tensor: combine(how, tensor, opinions), byRow });
    }
    return written;
  }

  /** Of all members, or under `skip` of those that did not fail. */
  async #answers(name: string, { members, failure }: EnsembleNode, scope: Scope) {
    const asked = members.map(async ({ node, weight = 1 }) => ({
      member: node,
      weight,
      scope: await this.#node(node, scope),
    }));
    if (failure.policy === 'fail') return Promise.all(asked);
    const settled = await Promise.allSettled(asked);
    const reasons: unknown[] = [];
    for (const each of settled) if (each.status === 'rejected') reasons.push(each.reason);
    // A wrong request is no member's failure.
    const wrong = reasons.find((reason) => reason instanceof OipError && reason.status === 400);
    if (wrong !== undefined) throw wrong;
    const answers = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    if (answers.length >= failure.quorum) return answers;
    const [first] = reasons;
    throw new OipError(
      first instanceof OipError ? first.code : 'model_failed',
      `${answers.length} of ${members.length} members of "${name}" answered, ${failure.quorum} are needed; the first to fail said: ${messageOf(first)}`,
      { cause: first },
    );
  }
}

/** Rows may go different ways, so there must be as many in every input that has them. */
function checkRows(inputs: Scope): void {
  const [first, ...others] = [...inputs].filter(([, { byRow }]) => byRow);
  if (first === undefined) return;
  const [rows] = first[1].tensor.shape;
  const other = others.find(([, { tensor }]) => tensor.shape[0] !== rows);
  if (other === undefined) return;
  throw new OipError(
    'bad_request',
    `"${first[0]}" has ${rows} rows and "${other[0]}" ${other[1].tensor.shape[0]}; this pipeline needs as many in each`,
  );
}

function rowsOf(ways: readonly Way[]): number {
  return ways.reduce((sum, { rows }) => sum + (rows?.length ?? 0), 0);
}

function onlyRows(name: string, { tensor }: Value, chosen: readonly number[], rows: number): Value {
  if (tensor.shape[0] !== rows) {
    throw new OipError(
      'model_failed',
      `the pipeline goes different ways with ${rows} rows, and "${name}" ${showShape(tensor.shape)} has not one for each`,
    );
  }
  return { tensor: takeRows(tensor, chosen), byRow: true };
}

function merged(name: string, ways: readonly Way[], values: readonly Value[]): Value {
  if (values.length === 1) return values[0];
  const parts = ways.map(({ rows }, at) => ({ rows: rows ?? [], tensor: values[at].tensor }));
  return { tensor: scatterRows(name, parts, rowsOf(ways)), byRow: true };
}
