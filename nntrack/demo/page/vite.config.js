// Builds the page into ../dist, which is committed, so that it runs without npm.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const ort = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

// The smallest runtime, without GPU. WebAssembly is a quarter as large compressed; the page unpacks it.
const runtime = {
  name: "runtime",
  generateBundle() {
    const read = (name) => readFileSync(join(ort, name));
    const source = gzipSync(read("ort-wasm-simd-threaded.wasm"), { level: 9 });
    this.emitFile({ type: "asset", fileName: "runtime.wasm.gz", source });
    this.emitFile({ type: "asset", fileName: "runtime.mjs", source: read("ort-wasm-simd-threaded.mjs") });
  },
};

export default {
  base: "./", // works in any folder of any web server
  plugins: [runtime],
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "import", "browser"] },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    modulePreload: false,
    target: "es2022",
    assetsInlineLimit: 0,
    rollupOptions: { output: { entryFileNames: "page.js", codeSplitting: false, assetFileNames: "[name][extname]" } },
  },
};
