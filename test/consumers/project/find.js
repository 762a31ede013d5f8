// What a page does with the library: finds the faces of a picture, and says so.
/** `from`: the library, as this consumer came by it, or a promise of it; `weights`: what it has to say of them, if anything. */
export async function find(from, weights) {
  const [, server, name] = /^#(.*)\/(.*)$/.exec(location.hash) ?? [];
  const tell = (answer) => fetch(`${server}/${name}`, { method: 'POST', body: JSON.stringify(answer) });
  try {
    const { readImage, requestDevice, RetinaFace } = await from;
    const model = new RetinaFace(await requestDevice());
    await model.load(weights);
    const faces = await model.detect(await readImage(`${server}/scene.jpg`), { size: 320 });
    await tell({ faces });
  } catch (error) {
    await tell({ error: `${error.name}: ${error.message}` });
  }
}
