import { quantile } from '../../protocol/sketch/latency.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { type Estimate, estimateOf } from './fairness-view.ts';

/** How a period was served: load, failures, latency, cost, and what evaluators found. */
export interface OperationsView {
  readonly requests: number;
  readonly rows: number;
  readonly requestsPerSecond: number;
  readonly errorRate: Estimate;
  readonly nonFiniteRate: Estimate;
  /** Within 0.79 %; null without a request. */
  readonly latencyUs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  readonly cost: {
    readonly computeUs: number;
    readonly priceMicros: number;
    /** Part of the price in which nothing was computed. */
    readonly idleMicros: number;
    readonly energyJ: number;
    readonly computeUsPerRow: number | null;
    readonly priceMicrosPerThousandRows: number | null;
  };
  readonly evaluators: readonly {
    readonly name: string;
    readonly scored: number;
    readonly failed: number;
    readonly mean: number;
    readonly flagged: Estimate;
  }[];
}

/** @param spanMs of the period, for the rate of requests */
export function operationsView(window: WindowSketch, spanMs: number): OperationsView {
  const { requests, rows, cost } = window;
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantile(window.latency, q));
  return {
    requests,
    rows,
    requestsPerSecond: spanMs === 0 ? 0 : (requests * 1000) / spanMs,
    errorRate: estimateOf({ hits: Math.min(window.errors, requests), trials: requests }),
    nonFiniteRate: estimateOf({ hits: Math.min(window.nonFiniteOutputs, rows), trials: rows }),
    latencyUs: p50 === null || p95 === null || p99 === null ? null : { p50, p95, p99 },
    cost: {
      ...cost,
      computeUsPerRow: rows === 0 ? null : cost.computeUs / rows,
      priceMicrosPerThousandRows: rows === 0 ? null : (cost.priceMicros * 1000) / rows,
    },
    evaluators: window.evaluators.map(({ name, failed, flagged, scores }) => ({
      name,
      scored: scores.moments.count,
      failed,
      mean: scores.moments.mean,
      flagged: estimateOf({ hits: flagged, trials: scores.moments.count }),
    })),
  };
}
