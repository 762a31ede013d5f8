import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
form { display: flex; flex-wrap: wrap; gap: 1rem; align-items: end; }
label { display: grid; gap: .25rem; font-size: .9rem; }
input { font: inherit; }
canvas { max-width: 100%; margin-top: 1rem; }
pre { overflow: auto; max-height: 30rem; padding: 1rem; border: 1px solid #8886; }
`;

const SCRIPT = `
const form = document.querySelector('form');
const canvas = document.querySelector('canvas');
const said = document.querySelector('#said');
const answer = document.querySelector('pre');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [file] = form.picture.files;
  const query = new URLSearchParams();
  for (const name of ['size', 'score', 'max_faces']) if (form[name].value !== '') query.set(name, form[name].value);
  const headers = { 'content-type': 'application/octet-stream' };
  if (form.token.value !== '') headers.authorization = 'Bearer ' + form.token.value;
  said.textContent = 'searching …';
  canvas.hidden = true;
  answer.textContent = '';
  try {
    const response = await fetch('detect?' + query, { method: 'POST', body: file, headers });
    const found = await response.json();
    answer.textContent = JSON.stringify(found, null, 2);
    if (!response.ok) { said.textContent = response.status + ': ' + found.error.message; return; }
    said.textContent = found.faces.length + ' faces in ' + found.times.total.toFixed(0) + ' ms';
    const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
    canvas.hidden = false;
    canvas.width = picture.width;
    canvas.height = picture.height;
    const pen = canvas.getContext('2d');
    pen.drawImage(picture, 0, 0);
    pen.lineWidth = Math.max(2, picture.width / 400);
    for (const { box, landmarks } of found.faces) {
      pen.strokeStyle = '#0c6';
      pen.strokeRect(box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1);
      pen.fillStyle = '#f60';
      for (const { x, y } of Object.values(landmarks ?? {})) {
        pen.beginPath();
        pen.arc(x, y, 1.5 * pen.lineWidth, 0, 2 * Math.PI);
        pen.fill();
      }
    }
  } catch (error) { said.textContent = String(error); }
});
`;

/** A page to try the service on, with nothing from elsewhere. */
export const TRY_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>retinaface</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<h1>Find faces</h1>
<form>
<label>Picture, PNG or JPEG <input type="file" name="picture" accept="image/png,image/jpeg" required></label>
<label>Size <input name="size" placeholder="own" size="8"></label>
<label>Least score <input name="score" type="number" min="0" max="1" step="any" placeholder="0.5"></label>
<label>Most faces <input name="max_faces" type="number" min="1" max="5000" placeholder="750"></label>
<label>Token, where one is asked for <input name="token" type="password" autocomplete="off"></label>
<button>Find</button>
</form>
<p id="said" role="status"></p>
<canvas hidden></canvas>
<pre aria-label="The answer"></pre>
<p><a href="openapi.json">What the service understands, as OpenAPI</a></p>
<script>${SCRIPT}</script>
</body>
</html>
`;

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** What the page may do: its own style and script, requests to where it came from, and nothing else. */
export const TRY_PAGE_POLICY =
  `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; img-src data: blob:; ` +
  `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
