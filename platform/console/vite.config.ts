import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// `npm run dev` shows the console of a park that runs: PARK_BASE_URL=http://127.0.0.1:26109 npm run dev
const park = process.env["PARK_BASE_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [vue()],
  // park_platform/api/console.py serves everything below this path.
  base: "/console/",
  build: {
    outDir: "../park_platform/web",
    emptyOutDir: true,
    manifest: true,
    // Nothing inline: the content security policy admits files of our own and nothing else.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: "127.0.0.1",
    // The API refuses foreign hosts and origins; the page under development passes for the park's own.
    proxy: Object.fromEntries(
      ["/api", "/signin", "/health"].map((path) => [
        path,
        { target: park, changeOrigin: true, ws: true, headers: { Origin: park } },
      ]),
    ),
  },
});
