import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gatherer } from '../../src/scale/gatherer.js';

test('a full group is taken at once, another one when its first has waited', () => {
  const gatherer = new Gatherer<string>({ most: 2, wait: 10 });
  assert.equal(gatherer.take(0), undefined);
  gatherer.add('small', 'a', 0);
  assert.equal(gatherer.take(4), 6);
  gatherer.add('large', 'b', 5);
  gatherer.add('small', 'c', 6);
  gatherer.add('small', 'd', 6);
  assert.deepEqual(gatherer.take(6), ['a', 'c']);
  assert.equal(gatherer.take(6), 9);
  assert.deepEqual(gatherer.take(15), ['b']);
  assert.deepEqual(gatherer.take(16), ['d']);
  assert.equal(gatherer.take(99), undefined);
});

test('full groups of one size do not hold up the only picture of another', () => {
  const gatherer = new Gatherer<number>({ most: 2, wait: 10 });
  gatherer.add('rare', -1, 0);
  let taken: readonly number[] = [];
  for (let now = 1; !taken.includes(-1); now += 2) {
    assert.ok(now < 20, 'the rare one is taken once it has waited');
    gatherer.add('common', now, now);
    gatherer.add('common', now + 1, now);
    taken = gatherer.take(now) as readonly number[];
  }
});

test('what is taken out again is not searched', () => {
  const gatherer = new Gatherer<string>({ most: 3, wait: 1 });
  for (const item of ['a', 'b', 'c']) gatherer.add('one size', item, 0);
  assert.ok(gatherer.remove('b'));
  assert.ok(!gatherer.remove('b'));
  assert.equal(gatherer.take(0), 1);
  assert.deepEqual(gatherer.take(1), ['a', 'c']);
  gatherer.add('one size', 'd', 2);
  assert.ok(gatherer.remove('d'));
  assert.equal(gatherer.take(9), undefined);
});

test.run();
