import assert from 'node:assert/strict';
import { test } from 'uvu';
import { budgetRate } from '../../src/train/budget.js';

test('the rate rises over the warm-up and falls as a cosine to nothing at the end of the budget', () => {
  const plan = { rate: 0.02, warmUp: 0.1 };
  assert.ok(budgetRate(plan, 0) > 0 && budgetRate(plan, 0) < 0.002);
  assert.ok(budgetRate(plan, 0.05) < budgetRate(plan, 0.1));
  assert.ok(Math.abs(budgetRate(plan, 0.5) - 0.01) < 1e-12);
  assert.ok(budgetRate(plan, 0.9) < budgetRate(plan, 0.6));
  assert.equal(budgetRate(plan, 1), 0);
  assert.equal(budgetRate(plan, 1.1), 0);
});

test.run();
