// A network that `cnncc compile --target wasm32-simd` wrote as NAME.wasm and NAME.json, in a browser or in Node.js.
//
// The module exports its functions, its memory, where the weights lie, and where free memory begins. Inputs, outputs,
// workspace and the structure of a call are put there once; a call then copies inputs in and outputs out.

const ALIGNMENT = 64;
const PAGE = 65536; // by which a memory grows

// `cnncc_call` of the C header. Numbers and pointers have 32 bits each.
const FIELDS = [
  "abi", "fingerprint", "apart", "images", "shard", "shards",
  "inputs", "outputs", "workspace", "weights", "wait", "wait_argument",
];

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, bool: Uint8Array, int8: Int8Array, uint8: Uint8Array,
  int16: Int16Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array,
  uint64: BigUint64Array,
};

export class Network {
  // The bytes of the module, and the manifest as JSON.parse gives it.
  static async start(bytes, manifest) {
    const { instance } = await WebAssembly.instantiate(bytes);
    return new Network(instance.exports, manifest);
  }

  constructor(exports, manifest) {
    const { functions, symbol } = manifest;
    if (exports[functions.check]() !== 0) throw new Error("this processor cannot run the network");
    this.labels = manifest.labels;
    this.memory = exports.memory;
    this.free = exports.__heap_base.value;
    this.inputs = manifest.inputs.map((port) => this.#place(port));
    this.outputs = manifest.outputs.map((port) => this.#place(port));
    const pointers = this.outputs.map((port) => port.address);
    if (manifest.states) pointers.push(this.#states(exports[manifest.state_symbol].value, manifest.state_bytes));
    const call = this.#words(FIELDS.map(() => 0));
    const set = (field, value) => (new Uint32Array(this.memory.buffer, call)[FIELDS.indexOf(field)] = value);
    set("inputs", this.#words(this.inputs.map((port) => port.address)));
    set("outputs", this.#words(pointers));
    set("workspace", this.#take(exports[functions.workspace_bytes](1))); // new memory is zero
    set("weights", exports[manifest.weights_symbol].value);
    for (const field of ["abi", "fingerprint", "images"]) set(field, manifest[field]);
    set("shards", 1);
    this.call = () => exports[`${symbol}_run`](call);
  }

  // The outputs for these inputs: one typed array each, dense, in the manifest's order.
  run(...inputs) {
    if (inputs.length !== this.inputs.length) throw new Error(`the network has ${this.inputs.length} input(s)`);
    inputs.forEach((input, place) => {
      const port = this.inputs[place];
      if (input.length !== port.size) throw new Error(`input ${port.name} has ${port.size} elements`);
      this.#view(port).set(input);
    });
    const code = this.call();
    if (code !== 0) throw new Error(`the network returned error ${code}`);
    return this.outputs.map((port) => this.#view(port).slice());
  }

  #view(port) {
    return new port.Array(this.memory.buffer, port.address, port.size); // a memory that grows has another buffer
  }

  #place({ name, shape, dtype }) {
    const size = shape.reduce((product, extent) => product * extent, 1), Array = ARRAYS[dtype];
    if (!Array) throw new Error(`${name} is of ${dtype}, for which JavaScript has no array`);
    return { name, size, Array, address: this.#take(size * Array.BYTES_PER_ELEMENT) };
  }

  // A block of states with what they are before the first call.
  #states(initial, size) {
    const block = this.#take(size);
    new Uint8Array(this.memory.buffer).copyWithin(block, initial, initial + size);
    return block;
  }

  #words(values) {
    const address = this.#take(4 * values.length);
    new Uint32Array(this.memory.buffer, address).set(values);
    return address;
  }

  // The address of that many free bytes.
  #take(size) {
    const address = Math.ceil(this.free / ALIGNMENT) * ALIGNMENT;
    this.free = address + size;
    const missing = this.free - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return address;
  }
}

export function largest(scores) {
  return scores.indexOf(Math.max(...scores));
}
