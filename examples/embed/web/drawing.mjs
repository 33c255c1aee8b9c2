// Drawn strokes as a picture like those that the network has learned from.
//
// Those are 32 by 32 pixels, black or white, in which the digit fills the height; blocks of 4 by 4 pixels were counted, which
// gives 8 by 8 numbers from 0 to 16. A stroke is a list of points [x, y], in any unit, with y downwards.

const FINE = 32, COARSE = 8, BLOCK = FINE / COARSE;
const PEN = 2.2; // radius of a stroke, in fine pixels
const WIDEST = 24; // the room that a digit has from left to right

// 64 numbers from 0 to 1, row by row, 1 for ink.
export function picture(strokes) {
  const cells = new Float32Array(COARSE * COARSE);
  const segments = scaled(strokes).flatMap(segmentsOf);
  for (let y = 0; y < FINE; y++)
    for (let x = 0; x < FINE; x++)
      if (segments.some((segment) => distance(x + 0.5, y + 0.5, segment) <= PEN))
        cells[Math.floor(y / BLOCK) * COARSE + Math.floor(x / BLOCK)] += 1 / BLOCK ** 2;
  return cells;
}

// The strokes in fine pixels: as large as fits, in the middle.
function scaled(strokes) {
  const xs = extent(strokes.flat().map(([x]) => x)), ys = extent(strokes.flat().map(([, y]) => y));
  const scale = Math.min((WIDEST - 2 * PEN) / xs.size, (FINE - 2 * PEN) / ys.size, Number.MAX_VALUE);
  const place = (value, { middle }) => FINE / 2 + (value - middle) * scale;
  return strokes.map((stroke) => stroke.map(([x, y]) => [place(x, xs), place(y, ys)]));
}

function extent(values) {
  const least = values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return { size: most - least, middle: (least + most) / 2 };
}

// Pairs of neighbouring points; a stroke of one point is a dot.
function segmentsOf(stroke) {
  return stroke.length === 1 ? [[stroke[0], stroke[0]]] : stroke.slice(1).map((point, i) => [stroke[i], point]);
}

function distance(x, y, [[ax, ay], [bx, by]]) {
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

// Part of an ellipse around (cx, cy), from one angle to another one, in degrees: 0 is right, 90 is down.
function arc(cx, cy, rx, ry, from, to) {
  return Array.from({ length: 25 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / 24) * Math.PI) / 180;
    return [cx + rx * Math.cos(angle), cy + ry * Math.sin(angle)];
  });
}

// A digit of each kind, in a square from 0 to 1.
export const SAMPLES = [
  [arc(0.5, 0.5, 0.25, 0.35, -90, 270)],
  [[[0.4, 0.28], [0.54, 0.15], [0.54, 0.85]]],
  [[...arc(0.48, 0.33, 0.2, 0.18, -170, 30), [0.3, 0.85], [0.75, 0.85]]],
  [[...arc(0.47, 0.32, 0.2, 0.17, -150, 90), ...arc(0.47, 0.67, 0.23, 0.18, -90, 150)]],
  [[[0.5, 0.15], [0.28, 0.58], [0.75, 0.58]], [[0.62, 0.35], [0.55, 0.85]]],
  [[[0.7, 0.15], [0.36, 0.15], [0.33, 0.47], ...arc(0.46, 0.64, 0.22, 0.2, -110, 140)]],
  [[[0.58, 0.15], [0.38, 0.4], ...arc(0.5, 0.66, 0.2, 0.19, -190, 170)]],
  [[[0.28, 0.15], [0.72, 0.15], [0.45, 0.85]], [[0.38, 0.5], [0.68, 0.5]]],
  [arc(0.5, 0.3, 0.15, 0.15, 90, 450), arc(0.5, 0.65, 0.16, 0.2, -90, 270)],
  [arc(0.48, 0.34, 0.18, 0.18, 0, 360), [[0.66, 0.34], [0.64, 0.7], [0.55, 0.85], [0.38, 0.82]]],
];
