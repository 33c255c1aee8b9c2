// Modules of ours and onnxruntime-web (WebAssembly with SIMD, one thread) in turns, in one process. Prints a line of
// JSON for the peak, then one for each model. tests/perf/web.py makes the modules and calls this.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROUNDS = 7;
const [, , network, ortFolder, folder, seconds, ...models] = process.argv;
const { Network } = await import(network);
const ort = await import(join(ortFolder, "dist", "ort.wasm.bundle.min.mjs"));
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

// Milliseconds of a run, on the average of a turn.
async function turn(run) {
  const begin = performance.now();
  let runs = 0, now = begin;
  for (; now < begin + 1000 * seconds; now = performance.now(), runs++) await run();
  return (now - begin) / runs;
}

// The arrays that our and their runs give, and how many milliseconds each takes; first turns wait for V8's best code.
async function measured(name) {
  const told = JSON.parse(readFileSync(join(folder, `${name}.json`)));
  const ours = await Network.start(readFileSync(join(folder, told.files.wasm)), told);
  const session = await ort.InferenceSession.create(readFileSync(join(folder, `${name}.onnx`)));
  const inputs = ours.inputs.map(({ size }) => Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 1000) / 1000));
  const feeds = Object.fromEntries(session.inputNames.map((input, place) =>
    [input, new ort.Tensor("float32", inputs[place], told.inputs[place].shape)]));
  const theirs = async () => (await session.run(feeds))[session.outputNames[0]].data;
  const [mine, other] = [ours.run(...inputs)[0], await theirs()];
  const apart = mine.reduce((most, value, at) => Math.max(most, Math.abs(value - other[at])), 0);
  const times = { ours: [], theirs: [], ratios: [] };
  for (let round = -2; round < ROUNDS; round++) {
    const [own, their] = [await turn(() => ours.run(...inputs)), await turn(theirs)];
    if (round < 0) continue;
    times.ours.push(own);
    times.theirs.push(their);
    times.ratios.push(their / own);
  }
  return { name, apart, ours: median(times.ours), theirs: median(times.theirs), ratio: median(times.ratios) };
}

// Turns of a loop of multiplications and additions, a second in all: milliseconds of the best.
async function peak(count) {
  const { instance } = await WebAssembly.instantiate(readFileSync(join(folder, "peak.wasm")));
  const { data, peak: run } = instance.exports;
  let best = Infinity;
  for (const end = performance.now() + 1000; performance.now() < end; ) {
    const begin = performance.now();
    run(data.value, count);
    best = Math.min(best, performance.now() - begin);
  }
  return best;
}

const count = 100000;
console.log(JSON.stringify({ name: "peak", count, ms: await peak(count) }));
for (const name of models) console.log(JSON.stringify(await measured(name)));
process.exit(0); // their threads would keep the process alive
