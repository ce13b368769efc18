// Builds the page into ../dist, which is committed, so that it runs without npm.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const ort = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

// A quarter of its size; the page unpacks it. The build without GPU and JSEP is the smallest one.
const runtime = {
  name: "compressed-runtime",
  generateBundle() {
    const source = gzipSync(readFileSync(join(ort, "ort-wasm-simd-threaded.wasm")), { level: 9 });
    this.emitFile({ type: "asset", fileName: "runtime.wasm.gz", source });
  },
};

// onnxruntime-web names its own copy of the runtime, which Vite would add once more, not compressed.
const withoutCopy = {
  name: "without-copy-of-runtime",
  generateBundle(_, bundle) {
    for (const name of Object.keys(bundle)) if (name.endsWith(".wasm")) delete bundle[name];
  },
};

export default {
  base: "./", // works in any folder of any web server
  plugins: [withoutCopy, runtime],
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    modulePreload: false,
    target: "es2022",
    assetsInlineLimit: 0,
    rollupOptions: { output: { entryFileNames: "page.js", chunkFileNames: "onnxruntime.js", assetFileNames: "[name][extname]" } },
  },
};
