import { describe, expect, it } from 'vitest';
import { AGENT_USAGE, readAgentConfig } from '../../agent/config.ts';

describe('the ports of an agent', () => {
  it('lie side by side unless they are told otherwise', () => {
    const { port, grpcPort, metricsPort, repositoryControl } = readAgentConfig([], {});
    expect([port, grpcPort, metricsPort]).toEqual([8000, 8001, 8002]);
    expect(repositoryControl).toBe(false);
  });

  it('may be any free one, or none', () => {
    const argv = ['--grpc-port', 'off', '--metrics-port', '0', '--repository-control'];
    const { grpcPort, metricsPort, repositoryControl } = readAgentConfig(argv, {});
    expect([grpcPort, metricsPort, repositoryControl]).toEqual([null, 0, true]);
  });

  it.each(['65536', '-1', 'on', ''])('are refused as "%s"', (port) => {
    for (const flag of ['--grpc-port', '--metrics-port']) {
      const read = () => readAgentConfig([`${flag}=${port}`], {});
      expect(read).toThrow(`${flag} is "${port}"; it must be`);
    }
  });

  it('are in the usage, like all flags', () => {
    const others = ['--repository-control', '--feature-server', '--traces', '--trace-sample'];
    for (const flag of ['--grpc-port', '--metrics-port', ...others]) {
      expect(AGENT_USAGE).toContain(flag);
    }
  });
});

describe('the bound of a hang', () => {
  it('is a minute unless it is told otherwise', () => {
    const hang = (...argv: string[]) => readAgentConfig(argv, {}).hangTimeoutMs;
    expect(hang()).toBe(60_000);
    expect(hang('--engine-hang-timeout', '5')).toBe(5_000);
    expect(hang('--engine-hang-timeout', 'off')).toBeNull();
    expect(AGENT_USAGE).toContain('--engine-hang-timeout');
  });

  it.each(['4', '86401', '1.5', '-1', ''])('is refused as "%s"', (text) => {
    const read = () => readAgentConfig([`--engine-hang-timeout=${text}`], {});
    expect(read).toThrow(
      `--engine-hang-timeout is "${text}"; it must be whole seconds from 5 to 86400, or off`,
    );
  });
});

describe('feature servers and traces of an agent', () => {
  it('are none unless they are named', () => {
    const { featureServers, traces } = readAgentConfig([], {});
    expect([featureServers.size, traces]).toEqual([0, null]);
  });

  it('are given by URL', () => {
    const servers = [
      '--feature-server',
      'a=http://f:6566',
      '--feature-server',
      'b=https://f/x?y=z',
    ];
    const argv = [
      ...servers,
      '--traces',
      'http://127.0.0.1:4318/v1/traces',
      '--trace-sample',
      '0.25',
    ];
    const { featureServers, traces } = readAgentConfig(argv, {});
    expect([...featureServers]).toEqual([
      ['a', 'http://f:6566'],
      ['b', 'https://f/x?y=z'],
    ]);
    expect(traces).toEqual({ url: 'http://127.0.0.1:4318/v1/traces', sample: 0.25 });
  });

  it.each([
    [['--feature-server', 'http://f:6566'], '--feature-server'],
    [['--feature-server', '=http://f'], '--feature-server'],
    [['--feature-server', 'a=ftp://f'], '--feature-server'],
    [['--feature-server', 'a=http://f', '--feature-server', 'a=http://g'], '"a" is taken'],
    [['--traces', 'collector:4318'], '--traces'],
    [['--traces', 'http://c', '--trace-sample', '1.5'], '--trace-sample'],
    [['--traces', 'http://c', '--trace-sample', 'all'], '--trace-sample'],
    [['--trace-sample', '1'], '--traces URL'],
  ])('are refused as %j', (argv, told) => {
    expect(() => readAgentConfig(argv, {})).toThrow(told);
  });
});

describe('LINK-6: plain http to a control plane', () => {
  const read = (url: string, ...more: string[]) =>
    readAgentConfig(['--control', url, ...more], {}).controlUrl;

  it.each([
    'http://127.0.0.1:7700',
    'http://127.8.8.8',
    'http://localhost:7700',
    'http://[::1]:7700',
  ])('is spoken within this host: %s', (url) => {
    expect(read(url)).toBe(url);
  });

  it.each(['http://10.0.0.1', 'http://127.0.0.1.example.com', 'http://control', 'http://[::2]'])(
    'is refused to anybody else: %s',
    (url) => {
      expect(() => read(url)).toThrow(`--control is "${url}": plain http leaves`);
      expect(read(url, '--allow-insecure-link')).toBe(url);
      expect(read(url.replace('http:', 'https:'))).toMatch(/^https:/);
    },
  );

  it('and an authority is a PEM file', () => {
    expect(readAgentConfig([], {}).ca).toBeNull();
    expect(() => readAgentConfig(['--ca', '/nowhere'], {})).toThrow('--ca is "/nowhere"');
    expect(() => readAgentConfig([], { DRIFTLINE_CA: import.meta.filename })).toThrow(
      'a file with a PEM certificate',
    );
  });
});

describe('what models may take of disk and line', () => {
  it('is 20 GiB, two downloads at a time, as fast as they come, and 512 MiB stay free', () => {
    const GIB = 2 ** 30;
    expect(readAgentConfig([], {}).artifacts).toEqual({
      ...{ quotaBytes: 20 * GIB, reserveBytes: GIB / 2, concurrent: 2, bytesPerSecond: null },
    });
    const rate = ['--downloads', '16', '--download-rate', '64'];
    const argv = ['--artifact-quota', '1', '--disk-reserve', '0', ...rate];
    expect(readAgentConfig(argv, {}).artifacts).toEqual({
      ...{ quotaBytes: GIB, reserveBytes: 0, concurrent: 16, bytesPerSecond: 65_536 },
    });
    expect(readAgentConfig(['--download-rate', 'off'], {}).artifacts.bytesPerSecond).toBeNull();
  });

  it.each([
    ['--artifact-quota', '0', '1 to 1048576'],
    ['--disk-reserve', '-1', '0 to 1073741824'],
    ['--downloads', '17', '1 to 16'],
    ['--downloads', '0', '1 to 16'],
    ['--download-rate', '63', '64 to 1073741824'],
    ['--download-rate', 'fast', '64 to 1073741824'],
  ])('is refused as %s %s, and in the usage', (flag, text, bounds) => {
    const told = `${flag} is "${text}"; it must be an integer from ${bounds}`;
    expect(() => readAgentConfig([`${flag}=${text}`], {})).toThrow(told);
    expect(AGENT_USAGE).toContain(flag);
  });
});
