/**
 * One operator on one row. All values of a row live in one array of registers, float32 values held as float64:
 * V8 has no float32 arithmetic, and converting on each load costs more than the wider load.
 */
export interface Step {
  run(registers: Float64Array): void;
}

/** Registers of one value start at `at`; slots are padded so that a step may write eight at a time. */
export interface Slot {
  readonly at: number;
  readonly width: number;
}
