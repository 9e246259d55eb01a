/** What `record` calls of it; the package brings no types. */
declare module 'tdigest' {
  export class TDigest {
    constructor(delta?: number | false, K?: number, CX?: number);
    push(x: number): void;
    size(): number;
  }
}
