export interface HardNegativeOptions {
  readonly negativeRatio: number;
  readonly minimumNegatives: number;
}

/**
 * 1 for the positives (label 1) of one image and for the hardest of its candidates (label 0): ⌊ratio·positives⌋ of them, or
 * the minimum where nothing is positive, in descending order of their losses, equal ones by index.
 */
export function selectHardNegatives(
  losses: ArrayLike<number>,
  labels: ArrayLike<number>,
  { negativeRatio, minimumNegatives }: HardNegativeOptions,
): number[] {
  const all = Array.from(labels);
  const positives = all.filter((label) => label === 1).length;
  const wanted = positives > 0 ? Math.floor(negativeRatio * positives) : minimumNegatives;
  const hardest = [...all.keys()]
    .filter((i) => all[i] === 0)
    .sort((i, j) => losses[j]! - losses[i]! || i - j)
    .slice(0, wanted);
  const chosen = new Set(hardest);
  return all.map((label, i) => (label === 1 || chosen.has(i) ? 1 : 0));
}
