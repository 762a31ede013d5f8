// The page: two rooms, one behind the other, by the part of the address after `#`.
import { byId } from './dom.js';
import { FindRoom } from './find/room.js';
import type { LearnRoom } from './learn/room.js';

const find = new FindRoom();
const rooms = ['find', 'learn'] as const;
type Room = (typeof rooms)[number];

const titles: Readonly<Record<Room, string>> = { find: 'Find faces', learn: 'Watch it learn' };
let entered: Room | undefined;
let learn: LearnRoom | undefined;

/** Shows the room that the address names. */
async function enter(): Promise<void> {
  const room = rooms.find((name) => location.hash === `#${name}`) ?? 'find';
  if (room === entered) return;
  const moved = entered !== undefined;
  entered = room;
  for (const name of rooms) {
    byId(name, HTMLElement).hidden = name !== room;
    const link = byId(`to-${name}`, HTMLAnchorElement);
    if (name === room) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${titles[room]} · retinaface-webgpu`;
  if (moved) {
    scrollTo(0, 0);
    byId(`${room}-title`, HTMLElement).focus({ preventScroll: true });
  }
  if (room === 'find') return;
  find.leave();
  if (learn) return;
  // Fetched when it is first entered: most come for the first room.
  const { LearnRoom: Room } = await import('./learn/room.js');
  learn = new Room((choice) => {
    location.hash = '#find';
    find.use(choice);
  });
}

addEventListener('hashchange', () => {
  void enter();
});
await enter();
await find.start();
