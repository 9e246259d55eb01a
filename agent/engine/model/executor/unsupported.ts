/** Thrown while compiling: ONNX Runtime has to execute this graph. The message names the node and the reason. */
export class Unsupported extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Unsupported';
  }
}
