import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '.cache/**',
      'node_modules/**',
      'bench/peers/**',
      'src/gpu/kernel_table.ts',
      '**/*.mjs',
      'out/**',
      'test/consumers/project/**',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers in messages are ordinary; everything else in a template must be a string.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // A typed array's element is checked by its bounds, not by the type: `!` on an index inside a loop is the honest form.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      // What is indexed by name must be a type: interfaces have no implicit index signature.
      '@typescript-eslint/consistent-type-definitions': 'off',
    },
  },
);
