import { expect, test } from 'vitest';
import { blockList, isPublic, pin } from '../../../control-plane/notify/address.ts';
import { backoffMs } from '../../../control-plane/notify/backoff.ts';
import { signedHeaders } from '../../../control-plane/notify/signature.ts';

const NONE = blockList([]);

test.each([
  ['127.0.0.1', false],
  ['10.255.255.255', false],
  ['11.0.0.0', true],
  ['172.31.255.255', false],
  ['172.32.0.0', true],
  ['169.254.169.254', false],
  ['100.64.0.1', false],
  ['0.0.0.0', false],
  ['255.255.255.255', false],
  ['8.8.8.8', true],
  ['::1', false],
  ['::ffff:10.0.0.1', false],
  ['fe80::1', false],
  ['fd00::1', false],
  ['64:ff9b::a00:1', false],
  ['2002:a00:1::', false],
  ['2606:4700::1111', true],
])('%s is public: %s', (address, expected) => {
  expect(isPublic(address)).toBe(expected);
});

test.each([
  'http://2130706433/',
  'http://0x7f.1/',
  'http://0177.0.0.1/',
  'http://127.1/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::]/',
])('%s is this machine, however it is spelled', async (url) => {
  await expect(pin(new URL(url).hostname, NONE)).rejects.toThrow('not public');
});

test('a mail server is not named by a number either', async () => {
  await expect(pin('2130706433', NONE)).rejects.toThrow(/not public|not found/);
});

test('one private address among public ones refuses the name', async () => {
  const resolve = async () => ['8.8.8.8', '10.0.0.1'];
  await expect(pin('two.example', NONE, resolve)).rejects.toThrow('10.0.0.1, which is not public');
  const pinned = await pin('two.example', blockList(['10.0.0.0/8']), resolve);
  expect(pinned).toEqual({ address: '8.8.8.8', family: 4, trusted: false });
});

test('a name is looked up once: a second answer changes nothing', async () => {
  let asked = 0;
  const resolve = async () => [['8.8.8.8'], ['127.0.0.1']][asked++] ?? [];
  expect((await pin('rebinding.example', NONE, resolve)).address).toBe('8.8.8.8');
  expect(asked).toBe(1);
});

test('waits double from 5 s to an hour, halved at most by chance', () => {
  expect([1, 2, 3, 14].map((n) => backoffMs(n, 0, 0))).toEqual([2500, 5000, 10_000, 1_800_000]);
  expect(backoffMs(1, 1, 0)).toBe(5000);
  expect(backoffMs(1, 0, 60_000)).toBe(60_000);
  expect(backoffMs(1, 0, 1e12)).toBe(3_600_000);
});

// From the test suite of the reference library standardwebhooks (MIT), `sign` of its JavaScript package.
test('the signature is that of Standard Webhooks', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
  const headers = signedHeaders(secret, id, 1_614_265_330_000, '{"test": 2432232314}');
  expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});
