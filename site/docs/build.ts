// `npm run docs`: writes the guide to all options, and builds the guides and the API reference into site/dist/docs.
// `npm run docs -- --options` writes that guide alone.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TypeDocOptions } from 'typedoc';
import { optionsPage } from './options_page.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const REPOSITORY = 'https://github.com/retinaface-webgpu/retinaface-webgpu';

const OPTIONS: Partial<TypeDocOptions> = {
  name: 'retinaface-webgpu',
  entryPoints: ['src/surface.ts', 'src/node/index.ts', 'src/browser/inference.ts'],
  tsconfig: 'tsconfig.json',
  readme: 'README.md',
  projectDocuments: ['docs/guide/*.md', 'docs/reliability.md', 'kernels/README.md'],
  out: 'site/dist/docs',
  disableGit: true,
  basePath: root,
  sourceLinkTemplate: `${REPOSITORY}/blob/main/{path}#L{line}`,
  navigationLinks: { Repository: REPOSITORY },
  excludePrivate: true,
  excludeProtected: true,
  excludeExternals: true,
  // `npm run lint` checks types.
  skipErrorChecking: true,
  // Inner types that only the shapes of others name are not public.
  validation: { notExported: false, invalidLink: true, rewrittenLink: true, notDocumented: false },
  logLevel: 'Warn',
};

process.chdir(root);
writeFileSync('docs/guide/options.md', optionsPage());
if (!process.argv.includes('--options')) {
  const { Application } = await import('typedoc');
  const app = await Application.bootstrapWithPlugins(OPTIONS);
  const project = await app.convert();
  if (!project) throw new Error('TypeDoc has no project');
  app.validate(project);
  await app.generateOutputs(project);
  // What does not fit together is told by lines above.
  process.exitCode = app.logger.hasErrors() ? 1 : 0;
}
