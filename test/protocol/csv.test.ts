import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CsvError, CsvRecords, MAX_RECORD_LENGTH } from '../../protocol/csv.ts';

function read(pieces: readonly string[], delimiter = ','): string[][] {
  const records = new CsvRecords(delimiter);
  return [...pieces.flatMap((piece) => records.push(piece)), ...records.end()];
}

const field = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.constantFrom('a,b', '"', 'two\nlines', 'two\r\nlines', 'x;y', '""', ' '),
);

it('reads what was written, cut into pieces anywhere', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      fc.array(fc.nat(40), { maxLength: 8 }),
      fc.constantFrom(',', ';', '\t'),
      (rows, lineEnd, ended, cuts, delimiter) => {
        const quoted = rows.map((row) =>
          row.map((text) => `"${text.replaceAll('"', '""')}"`).join(delimiter),
        );
        let rest = `\uFEFF${quoted.join(lineEnd)}${ended ? lineEnd : ''}`;
        const pieces = cuts.map((cut) => {
          const piece = rest.slice(0, cut);
          rest = rest.slice(cut);
          return piece;
        });
        expect(read([...pieces, rest], delimiter)).toEqual(rows);
      },
    ),
  );
});

it('reads fields without quotes, empty ones, and leaves empty lines out', () => {
  expect(read(['a,b,c\r\n1,,"x ""y"""\r\n\r\n,,\n', '5" nail,2,3'])).toEqual([
    ['a', 'b', 'c'],
    ['1', '', 'x "y"'],
    ['', '', ''],
    ['5" nail', '2', '3'],
  ]);
  expect(read([''])).toEqual([]);
});

it('names the record in which a quote is not closed, or closed too early', () => {
  expect(() => read(['a,b\n1,"2\n3,4\n'])).toThrow(new CsvError('record 2: a quote is not closed'));
  expect(() => read(['a,b\n1,"2"3\n'])).toThrow('record 2: "3\n" behind a closing quote');
  const records = new CsvRecords();
  expect(() => records.push(`"${'x'.repeat(MAX_RECORD_LENGTH)}`)).toThrow('is a quote not closed?');
});
