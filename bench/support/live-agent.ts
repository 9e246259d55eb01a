import { join } from 'node:path';
import { LiveControl, Program } from './live-control.ts';
import { describeMortgage } from './mortgage.ts';

const START_TIMEOUT_MS = 30_000;
const RETRY_MS = 50;

/** A control plane and an agent as they are started by hand, the bundled example deployed on it. */
export class LiveAgent {
  readonly url: string;
  readonly #control: LiveControl;
  readonly #agent: Program;

  private constructor(control: LiveControl, agent: Program, url: string) {
    this.#control = control;
    this.#agent = agent;
    this.url = url;
  }

  /** Everything it writes goes below `folder`. */
  static async start(folder: string, engines: number): Promise<LiveAgent> {
    const control = await LiveControl.start(folder);
    const ticket = await control.joinToken();
    const agent = new Program('agent/program/main.js', [
      ...['--control', control.url, '--data', join(folder, 'agent'), '--join', ticket],
      ...['--name', 'bench', '--port', '0', '--engines', String(engines)],
    ]);
    const url = String((await agent.line('serving')).url);
    const live = new LiveAgent(control, agent, url);
    await control.deploy('mortgage', await describeMortgage(join(folder, 'mortgage')));
    await live.#ready();
    return live;
  }

  /** The supervisor's process; engines are its children. */
  get pid(): number {
    return this.#agent.pid;
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await fetch(`${this.url}/v2/models/mortgage/ready`)).ok) {
      if (Date.now() > deadline) throw new Error(`no model in time:\n${this.#agent.text}`);
      await new Promise((wake) => setTimeout(wake, RETRY_MS));
    }
  }

  async stop(): Promise<void> {
    await this.#agent.stop();
    await this.#control.stop();
  }
}
