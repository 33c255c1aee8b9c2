// Which digits are in these pictures? In Node.js, without packages.
//
//     cnncc compile examples/digits.py --target wasm32-simd --kinds wasm,json -o build/web
//     node examples/embed/node/which.mjs build/web build/7.raw
//
// Raw pictures have 8 by 8 bytes, white ink on black.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { largest, Network } from "../web/network.mjs";

async function main(folder, ...pictures) {
  const manifest = JSON.parse(readFileSync(join(folder, "digits.json"), "utf8"));
  const digits = await Network.start(readFileSync(join(folder, manifest.files.wasm)), manifest);
  for (const path of pictures) {
    const grey = readFileSync(path);
    if (grey.length !== 64) throw new Error(`${path}: not a picture of 8 by 8 bytes`);
    const [scores] = digits.run(Float32Array.from(grey, (value) => value / 255));
    console.log(`${path}: ${digits.labels[largest(scores)]}`);
  }
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
