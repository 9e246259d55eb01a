/** Columns of the example's CSV files that are no input of the model: a protected group, the outcome. */
const NOT_FEATURES = 2;
const LOAN_TO_VALUE = 2;

export interface FeatureRow {
  readonly values: readonly number[];
  readonly loanToValue: number;
  /** An inference request as it goes over the wire, the same bytes each time. */
  readonly request: Buffer;
}

/** The rows of `traffic.csv` or `baseline.csv`, in the file's order. */
export function featureRows(csv: string): FeatureRow[] {
  const [, ...lines] = csv.trimEnd().split('\n');
  return lines.map((line) => {
    const values = line.split(',').slice(0, -NOT_FEATURES).map(Number);
    const input = { name: 'features', shape: [1, values.length], datatype: 'FP32', data: values };
    const request = Buffer.from(JSON.stringify({ inputs: [input] }));
    return { values, loanToValue: values[LOAN_TO_VALUE] ?? Number.NaN, request };
  });
}
