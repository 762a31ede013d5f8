/** The modules that the package has below dist/, by their files. */
export declare const ENTRIES: Readonly<
  Record<string, { readonly source: string; readonly inference?: boolean; readonly beside?: string }>
>;
