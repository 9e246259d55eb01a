/** What answering cost the host. */
export interface CostSketch {
  /** Time inside the model's `run`, in microseconds. */
  computeUs: number;
  /** Price of that time on the device, in millionths of the agent's currency; 0 without a price. */
  priceMicros: number;
  /** Price of the device's idle time, divided among its arms by their compute time; same unit. */
  idleMicros: number;
  /** Energy that fell on this arm, in joules; 0 where the host can't read it. */
  energyJ: number;
}

export function emptyCost(): CostSketch {
  return { computeUs: 0, priceMicros: 0, idleMicros: 0, energyJ: 0 };
}

export function mergeCost(into: CostSketch, from: CostSketch): void {
  into.computeUs += from.computeUs;
  into.priceMicros += from.priceMicros;
  into.idleMicros += from.idleMicros;
  into.energyJ += from.energyJ;
}
