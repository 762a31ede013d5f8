// The service as OpenAPI describes it: https://spec.openapis.org/oas/v3.1.0
import { requestParameters } from './request_options.js';

/** What the description says beside what is the same in every service. */
export interface Described {
  readonly version: string;
  readonly maxSize: number;
  readonly maxBytes: number;
  readonly maxPixels: number;
  readonly maxPictures: number;
  /** Requests carry a token. */
  readonly token: boolean;
  /** Addresses of pictures are fetched. */
  readonly addresses: boolean;
}

const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: object): object => ({ 'application/json': { schema } });
const pixels = (description: string): object => ({ type: 'number', description });
const milliseconds = (description: string): object => ({ type: 'number', description });

const RETRY = {
  'Retry-After': { description: 'Seconds after which to come again.', schema: { type: 'integer', minimum: 1 } },
};

/** Statuses of what goes wrong, and what each means. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: 'A body that is cut short or malformed.',
  401: 'No token, or another one.',
  403: 'An address, where none are fetched, or one inside a private network.',
  408: 'The request itself came too slowly.',
  413: 'More bytes, pixels or pictures than are allowed.',
  415: 'Another kind of body, or a picture that is no PNG or JPEG.',
  421: 'A Host that is no name of this service.',
  422: 'A damaged picture, or a parameter out of range.',
  429: 'More requests at once of one client than are allowed.',
  500: 'A fault of the service.',
  502: 'The server of an address did not answer with a picture.',
  503: 'The service is full, starting or ending, or took longer than is allowed.',
};

const SCHEMAS = {
  Point: {
    type: 'object',
    required: ['x', 'y'],
    properties: { x: pixels('From the left.'), y: pixels('From the top.') },
  },
  Box: {
    type: 'object',
    description: "In pixels of the upright picture; it may reach past the picture's edges.",
    required: ['x1', 'y1', 'x2', 'y2'],
    properties: { x1: pixels('Left.'), y1: pixels('Top.'), x2: pixels('Right.'), y2: pixels('Bottom.') },
  },
  Landmarks: {
    type: 'object',
    description: "Left is the picture's left.",
    required: ['leftEye', 'rightEye', 'nose', 'leftMouth', 'rightMouth'],
    properties: {
      leftEye: ref('Point'),
      rightEye: ref('Point'),
      nose: ref('Point'),
      leftMouth: ref('Point'),
      rightMouth: ref('Point'),
    },
  },
  Face: {
    type: 'object',
    required: ['score'],
    properties: {
      score: { type: 'number', minimum: 0, maximum: 1 },
      box: ref('Box'),
      landmarks: ref('Landmarks'),
      aligned: {
        type: ['string', 'null'],
        description: 'The face, cut out and turned upright, as a data: address; null for one without landmarks.',
      },
    },
  },
  Times: {
    type: 'object',
    description: 'Milliseconds of each stage.',
    required: ['receive', 'wait', 'decode', 'gather', 'search', 'total'],
    properties: {
      receive: milliseconds('From the head of the request to its last byte, and the fetching of an address.'),
      wait: milliseconds('In the queue.'),
      decode: milliseconds('In a thread that decodes, and before it until one was free.'),
      gather: milliseconds('Until a batch was full, or the device free.'),
      search: milliseconds('On the device, with the whole batch.'),
      align: milliseconds('To cut faces out.'),
      total: milliseconds('All of it.'),
    },
  },
  Found: {
    type: 'object',
    required: ['width', 'height', 'faces', 'times'],
    properties: {
      width: { type: 'integer', description: 'Of the upright picture.' },
      height: { type: 'integer' },
      faces: { type: 'array', items: ref('Face'), description: 'Best first.' },
      cut: { const: true, description: 'There were more faces than max_faces.' },
      batch: { type: 'integer', description: 'Pictures that were searched together.' },
      times: ref('Times'),
    },
  },
  Pictures: {
    type: 'object',
    description: 'Each picture by its name, in order; one that failed has its error.',
    required: ['pictures'],
    properties: {
      pictures: {
        type: 'array',
        items: {
          type: 'object',
          required: ['name'],
          properties: { name: { type: 'string' } },
          anyOf: [
            ref('Found'),
            { ...ref('Problem'), properties: { status: { type: 'integer' } }, required: ['status'] },
          ],
        },
      },
    },
  },
  Problem: {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['name', 'operation', 'expected', 'got', 'remedy', 'message'],
        properties: {
          name: { type: 'string' },
          operation: { type: 'string', description: 'What was being done.' },
          expected: { type: 'string' },
          got: { type: 'string' },
          remedy: { type: 'string', description: 'The next thing to try.' },
          message: { type: 'string', description: 'All four in a sentence.' },
        },
      },
    },
  },
};

/** The description of a service, as OpenAPI 3.1. */
export function describeService(described: Described): object {
  const { version, maxSize, maxBytes, maxPixels, maxPictures, token, addresses } = described;
  const bytes = { type: 'string', format: 'binary' };
  const address = { type: 'string', format: 'uri', description: 'An http: or https: address of a PNG or JPEG.' };
  const bodies = {
    'image/jpeg': { schema: bytes },
    'image/png': { schema: bytes },
    'application/octet-stream': { schema: bytes },
    'multipart/form-data': {
      schema: { type: 'object', additionalProperties: { type: 'array', maxItems: maxPictures, items: bytes } },
    },
    ...(addresses
      ? json({
          oneOf: [
            { type: 'object', required: ['address'], additionalProperties: false, properties: { address } },
            {
              type: 'object',
              required: ['addresses'],
              additionalProperties: false,
              properties: { addresses: { type: 'array', minItems: 1, maxItems: maxPictures, items: address } },
            },
          ],
        })
      : {}),
  };
  const parameters = Object.entries(requestParameters(maxSize)).map(([name, { description, schema }]) => ({
    name,
    in: 'query',
    description,
    schema,
  }));
  const refusals = Object.fromEntries(
    Object.entries(REFUSALS).map(([status, description]) => [
      status,
      {
        description,
        ...(status === '429' || status === '503' ? { headers: RETRY } : {}),
        content: json(ref('Problem')),
      },
    ]),
  );
  const limits =
    `A request has at most ${maxBytes.toLocaleString('en')} bytes, a picture ${maxPixels.toLocaleString('en')} pixels, ` +
    `multipart ${maxPictures} pictures.`;
  const post = (summary: string, more: object): object => ({
    post: {
      summary,
      description: `${limits} A body of one picture is answered with its faces, one of several with a list.`,
      parameters,
      requestBody: { required: true, content: bodies },
      responses: {
        200: {
          description: 'The faces of a picture, or of each of several.',
          content: { ...json({ anyOf: [ref('Found'), ref('Pictures')] }), ...more },
        },
        ...refusals,
      },
    },
  });
  const get = (summary: string, content: object, more: object = {}): object => ({
    get: { summary, security: [], responses: { 200: { description: summary, content }, ...more } },
  });
  const text = (type: string): object => ({ [type]: { schema: { type: 'string' } } });
  return {
    openapi: '3.1.0',
    info: {
      title: 'retinaface-webgpu',
      version,
      description: 'Finds faces with five landmarks in pictures.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: {
      '/detect': post('Finds the faces of a picture, or of several.', {}),
      '/align': post(
        'Cuts the faces of a picture out, upright. Accept: image/png or image/jpeg gives the best one alone.',
        {
          'image/png': { schema: bytes },
          'image/jpeg': { schema: bytes },
        },
      ),
      '/healthz': get('The process lives.', json({ type: 'object' })),
      '/readyz': get('Pictures that come now are searched.', json({ type: 'object' }), {
        503: { description: REFUSALS[503], headers: RETRY, content: json(ref('Problem')) },
      }),
      '/metrics': {
        get: {
          summary: 'Metrics in the format of Prometheus.',
          responses: { 200: { description: 'Metrics.', content: text('text/plain') } },
        },
      },
      '/openapi.json': get('This description.', json({ type: 'object' })),
      '/': get('A page to try it.', text('text/html')),
    },
    components: {
      schemas: SCHEMAS,
      ...(token ? { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } : {}),
    },
    security: token ? [{ bearer: [] }] : [],
  };
}
