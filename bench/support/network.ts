import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const NAMESPACE = `dl${process.pid}`;
const [NEAR, FAR] = [`${NAMESPACE}a`, `${NAMESPACE}b`];

function ip(...args: readonly string[]): boolean {
  return spawnSync('ip', args, { stdio: 'ignore' }).status === 0;
}

/** A network namespace of our own, joined to this one by a cable that can be pulled. */
export class Cable {
  /** The address of this end. */
  readonly host = '10.98.0.1';

  /** Null where namespaces may not be made (no root, no `ip`). */
  static lay(): Cable | null {
    const cable = new Cable();
    const laid =
      ip('netns', 'add', NAMESPACE) &&
      ip('link', 'add', NEAR, 'type', 'veth', 'peer', 'name', FAR, 'netns', NAMESPACE) &&
      ip('addr', 'add', `${cable.host}/30`, 'dev', NEAR) &&
      ip('link', 'set', NEAR, 'up') &&
      ip('-n', NAMESPACE, 'addr', 'add', '10.98.0.2/30', 'dev', FAR) &&
      ip('-n', NAMESPACE, 'link', 'set', FAR, 'up') &&
      ip('-n', NAMESPACE, 'link', 'set', 'lo', 'up');
    if (laid) return cable;
    cable.remove();
    return null;
  }

  /** What went over it so far, both ways: frames of Ethernet. */
  get bytes(): number {
    const of = (what: string) =>
      Number(readFileSync(`/sys/class/net/${NEAR}/statistics/${what}_bytes`, 'utf8'));
    return of('rx') + of('tx');
  }

  /** The words before a command that runs it at the far end. */
  get farEnd(): readonly string[] {
    return ['ip', 'netns', 'exec', NAMESPACE];
  }

  /** Pulled, it says nothing to anybody: to both ends every connection is still open. */
  set pulled(pulled: boolean) {
    if (!ip('-n', NAMESPACE, 'link', 'set', FAR, pulled ? 'down' : 'up')) {
      throw new Error(`the cable of ${NAMESPACE} could not be ${pulled ? 'pulled' : 'put back'}`);
    }
  }

  remove(): void {
    ip('netns', 'del', NAMESPACE);
    ip('link', 'del', NEAR);
  }
}
