// Runs a model over raw float32 samples in a real inference engine.
// Usage: node onnxruntime.js MODEL.onnx SAMPLES.f32 LOGITS.f32 COUNT C H W
// onnxruntime-node is found through NODE_PATH.
const fs = require('fs');
const ort = require('onnxruntime-node');

async function main() {
  const [model, samples, logits, count, ...shape] = process.argv.slice(2);
  const bytes = fs.readFileSync(samples);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const dims = [Number(count), ...shape.map(Number)];
  const session = await ort.InferenceSession.create(model);
  const feeds = {[session.inputNames[0]]: new ort.Tensor('float32', values, dims)};
  const result = (await session.run(feeds))[session.outputNames[0]];
  fs.writeFileSync(logits, Buffer.from(result.data.buffer, result.data.byteOffset,
                                       result.data.byteLength));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
