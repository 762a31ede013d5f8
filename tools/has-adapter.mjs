// Exits 0 if Dawn finds an adapter here, 1 otherwise; prints nothing. In a process of its own, because a broken driver
// may end it.
import { create } from 'webgpu';

process.env.XDG_RUNTIME_DIR ??= '/tmp';
try {
  const gpu = create([]);
  const adapter = await gpu.requestAdapter();
  process.exit(adapter ? 0 : 1);
} catch {
  process.exit(1);
}
