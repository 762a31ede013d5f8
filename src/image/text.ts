import { type Colour, fill } from './draw.js';
import type { Picture } from './picture.js';

/**
 * A character, then its rows from the top in base 32, one digit for five pixels, the leftmost the highest bit: seven down
 * to the line that letters stand on, up to two below it.
 */
const FONT = `
Aehhvhhh Buhhuhhu Cehggghe Duhhhhhu Evgguggv Fvgguggg Gehgnhhf Hhhhvhhh Ie44444e J72222ic Khikokih Lggggggv Mhrllhhh
Nhppljhh Oehhhhhe Puhhuggg Qehhhlid Ruhhukih Sfgge11u Tv444444 Uhhhhhhe Vhhhhaa4 Whhhllrh Xhha4ahh Yhha4444 Zv1248gv
a00e1fhf bgguhhhu c00egghe d11fhhhf e00ehvge f698s888 g00fhhhf1e hgguhhhh i40c444e j2062222ic kggikoki lc44444e m00qllll
n00uhhhh o00ehhhe p00uhhhugg q00fhhhf11 r00mpggg s00fge1u t88s8896 u00hhhjd v00hhha4 w00hllla x00ha4ah y00hhhhf1e
z00v248v 0ehjlphe 14c4444e 2eh1248v 3v2421he 426aiv22 5vgu11he 668guhhe 7v124888 8ehhehhe 9ehhf12c .00000cc ,0000cc48
:0cc0cc0 -000v000 _0000000v +044v440 =00v0v00 /11248gg %pp248jj (2488842 )8422248 [e88888e ]e22222e <248g842 >8421248
*0level0 !4444404 ?eh12404 '4400000 ×000a4a0 ~008l200 ±44v440v –000e000 ;cc0cc448 ≥842480v &8kk8lid`;

const COLUMNS = 5;
/** Columns from one character to the next. */
const STEP = COLUMNS + 1;

/** Rows of a capital letter. */
export const TEXT_HEIGHT = 7;

const GLYPHS: ReadonlyMap<string, readonly number[]> = new Map(
  FONT.trim()
    .split(/\s+/)
    .map((glyph) => [glyph.charAt(0), Array.from(glyph.slice(1), (digit) => Number.parseInt(digit, 32))]),
);

/** What is drawn for a character that the font lacks: an empty box. */
const UNKNOWN = [31, 17, 17, 17, 17, 17, 31];

/** The width of a text in pixels. */
export function textWidth(text: string, scale = 1): number {
  return Math.max(0, text.length * STEP - 1) * scale;
}

/**
 * Writes one line of text into a picture, in place, its top left corner at (x, y); `scale`: pixels of the picture for one of
 * the font's. Letters, digits and common signs; what lies outside the picture is cut off.
 */
export function drawText(canvas: Picture, text: string, x: number, y: number, colour: Colour, scale = 1): void {
  for (const [column, row] of dotsOf(text)) {
    const left = Math.round(x) + scale * column;
    const top = Math.round(y) + scale * row;
    fill(canvas, left, top, left + scale, top + scale, colour);
  }
}

/** The same, turned to be read from below, its lower left corner at (x, y). */
export function drawTextUpwards(canvas: Picture, text: string, x: number, y: number, colour: Colour, scale = 1): void {
  for (const [column, row] of dotsOf(text)) {
    const left = Math.round(x) + scale * row;
    const bottom = Math.round(y) - scale * column;
    fill(canvas, left, bottom - scale, left + scale, bottom, colour);
  }
}

/** Where the dots of a text are. */
function* dotsOf(text: string): Generator<readonly [column: number, row: number]> {
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === ' ') continue;
    for (const [row, bits] of (GLYPHS.get(character) ?? UNKNOWN).entries()) {
      for (let column = 0; column < COLUMNS; column++) {
        if ((bits & (16 >> column)) !== 0) yield [index * STEP + column, row];
      }
    }
  }
}
