// NSFWJS behind express, with the routes of its README: POST /nsfw, multipart field `image`, JPEG.
// Usage: node server.js FOLDER_OF_NODE_MODULES PORT
const { createRequire } = require("node:module");
const load = createRequire(process.argv[2] + "/");
const express = load("express");
const multer = load("multer");
const jpeg = load("jpeg-js");
const tf = load("@tensorflow/tfjs");
const nsfwjs = load("nsfwjs/core");
const { MobileNetV2Model } = load("nsfwjs/models/mobilenet_v2");

async function main(port) {
  load("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  const model = await nsfwjs.load("MobileNetV2", { modelDefinitions: [MobileNetV2Model] });
  const app = express();
  app.get("/ready", (request, response) => response.send("ok"));
  app.post("/nsfw", multer().single("image"), async (request, response) => {
    if (!request.file) return response.status(400).send("Missing image multipart/form-data");
    const { width, height, data } = jpeg.decode(request.file.buffer, {
      useTArray: true,
      formatAsRGBA: false,
    });
    const picture = tf.tensor3d(Int32Array.from(data), [height, width, 3], "int32");
    const classes = await model.classify(picture);
    picture.dispose();
    response.json(classes);
  });
  app.listen(port, "127.0.0.1");
}

main(Number(process.argv[3]));
