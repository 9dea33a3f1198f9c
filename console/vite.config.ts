import { defineConfig } from "vite";

// The page's files have fixed names, one script and one style sheet: api/faces/console.py serves them by these.
export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "inline" },
  publicDir: "public",
  build: {
    outDir: "built",
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
    rollupOptions: {
      input: "src/main.tsx",
      output: {
        entryFileNames: "console.js",
        assetFileNames: (asset) => (asset.names[0]?.endsWith(".css") ? "console.css" : "[name][extname]"),
        inlineDynamicImports: true,
        banner: "/*! With Preact, MIT License, Copyright (c) 2015-present Jason Miller */",
      },
    },
  },
});
