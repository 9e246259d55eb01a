/** One family of the Prometheus text format 0.0.4. */
export class Family {
  readonly #name: string;
  readonly #head: string;
  readonly #lines: string[] = [];

  constructor(name: string, type: 'counter' | 'gauge' | 'histogram', help: string) {
    this.#name = name;
    this.#head = `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
  }

  /** `suffix`: of a histogram's series. */
  add(labels: Readonly<Record<string, string>>, value: number, suffix = ''): this {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
    const shown = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    this.#lines.push(`${this.#name}${suffix}${shown} ${numberText(value)}\n`);
    return this;
  }

  /** Ascending bounds with how many lie at or below each; the last one, +Inf, is `count`. */
  addHistogram(
    labels: Readonly<Record<string, string>>,
    buckets: readonly (readonly [le: number, cumulative: number])[],
    sum: number,
    count: number,
  ): this {
    for (const [le, cumulative] of buckets) {
      this.add({ ...labels, le: numberText(le) }, cumulative, '_bucket');
    }
    this.add({ ...labels, le: '+Inf' }, count, '_bucket');
    return this.add(labels, sum, '_sum').add(labels, count, '_count');
  }

  /** Nothing at all where there are no series. */
  toString(): string {
    return this.#lines.length === 0 ? '' : this.#head + this.#lines.join('');
  }
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
