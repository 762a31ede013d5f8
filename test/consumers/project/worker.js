new Worker(`whole.js${location.hash}`, { type: 'module' });
