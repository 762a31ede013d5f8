import { isObject } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from './config.js';

/**
 * What a weights file cannot tell of its network: the edges of its anchors, the order of its colours, … Fields that are
 * left out are those of the configuration that `name` says, or, without a name, of the one recognised from the weights.
 * A whole `Configuration` is one, too.
 */
export interface GivenConfiguration extends Partial<Omit<Configuration, 'input'>> {
  readonly input?: Partial<Configuration['input']>;
}

/** Strides of the levels of each pyramid, which its network fixes. */
const STRIDES: Readonly<Record<Configuration['pyramid'], readonly number[]>> = {
  published: [8, 16, 32],
  report: [4, 8, 16, 32, 64],
};

/** A field's value is right, or this is what was expected of it. */
type Check = (value: unknown) => string | undefined;

const oneOf =
  (values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string) ? undefined : `one of ${values.map((name) => `"${name}"`).join(', ')}`;

const isNumber = (value: unknown, least: number, most = Infinity): boolean =>
  typeof value === 'number' && Number.isFinite(value) && value >= least && value <= most;

const number =
  (least: number, most: number): Check =>
  (value) =>
    isNumber(value, least, most) ? undefined : `a number of ${least} to ${most}`;

const boolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');

const positive = (value: unknown): boolean => isNumber(value, Number.MIN_VALUE);

const list =
  (length: number, item: (value: unknown) => boolean, expected: string): Check =>
  (value) =>
    Array.isArray(value) && value.length === length && value.every(item) ? undefined : expected;

const FIELDS: Readonly<Record<Exclude<keyof Configuration, 'levels' | 'input'>, Check>> = {
  name: oneOf(Object.keys(configurations)),
  backbone: oneOf(['mobilenet0.25', 'resnet50']),
  width: number(1 / 16, 1),
  pyramid: oneOf(Object.keys(STRIDES)),
  channels: (value) =>
    isNumber(value, 16) && (value as number) % 16 === 0 ? undefined : 'a multiple of 16 from 16 on',
  slope: number(0, 1),
  context: boolean,
  deformable: boolean,
  landmarks: boolean,
  cascade: boolean,
  variances: list(2, positive, 'two numbers above 0, for centres and for sizes'),
  plusOne: boolean,
};

const INPUT: Readonly<Record<keyof Configuration['input'], Check>> = {
  order: oneOf(['rgb', 'bgr']),
  mean: list(3, (value) => isNumber(value, 0, 255), 'three numbers of 0 to 255, in the order of the channels'),
  std: list(3, positive, 'three numbers above 0, in the order of the channels'),
};

/**
 * A configuration as a program or a file gives it, checked field by field; `source` is what errors call it.
 * @throws ArgumentError that names the field.
 */
export function checkConfiguration(value: unknown, source: string): GivenConfiguration {
  const problem = (expected: string, got: unknown): ArgumentError =>
    new ArgumentError({
      operation: `read the configuration of ${source}`,
      expected,
      got: abbreviated(got),
      remedy: 'Correct that field, or leave it out.',
    });
  const checkFields = (at: string, object: object, fields: Readonly<Record<string, Check>>): void => {
    for (const [name, field] of Object.entries(object)) {
      const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (!check) throw problem(`the fields ${Object.keys(fields).join(', ')} ${at ? `of ${at}` : 'alone'}`, name);
      const expected = check(field);
      if (expected !== undefined) throw problem(`${at ? `${at}.` : ''}${name} to be ${expected}`, field);
    }
  };
  const object = (field: unknown): string | undefined => (isObject(field) ? undefined : 'an object');
  if (!isObject(value)) throw problem('an object', value);
  checkFields('', value, { ...FIELDS, levels: checkLevels, input: object });
  const { input, levels } = value as { input?: object; levels?: readonly object[] };
  if (input !== undefined) checkFields('input', input, INPUT);
  for (const [i, level] of (levels ?? []).entries()) {
    checkFields(`levels[${i}]`, level, { stride: number(1, 1024), sizes: checkSizes });
    for (const field of ['stride', 'sizes']) {
      if (!(field in level)) throw problem(`levels[${i}].${field} to be there`, undefined);
    }
  }
  return value;
}

const checkSizes: Check = (value) =>
  Array.isArray(value) && value.length > 0 && value.every(positive)
    ? undefined
    : 'a list of numbers above 0, the edges of the anchors of a cell in pixels';

const checkLevels: Check = (value) =>
  Array.isArray(value) && value.length > 0 && value.every(isObject) ? undefined : 'a list of levels { stride, sizes }';

/**
 * The whole configuration: what was given, and `base` where it says nothing.
 * @throws ArgumentError where fields do not go together.
 */
export function completeConfiguration(given: GivenConfiguration, base: Configuration, source: string): Configuration {
  const { width } = given;
  const whole = {
    ...(width === undefined ? base : narrowed(base, width)),
    ...given,
    input: { ...base.input, ...given.input },
  };
  const strides = STRIDES[whole.pyramid];
  const anchors = whole.levels[0]?.sizes.length ?? 0;
  const problem = (expected: string, got: string): ArgumentError =>
    new ArgumentError({
      operation: `read the configuration of ${source}`,
      expected,
      got,
      remedy: 'Correct that field, or leave it out.',
    });
  const got = whole.levels.map(({ stride }) => stride);
  if (got.join() !== strides.join()) {
    throw problem(`levels to have the strides ${strides.join(', ')} of a pyramid "${whole.pyramid}"`, got.join(', '));
  }
  for (const [i, { sizes }] of whole.levels.entries()) {
    if (sizes.length !== anchors) {
      throw problem(`levels[${i}].sizes to be as many as those of levels[0], ${anchors}`, `${sizes.length}`);
    }
  }
  return whole;
}

/** The configuration of a name. @throws ArgumentError for one that there is not. */
export function configurationNamed(name: string, operation: string): Configuration {
  if (Object.hasOwn(configurations, name)) return configurations[name as ConfigurationName];
  throw new ArgumentError({
    operation,
    expected: `one of ${Object.keys(configurations).join(', ')}`,
    got: `'${name}'`,
    remedy: 'Name a configuration of the list, or leave it out to recognise it from the weights.',
  });
}

function abbreviated(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
