// `npm run reproduce:real -- --images DIR --labels FILE`: `retinaface reproduce` on photographs, at 160 pixels and for 20 minutes a run
// unless the command says otherwise.
const given = process.argv.slice(2);
const names = (option) => given.some((word) => word === option || word.startsWith(`${option}=`));
if (!names('--labels') && !names('--help')) {
  process.stderr.write(
    'reproduce:real: expected --images DIR --labels FILE, as often as there are sources, got none. This checkout has no photographs: ' +
      'name your own, with their faces as `retinaface train --help` says.\n',
  );
  process.exit(2);
}
const defaults = [
  ['--out', 'out/reproduce-real'],
  ['--size', '160'],
];
if (!names('--minutes') && !names('--steps')) defaults.push(['--minutes', '20']);
const added = defaults.filter(([option]) => !names(option)).flat();
process.argv.splice(2, given.length, 'reproduce', ...added, ...given);
await import('../src/cli/main.ts');
