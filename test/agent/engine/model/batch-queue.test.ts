import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deadlines, type Timed } from '../../../../agent/engine/model/batch-deadlines.ts';
import { BatchQueue } from '../../../../agent/engine/model/batch-queue.ts';

interface Item {
  readonly priority: number;
  readonly order: number;
}

describe('the queue of a batcher', () => {
  it('gives what a stable sort by priority gives, whatever is pushed, taken and dropped between', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 3, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.record({ keepOf: fc.integer({ min: 1, max: 3 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const queue = new BatchQueue<Item>();
        let model: Item[] = [];
        for (const [order, one] of steps.entries()) {
          if (one === 'shift') expect(queue.shift()).toBe(model.shift());
          else if ('push' in one) {
            const item = { priority: one.push, order };
            queue.push(item, item.priority);
            model.push(item);
            model.sort((a, b) => a.priority - b.priority || a.order - b.order);
          } else {
            const keeps = (item: Item) => item.order % one.keepOf === 0;
            queue.retain(keeps);
            model = model.filter(keeps);
          }
          expect(queue.size).toBe(model.length);
          expect(queue.peek()).toBe(model[0]);
        }
      }),
    );
  });

  it('keeps the order of a burst that outgrows its ring, and takes the next burst', () => {
    const queue = new BatchQueue<Item>();
    for (let burst = 0; burst < 2; burst += 1) {
      for (let order = 0; order < 10_000; order += 1) queue.push({ priority: 2, order }, 2);
      for (let order = 0; order < 10_000; order += 1) expect(queue.shift()?.order).toBe(order);
      expect(queue.shift()).toBeUndefined();
    }
  });
});

describe('the deadlines of a batcher', () => {
  it('gives what is due, earliest first, whoever left before', () => {
    const deadlines = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 100 });
    fc.assert(
      fc.property(deadlines, fc.array(fc.nat(99)), fc.nat(60), (times, leavers, nowMs) => {
        const heap = new Deadlines<Timed>();
        const items = times.map((deadlineMs) => ({ deadlineMs, heapAt: -1 }));
        for (const item of items) heap.add(item);
        const stay = new Set(items);
        for (const at of leavers) {
          const leaver = items.at(at);
          if (leaver === undefined) continue;
          heap.remove(leaver);
          stay.delete(leaver);
        }
        const due: number[] = [];
        for (let next = heap.takeDue(nowMs); next !== undefined; next = heap.takeDue(nowMs)) {
          due.push(next.deadlineMs);
          stay.delete(next as (typeof items)[number]);
        }
        expect(due).toEqual([...due].sort((a, b) => a - b));
        const left = Math.min(...[...stay].map(({ deadlineMs }) => deadlineMs));
        expect(left).toBeGreaterThan(nowMs);
        expect(heap.earliestMs).toBe(left);
      }),
    );
  });
});
