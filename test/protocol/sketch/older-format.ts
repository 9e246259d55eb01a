import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { writeCounts } from '../../../protocol/sketch/counts-codec.ts';
import { writeLatency } from '../../../protocol/sketch/latency-codec.ts';
import { variance } from '../../../protocol/sketch/moments.ts';
import type { FeatureSketch, WindowSketch } from '../../../protocol/sketch/window.ts';
import { sealed } from './sealed.ts';

const KINDS = ['numeric', 'categorical'];

/** A window as agents of protocols 1 and 2 encode it: format 1, numeric and categorical features, no sections. */
export function encodeFormat1(window: WindowSketch): Uint8Array {
  const writer = new ByteWriter();
  const { requests, rows, errors, nonFiniteOutputs, features, latency } = window;
  for (const count of [requests, rows, errors, nonFiniteOutputs]) writer.count(count, 'total');
  writeLatency(writer, latency, 'latency');
  writer.count(features.length, 'features');
  for (const feature of [...features, window.prediction]) writeFeature(writer, feature);
  return sealed(writer.written(), 1);
}

function writeFeature(writer: ByteWriter, feature: FeatureSketch): void {
  const { kind, counts } = feature;
  writer.byte(KINDS.indexOf(kind));
  writer.count(feature.missing, 'missing');
  writer.count(kind === 'numeric' ? feature.nonFinite : feature.unseen, 'other');
  writer.count(counts.length, 'cells');
  writeCounts(writer, counts, 'counts');
  if (kind !== 'numeric' || feature.moments.count === 0) return;
  const { mean, m2, min, max } = feature.moments;
  for (const moment of [mean, m2, min, max]) writer.float64(moment);
  const sigma = Math.sqrt(variance(feature.moments));
  for (const [k, count] of counts.entries()) {
    if (count === 0) continue;
    const offset = sigma === 0 ? 0 : (feature.sums[k] / count - mean) / sigma;
    const bits = new DataView(new ArrayBuffer(4));
    bits.setFloat32(0, offset);
    const upper = (bits.getUint32(0) + 0x80) >>> 8;
    for (const shift of [0, 8, 16]) writer.byte((upper >>> shift) & 0xff);
  }
}
