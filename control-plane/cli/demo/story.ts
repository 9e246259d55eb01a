import type { Terminal } from '../terminal.ts';

export type Measures = Readonly<Record<string, unknown>>;

/** What happened in a step: a sentence for people, figures for programs. */
export interface Outcome {
  readonly said: string;
  readonly measured: Measures;
}

/** Tells the steps as they happen, and keeps them. */
export class Story {
  readonly steps: ({ name: string; ok: boolean; seconds: number } & Measures)[] = [];
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Throws what the step throws, after it was told: the steps build on one another. */
  async step<T>(name: string, run: () => Promise<Outcome & { value: T }>): Promise<T> {
    const beganMs = performance.now();
    const seconds = () => Math.round(performance.now() - beganMs) / 1000;
    this.#terminal.progress(`   ${name} …`);
    try {
      const { said, measured, value } = await run();
      this.steps.push({ name, ok: true, seconds: seconds(), ...measured });
      this.#tell(this.#terminal.paint('green', '✓'), name, said);
      return value;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.steps.push({ name, ok: false, seconds: seconds(), error: why });
      this.#tell(this.#terminal.paint('red', '✗'), name, why);
      throw error;
    }
  }

  #tell(mark: string, name: string, text: string): void {
    this.#terminal.progressDone();
    this.#terminal.say(`${mark} ${this.#terminal.paint('bold', name.padEnd(18))} ${text}`);
  }
}
