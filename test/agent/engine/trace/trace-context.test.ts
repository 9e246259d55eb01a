import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTraceparent, traceHeaders } from '../../../../agent/engine/trace/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const parse = (traceparent: string, tracestate: string | null = null) =>
  parseTraceparent({ traceparent, tracestate });

/** The rules and most of the cases are those of W3C Trace Context, and of its test suite (w3c/trace-context/test). */
describe('a traceparent', () => {
  it.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-02`, false],
    [`00-${TRACE}-${SPAN}-ff`, true],
    // Of a version yet to come, the known part is read.
    [`cc-${TRACE}-${SPAN}-01`, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-brings`, true],
  ])('is understood as %s', (header, sampled) => {
    expect(parse(header)).toEqual({ traceId: TRACE, spanId: SPAN, sampled, tracestate: null });
  });

  it.each([
    '',
    '00',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-001`,
    `00-${TRACE}-${SPAN}-01-`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01.more`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `0-${TRACE}-${SPAN}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}a-${SPAN}-01`,
    `00-${TRACE.slice(1)}.-${SPAN}-01`,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])('is ignored as %j', (header) => {
    expect(parse(header)).toBeNull();
  });

  it('carries its tracestate, unless that is too long or no header of ours', () => {
    const header = `00-${TRACE}-${SPAN}-01`;
    expect(parse(header, 'a=1,b=2')?.tracestate).toBe('a=1,b=2');
    expect(parse(header, 'x'.repeat(512))?.tracestate).toHaveLength(512);
    expect(parse(header, 'x'.repeat(513))?.tracestate).toBeNull();
    expect(parse(header, 'a=ü')?.tracestate).toBeNull();
  });

  it('comes back from the headers that are made of it', () => {
    const hex = (length: number) =>
      fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((id) => /[^0]/.test(id));
    fc.assert(
      fc.property(
        fc.record({
          traceId: hex(32),
          spanId: hex(16),
          sampled: fc.boolean(),
          tracestate: fc.constantFrom(null, 'a=1'),
        }),
        (context) => {
          const { traceparent = '', tracestate = null } = traceHeaders(context);
          expect(parseTraceparent({ traceparent, tracestate })).toEqual(context);
        },
      ),
    );
  });
});
